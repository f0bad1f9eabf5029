"""Two event schemas against each other: what emitters and queries must know, and what breaks them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checker.governance.direction import Change, Direction, Place
from checker.governance.schema_facts import (
    EVERY,
    SchemaFacts,
    annotations_of,
    canonical,
    facts_of,
    without_annotations,
)
from checker.governance.schema_rules import is_unread, rule_changes

VERSION = "schema_version"
_BREAKING = frozenset({"field-removed", "retyped", "newly-required", "tightened", "changed", "other"})
_GONE = ("field-removed", "event-removed")
_WHY = {
    "field-added": "lines may have a further field, and queries a further column",
    "field-removed": "queries lose the column, and nobody tells emitters that it is not read",
    "retyped": "values of the old type are quarantined, and queries read another type",
    "newly-required": "lines without it were events and are quarantined now",
    "required-no-more": "lines without it were quarantined and are events now",
    "tightened": "lines that were events are quarantined now",
    "loosened": "lines that were quarantined are events now",
    "changed": "whether lines that were events are quarantined now cannot be told",
    "event-added": "lines of this name were kept unchecked and are checked now",
    "event-removed": "lines of this name are kept, and nothing more is asked of them",
    "dedup-key": "other lines are copies of each other, so that other events count",
    "unread": "no line is judged by it; whether something else reads it is not known",
    "other": "a part of the schema differs of which it cannot be told what it does",
    "layout": "it is written in another way; that it says the same is not proved",
    "description": "titles, descriptions, examples and comments judge no line",
}


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """One thing in which head differs from base: `kind` is a key of the table above.

    `field` and `event` are empty where it is of none or of all; of a description `field` is where it stands. `before`
    and `after` are as the schema writes them, None where there is no such thing. `is_breaking`: a line or a query that
    was sound may no longer be.
    """

    kind: str
    field: str
    event: str
    before: str | None
    after: str | None
    is_breaking: bool


def differences(base: Mapping[str, Any], head: Mapping[str, Any]) -> tuple[SchemaDifference, ...]:
    """What differs between two sound event schemas; empty only where they are the same JSON, in whatever order of keys.

    Raises ValueError where one of them is no event schema that the analyzer can build.
    """
    before, after = facts_of(base), facts_of(head)
    found = [
        *_fields(before, after),
        *_events(before, after),
        *_required(before, after),
        *_rules(before, after),
        *_whole(before, after),
    ]
    if not found and canonical(without_annotations(base)) != canonical(without_annotations(head)):
        found = [_difference("layout", "", EVERY, None, None)]
    told = {row.field for row in found if row.kind in ("field-added", "field-removed")}
    return (*found, *(row for row in _descriptions(base, head) if row.field not in told))


def breaking(
    found: Sequence[SchemaDifference], base: Mapping[str, Any], head: Mapping[str, Any]
) -> tuple[SchemaDifference, ...]:
    """The differences for which head must name a new version, and does not.

    Head does where the `const` or `enum` of `properties.schema_version` holds a version that base does not accept, of
    numbers a greater one. Where base names no version at all, head must also require the field.
    """
    return () if _names_new_version(facts_of(base), facts_of(head)) else tuple(row for row in found if row.is_breaking)


def changes(found: Sequence[SchemaDifference], place_path: str) -> tuple[Change, ...]:
    """Each difference as a change of the event schema in the file `place_path`: descriptions neutral, else unknown."""
    return tuple(
        Change(
            kind="event_schema",
            subject=".".join(part for part in ("event_schema", row.event, row.field) if part),
            rule=f"schema-{row.kind}",
            direction=Direction.NEUTRAL if row.kind == "description" else Direction.UNKNOWN,
            before=row.before,
            after=row.after,
            why=_WHY[row.kind],
            place=Place(place_path, side="base" if row.kind in _GONE else "head"),
        )
        for row in found
    )


def _difference(kind: str, name: str, event: str, before: str | None, after: str | None) -> SchemaDifference:
    return SchemaDifference(kind, name, event, before, after, kind in _BREAKING)


def _fields(before: SchemaFacts, after: SchemaFacts) -> Iterator[SchemaDifference]:
    for name in dict.fromkeys((*before.columns, *after.columns)):
        old, new = before.columns.get(name), after.columns.get(name)
        if old == new:
            continue
        kind = "field-added" if old is None else "field-removed" if new is None else "retyped"
        yield _difference(kind, name, EVERY, _type_of(before, name), _type_of(after, name))


def _type_of(facts: SchemaFacts, name: str) -> str | None:
    """`integer`, `string (date-time)`: the type that the field's first description tells."""
    for (_, field), rule in facts.rules.items():
        if field == name and name in facts.columns and "type" in rule:
            kind = rule["type"] if isinstance(rule["type"], str) else canonical(rule["type"])
            return f"{kind} ({rule['format']})" if "format" in rule else kind
    return facts.columns.get(name)


