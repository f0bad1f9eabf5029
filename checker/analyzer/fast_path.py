"""The event schema compiled for whole batches: one regular expression and one SQL predicate.

What the pair accepts is valid, line by line, under the event schema; what it does not accept says nothing and is read
line by line. The expression is a positive grammar: flat objects whose keys are properties of the schema and whose
values have the property's JSON type, so a coerced string, a NaN, an unknown key, a null or a trailing comma never gets
past it. The predicate then checks what a grammar cannot: presence, ranges, constants.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from checker.analyzer.event_schema import EventSchema

# RFC 3339 with the years 1900 to 2999 and no leap seconds: what Python and DuckDB read alike.
DATE_TIME = (
    r"(?:19|2[0-9])[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_SPACE = r"[ \t]*"
# No NUL and no surrogate: those are read line by line.
_ESCAPE = (
    r"\\(?:[\"\\/bfnrt]|u(?:00[0-9a-fA-F][1-9a-fA-F]|00[1-9a-fA-F]0|0[1-9a-fA-F][0-9a-fA-F]{2}"
    r"|[1-9a-cA-CeEfF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}))"
)
_STRING = rf'"(?:[^"\\\x00-\x1f]|{_ESCAPE})*"'
_VALUES = {
    "VARCHAR": _STRING,
    "TIMESTAMP": f'"{DATE_TIME}"',
    "BIGINT": r"(?:0|-?[1-9][0-9]{0,17})",
    "DOUBLE": r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?",
    "BOOLEAN": "(?:true|false)",
    "JSON": rf"\[{_SPACE}(?:{_STRING}(?:{_SPACE},{_SPACE}{_STRING})*)?{_SPACE}\]",
}
_NOTES = {"$schema", "$id", "title", "description", "examples", "default", "x-phasegate"}
_TOP = _NOTES | {"type", "required", "properties", "allOf"}
_CHOICES = {"const", "enum"}
_RANGES = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
# Keywords that the predicate knows for a column, beside the notes; what JSON Schema would ignore is not among them.
_KEYWORDS = {
    "VARCHAR": {"type", "minLength", "maxLength"} | _CHOICES,
    "TIMESTAMP": {"type", "format"},
    "BIGINT": {"type"} | _CHOICES | _RANGES,
    "DOUBLE": {"type"} | _CHOICES | _RANGES,
    "BOOLEAN": {"type"} | _CHOICES,
    "JSON": {"type", "items"},
}
_SCALARS: dict[str, Any] = {
    "VARCHAR": (str,),
    "BIGINT": (int,),
    "DOUBLE": (int, float),
    "BOOLEAN": (bool,),
}
_EXACT = 1 << 53  # whole numbers up to here are the same as doubles
_STRINGS_ONLY = {"type": "string"}
_COMPARISONS = {"const": "=", "minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
_EXTREMES = {"minimum": "min", "exclusiveMinimum": "min", "maximum": "max", "exclusiveMaximum": "max"}
_ROW_KEYWORDS = {"const", "enum", "minLength", "maxLength"}


@dataclass(frozen=True, slots=True)
class FastPath:
    """`pairs` match a key and its value, by column; `valid` is an aggregate that is true where every typed row is."""

    pairs: Mapping[str, str]
    valid: str

    def pattern(self, columns: Iterable[str]) -> str:
        """An expression that matches whole lines in full, with keys among `columns`.

        That an object ends its line is left to the JSON reader: to spell out a last line without a newline would name
        every pair twice more, and compiling the expression costs as much as matching a megabyte.
        """
        pair = "|".join(self.pairs[name] for name in columns)
        line = rf"\{{{_SPACE}(?:{pair})(?:{_SPACE},{_SPACE}(?:{pair}))*{_SPACE}\}}{_SPACE}\r?\n?"
        return f"(?:{line})*"


def compile_fast_path(schema: EventSchema) -> FastPath | None:
    """Compile `schema`, or None where it uses a keyword that is not compiled: its batches are read line by line."""
    document = schema.document
    branches = list(document.get("allOf", ()))
    described = [document, *(branch.get("then", {}) for branch in branches)]
    if set(document) - _TOP or not all(_is_event_branch(branch) for branch in branches):
        return None
    if not all(_is_plain(schema.columns.get(name), item) for part in described for name, item in _properties(part)):
        return None
    if not set(schema.columns) >= {name for part in described for name in part.get("required", ())}:
        return None
    pairs = {name: f'"{re.escape(name)}":{_SPACE}{_VALUES[kind]}' for name, kind in schema.columns.items()}
    by_row = _all([*_rules(document, _ROW_KEYWORDS), *_branch_rules(branches)])
    whole = [f"count({quote(name)}) = count(*)" for name in document.get("required", ())]
    bounds = _all([*whole, *_finite(schema), *_bounds(document)])
    return FastPath(pairs, f"coalesce(bool_and(coalesce({by_row}, false)), true) and {bounds}")


def _is_event_branch(branch: Mapping[str, Any]) -> bool:
    """Whether `branch` is `if event is X then …`, with nothing else in it."""
    if set(branch) != {"if", "then"} or set(branch["then"]) - {"required", "properties", *_NOTES}:
        return False
    condition = branch["if"]
    event = condition.get("properties", {}).get("event", {})
    return (
        set(condition) <= {"properties", "required"}
        and set(condition.get("required", ())) <= {"event"}
        and set(condition.get("properties", {})) == {"event"}
        and (set(event) == {"const"} or set(event) == {"enum"})
        and all(isinstance(name, str) for name in event.get("enum", [event.get("const")]))
    )


def _properties(part: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    properties: Mapping[str, Any] = part.get("properties", {})
    return properties.items()


def _is_plain(kind: str | None, schema: Any) -> bool:
    """Whether grammar and predicate say all that `schema` says of a property whose column is of this kind."""
    if kind is None or not isinstance(schema, dict) or set(schema) - _NOTES - _KEYWORDS[kind]:
        return False
    if kind == "JSON":
        return schema.get("type") == "array" and schema.get("items") == _STRINGS_ONLY
    scalars = [schema[key] for key in (_RANGES | {"const"}) & set(schema)] + list(schema.get("enum", ()))
    return all(_is_literal(kind, value) for value in scalars)


def _is_literal(kind: str, value: Any) -> bool:
    """Whether SQL compares a column of this kind with `value` as JSON Schema does."""
    if not isinstance(value, _SCALARS[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
        return False
    return isinstance(value, str) or abs(value) <= _EXACT


def _finite(schema: EventSchema) -> Iterator[str]:
    for name, kind in schema.columns.items():
        if kind == "DOUBLE":
            yield f"isfinite(coalesce(min({quote(name)}), 0)) and isfinite(coalesce(max({quote(name)}), 0))"


def _bounds(part: Mapping[str, Any]) -> Iterator[str]:
    """Rules on numbers, as aggregates: the extremes of a column stand for all of its rows, and cost little."""
    for name, schema in _properties(part):
        for keyword, extreme in _EXTREMES.items():
            if keyword in schema:
                yield f"coalesce({_rule(f'{extreme}({quote(name)})', keyword, schema[keyword])}, true)"


def _rules(part: Mapping[str, Any], keywords: Collection[str]) -> Iterator[str]:
    for name, schema in _properties(part):
        rules = [rule for key, value in schema.items() if key in keywords and (rule := _rule(quote(name), key, value))]
        if rules:
            yield f"({quote(name)} is null or ({_all(rules)}))"


def _rule(column: str, keyword: str, value: Any) -> str | None:
    if keyword in _COMPARISONS:
        return f"{column} {_COMPARISONS[keyword]} {literal(value)}"
    if keyword == "enum":
        return f"{column} in ({', '.join(literal(item) for item in value)})"
    if keyword in ("minLength", "maxLength"):
        if keyword == "minLength" and value == 1:
            return f"{column} <> ''"
        return f"length({column}) {'>=' if keyword == 'minLength' else '<='} {int(value)}"
    return None


def _branch_rules(branches: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One CASE over the event's name, so that a row is compared with few names."""
    rules_of: dict[str, list[str]] = {}
    for branch in branches:
        event = branch["if"]["properties"]["event"]
        for name in event.get("enum", [event.get("const")]):
            rules_of.setdefault(literal(name), []).extend(
                [
                    *(f"{quote(required)} is not null" for required in branch["then"].get("required", ())),
                    *_rules(branch["then"], _ROW_KEYWORDS | set(_EXTREMES)),
                ]
            )
    if rules_of:
        cases = " ".join(f"when {name} then {_all(rules)}" for name, rules in rules_of.items())
        yield f"case event {cases} else true end"


def _all(rules: Any) -> str:
    return " and ".join(rules) or "true"


def quote(identifier: str) -> str:
    """`identifier` as a quoted SQL name."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """`value` (text, number or truth value) as an SQL literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"'{value!r}'::double" if isinstance(value, float) else repr(value)


def timestamp(instant: datetime) -> str:
    """`instant` as an SQL literal, in UTC without a zone."""
    return f"timestamp '{instant.replace(tzinfo=None).isoformat(sep=' ')}'"
