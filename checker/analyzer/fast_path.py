"""The event schema compiled for whole batches: one regular expression and one SQL predicate.

What the pair accepts is valid, line by line, under the event schema; what it does not accept says nothing and is read
line by line. The expression is a positive grammar: a flat object on one line whose keys are properties of the schema
and whose values have the property's JSON type, so a coerced string, a NaN, an unknown key or a null never gets past
it. No space stands before a colon, so that counting `":` never counts fewer than the keys. The predicate then checks
what a grammar cannot: presence, ranges, constants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
_KEYWORDS = {"type", "format", "const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_PROPERTY = _NOTES | _KEYWORDS | {"minLength", "maxLength", "items"}
_STRINGS_ONLY = {"type": "string"}


@dataclass(frozen=True, slots=True)
class FastPath:
    """`pattern` matches a block of whole lines in full; `predicate` holds for a typed row that is valid."""

    pattern: str
    predicate: str


def compile_fast_path(schema: EventSchema) -> FastPath | None:
    """Compile `schema`, or None where it uses a keyword that is not compiled: its batches are read line by line."""
    document = schema.document
    branches = list(document.get("allOf", ()))
    described = [document, *(branch.get("then", {}) for branch in branches)]
    if set(document) - _TOP or not all(_is_event_branch(branch) for branch in branches):
        return None
    if not all(_is_plain(item) for part in described for item in part.get("properties", {}).values()):
        return None
    rules = [
        *_rules(document),
        *(f"({_other_event(branch)} or ({_all(_rules(branch['then']))}))" for branch in branches),
    ]
    return FastPath(_block_pattern(schema), _all(rules))


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
    )


def _is_plain(schema: Any) -> bool:
    if not isinstance(schema, dict) or set(schema) - _PROPERTY:
        return False
    if schema.get("type") == "array":
        return schema.get("items") == _STRINGS_ONLY and not (set(schema) & _KEYWORDS - {"type"})
    if "format" in schema and set(schema) - _NOTES != {"type", "format"}:
        return False
    scalars = [schema[key] for key in _KEYWORDS - {"type", "format", "enum"} if key in schema] + list(
        schema.get("enum", ())
    )
    return schema.get("type") in (None, "string", "number", "integer", "boolean") and all(
        isinstance(value, (str, int, float)) for value in scalars
    )


def _block_pattern(schema: EventSchema) -> str:
    keys_of: dict[str, list[str]] = {}
    for name, kind in schema.columns.items():
        keys_of.setdefault(kind, []).append(re.escape(name))
    pair = "|".join(f'(?:{"|".join(keys)})":{_SPACE}{_VALUES[kind]}' for kind, keys in keys_of.items())
    pair = f'"(?:{pair})'
    line = rf"\{{{_SPACE}{pair}(?:{_SPACE},{_SPACE}{pair})*{_SPACE}\}}{_SPACE}\r?"
    return f"(?:{line}\n)*(?:{line})?"


def _rules(part: Mapping[str, Any]) -> Iterator[str]:
    for name in part.get("required", ()):
        yield f"{quote(name)} is not null"
    for name, schema in part.get("properties", {}).items():
        rules = [rule for key, value in schema.items() if (rule := _rule(quote(name), key, value))]
        if rules:
            yield f"({quote(name)} is null or ({_all(rules)}))"
        if schema.get("type") == "number":
            yield f"({quote(name)} is null or isfinite({quote(name)}))"


def _rule(column: str, keyword: str, value: Any) -> str | None:
    comparisons = {"const": "=", "minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    if keyword in comparisons:
        return f"{column} {comparisons[keyword]} {literal(value)}"
    if keyword == "enum":
        return f"{column} in ({', '.join(literal(item) for item in value)})"
    if keyword in ("minLength", "maxLength"):
        return f"length({column}) {'>=' if keyword == 'minLength' else '<='} {int(value)}"
    return None


def _other_event(branch: Mapping[str, Any]) -> str:
    event = branch["if"]["properties"]["event"]
    names = event.get("enum", [event.get("const")])
    return f"event not in ({', '.join(literal(name) for name in names)})"


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
    return repr(value)