def _events(before: SchemaFacts, after: SchemaFacts) -> Iterator[SchemaDifference]:
    for event in before.events:
        if event not in after.events:
            yield _difference("event-removed", "", event, _listed(before.required_of(event)), None)
    for event in after.events:
        if event not in before.events:
            yield _difference("event-added", "", event, None, _listed(after.required_of(event)))


def _listed(fields: frozenset[str]) -> str:
    return f"requires {', '.join(sorted(fields))}"


def _required(before: SchemaFacts, after: SchemaFacts) -> Iterator[SchemaDifference]:
    """What is asked of every line first; of an event in both, what is not told with that."""
    shared = [event for event in after.events if event in before.events]
    old_all, new_all = before.required_of(EVERY), after.required_of(EVERY)
    for event in (EVERY, *shared):
        old, new = before.required_of(event), after.required_of(event)
        told_new, told_old = (new_all - old_all, old_all - new_all) if event else (frozenset(), frozenset())
        for name in sorted(new - old - told_new):
            yield _difference("newly-required", name, event, None, "required")
        for name in sorted(old - new - told_old):
            yield _difference("required-no-more", name, event, "required", None)


def _rules(before: SchemaFacts, after: SchemaFacts) -> Iterator[SchemaDifference]:
    """What a field must satisfy, where base and head both know the field and the event."""
    for key in dict.fromkeys((*before.rules, *after.rules)):
        event, name = key
        if event and not (event in before.events and event in after.events):
            continue
        if (name in before.columns) != (name in after.columns):
            continue
        for change in rule_changes(before.rules.get(key, {}), after.rules.get(key, {})):
            if change.kind == "retyped" and before.columns.get(name) != after.columns.get(name):
                continue  # told with the fields
            yield _difference(change.kind, name, event, change.before, change.after)


def _whole(before: SchemaFacts, after: SchemaFacts) -> Iterator[SchemaDifference]:
    if before.dedup_key != after.dedup_key:
        yield _difference("dedup-key", "", EVERY, ", ".join(before.dedup_key), ", ".join(after.dedup_key))
    for key in dict.fromkeys((*before.rest, *after.rest)):
        old, new = before.rest.get(key), after.rest.get(key)
        if old != new:
            yield _difference("unread" if is_unread(key) else "other", key, EVERY, old, new)


def _descriptions(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[SchemaDifference]:
    old, new = dict(annotations_of(base)), dict(annotations_of(head))
    for path in dict.fromkeys((*old, *new)):
        if old.get(path) != new.get(path):
            where = re.sub(r"^properties\.", "", ".".join(path[:-1]))
            yield _difference("description", where, EVERY, old.get(path), new.get(path))


def _names_new_version(before: SchemaFacts, after: SchemaFacts) -> bool:
    old, new = _versions(before), _versions(after)
    if not old:
        return bool(new) and VERSION in after.required_of(EVERY)
    fresh = [version for version in new if version not in old]
    numbers = [version for version in old if _is_number(version)]
    return any(not _is_number(version) or version > max(numbers, default=version - 1) for version in fresh)


def _versions(facts: SchemaFacts) -> list[Any]:
    rule = facts.rules.get((EVERY, VERSION), {})
    return [rule["const"]] if "const" in rule else list(rule.get("enum", ()))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
