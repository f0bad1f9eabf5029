"""What a field of an event must satisfy, before and after: which keyword asks for more, and which for less. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from checker.governance.schema_facts import canonical

_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_ONE_WAY = ("pattern", "multipleOf")  # to have it asks for more than not to have it; between two nobody can tell
_TYPE = ("type", "format")
_VALUES = ("const", "enum")
# Keywords by which no validator judges; a format is a part of the type where it is a time, and else is not asked for.
_UNREAD = frozenset({"$id", "$schema", "default", "deprecated", "readOnly", "writeOnly", "format"})


class RuleChange(NamedTuple):
    """`kind` is retyped, tightened, loosened, changed or unread; before and after as `keyword value`."""

    kind: str
    before: str | None
    after: str | None


def is_unread(keyword: str) -> bool:
    """Whether no line is judged by what stands under `keyword`."""
    return keyword in _UNREAD or keyword.startswith("x-")


def rule_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[RuleChange]:
    """Keywords in which two rules for a field (JSON Schemas without annotations) differ, the type first."""
    told: tuple[str, ...] = _VALUES
    if _type(before) != _type(after):
        told = (*_TYPE, *_VALUES)
        yield RuleChange(_type_kind(before, after), _told(before, _TYPE), _told(after, _TYPE))
    if _values(before) != _values(after):
        yield RuleChange(_values_kind(_values(before), _values(after)), _told(before, _VALUES), _told(after, _VALUES))
    for key in dict.fromkeys((*before, *after)):
        old, new = _told(before, (key,)), _told(after, (key,))
        if key not in told and old != new:
            yield RuleChange(_kind(key, before.get(key), after.get(key)), old, new)


def _told(rule: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return ", ".join(f"{key} {canonical(rule[key])}" for key in keys if key in rule) or None


def _type(rule: Mapping[str, Any]) -> str:
    return canonical([rule.get("type"), rule.get("format") == "date-time"])


def _type_kind(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """A type that a rule has on one side alone is told elsewhere on the other: here it asks for more, or for less."""
    if "type" not in before:
        return "tightened"
    return "retyped" if "type" in after else "loosened"


def _values(rule: Mapping[str, Any]) -> frozenset[str] | None:
    """The values that are allowed, as JSON; None where all are."""
    allowed = [frozenset(map(canonical, rule["enum"]))] if "enum" in rule else []
    if "const" in rule:
        allowed.append(frozenset([canonical(rule["const"])]))
    return frozenset.intersection(*allowed) if allowed else None


def _values_kind(before: frozenset[str] | None, after: frozenset[str] | None) -> str:
    if before is None or (after is not None and after < before):
        return "tightened"
    return "loosened" if after is None or before < after else "changed"


def _kind(key: str, before: Any, after: Any) -> str:
    if is_unread(key):
        return "unread"
    if key in (*_AT_LEAST, *_AT_MOST, *_ONE_WAY) and None in (before, after):
        return "tightened" if before is None else "loosened"
    if key in _AT_LEAST:
        return "tightened" if after > before else "loosened"
    if key in _AT_MOST:
        return "tightened" if after < before else "loosened"
    return "changed"
