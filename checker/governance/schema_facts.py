"""An event schema as what it asks of a line, whichever way it is written: two that say the same are equal. Pure.

Shapes: `rules` are what a field must satisfy, by (event, field), each a JSON Schema without its annotations; the event
"" stands for every line. `required` are fields by event. `rest` is what the shape above has no place for, by keyword.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from checker.analyzer.event_schema import build

EVERY = ""
ANNOTATIONS = frozenset({"title", "description", "examples", "$comment"})
_NAMED = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})  # a schema for each name
_DATA = frozenset({"const", "enum", "default", "required", "type", "x-phasegate", "dependentRequired"})
_UNDERSTOOD = frozenset({"type", "required", "properties", "allOf", "$defs", "x-phasegate"})
_SAID_ALREADY = (("type", "object"), ("required", ["event"]))  # of every line

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SchemaFacts:
    """What an event schema asks; see the shapes above. `events` are the names that it knows, in its order.

    `columns` are the types of the columns that it makes, as the analyzer has them.
    """

    columns: Mapping[str, str]
    dedup_key: tuple[str, ...]
    events: tuple[str, ...]
    required: Mapping[str, frozenset[str]]
    rules: Mapping[tuple[str, str], Schema]
    rest: Mapping[str, str] = field(default_factory=dict)

    def required_of(self, event: str) -> frozenset[str]:
        """Fields that a line of `event` must have, those of every line among them."""
        return self.required.get(EVERY, frozenset()) | self.required.get(event, frozenset())


def facts_of(document: Schema) -> SchemaFacts:
    """The facts of the event schema `document`. Raises ValueError where `build` of the analyzer does."""
    schema = build(document)
    bare = _bare(document, document.get("$defs", {}))
    required = {EVERY: frozenset(bare.get("required", ()))}
    rules: dict[tuple[str, str], Schema] = {(EVERY, name): rule for name, rule in bare["properties"].items()}
    for event, then in _branches(bare):
        required[event] = required.get(event, frozenset()) | frozenset(then.get("required", ()))
        for name, rule in then.get("properties", {}).items():
            known = rules.get((event, name), rule)
            rules[event, name] = rule if known == rule else {**known, "allOf": [*known.get("allOf", ()), rule]}
    events = dict.fromkeys((*_names(rules[EVERY, "event"]), *(event for event in required if event != EVERY)))
    return SchemaFacts(schema.columns, schema.dedup_key, tuple(events), required, rules, dict(_rest(bare)))


def _branches(bare: Schema) -> Iterator[tuple[str, Schema]]:
    """What is asked of each event, as far as it is asked in the usual way."""
    for branch in bare.get("allOf", ()):
        yield from ((event, branch["then"]) for event in _events_of(branch))


def _rest(bare: Schema) -> Iterator[tuple[str, str]]:
    yield from ((key, canonical(value)) for key, value in bare.items() if key not in _UNDERSTOOD)
    if others := sorted(canonical(branch) for branch in bare.get("allOf", ()) if not _events_of(branch)):
        yield "allOf", canonical(others)
    if own := {key: value for key, value in bare.get("x-phasegate", {}).items() if key != "dedup_key"}:
        yield "x-phasegate", canonical(own)


def without_annotations(document: Schema) -> Any:
    """The schema without titles, descriptions, examples and comments, and else as it is written."""
    return _bare(document, {})


def canonical(value: Any) -> str:
    """A JSON value as text: the same for the same value, and `true` is not 1."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def annotations_of(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Titles, descriptions, examples and comments, as JSON, by the path of their keyword."""
    if isinstance(document, list):
        for index, part in enumerate(document):
            yield from annotations_of(part, (*path, str(index)))
    for key, value in document.items() if isinstance(document, dict) else ():
        if key in ANNOTATIONS:
            yield (*path, key), canonical(value)
        elif key in _NAMED and isinstance(value, dict):
            for name, part in value.items():
                yield from annotations_of(part, (*path, key, name))
        elif key not in _DATA:
            yield from annotations_of(value, (*path, key))


def _bare(schema: Any, definitions: Schema) -> Any:
    """A schema without annotations, with what its references stand for in their place; `true` is {}."""
    if isinstance(schema, list):
        return [_bare(part, definitions) for part in schema]
    if schema is True:
        return {}
    if schema is False:
        return {"not": {}}
    if not isinstance(schema, dict):
        return schema
    found = {key: _bare_value(key, value, definitions) for key, value in schema.items() if key not in ANNOTATIONS}
    return _resolved(found, definitions)


def _bare_value(key: str, value: Any, definitions: Schema) -> Any:
    if key in _DATA:
        return value
    if key in _NAMED and isinstance(value, dict):
        return {name: _bare(part, definitions) for name, part in value.items()}
    return _bare(value, definitions) if isinstance(value, dict | list) else value


def _resolved(schema: dict[str, Any], definitions: Schema) -> dict[str, Any]:
    """`$ref` replaced by its definition, of which none refers to itself: such a schema is refused when it is loaded."""
    reference = schema.get("$ref")
    name = reference.removeprefix("#/$defs/") if isinstance(reference, str) else ""
    if name not in definitions:
        return schema
    own = {key: value for key, value in schema.items() if key != "$ref"}
    meant = _bare(definitions[name], definitions)
    return {**meant, **own} if not meant.keys() & own.keys() else {**own, "allOf": [*own.get("allOf", ()), meant]}


def _events_of(branch: Any) -> tuple[str, ...]:
    """The events that a branch speaks of; none where it is no `if` of event names with a `then` that is understood."""
    if (
        not isinstance(branch, dict)
        or set(branch) != {"if", "then"}
        or set(branch["then"]) - {"required", "properties"}
    ):
        return ()
    asked = {key: value for key, value in branch["if"].items() if (key, value) not in _SAID_ALREADY}
    if set(asked) != {"properties"} or set(asked["properties"]) != {"event"}:
        return ()
    condition = asked["properties"]["event"]
    return _names(condition) if set(condition) - {"type"} in ({"const"}, {"enum"}) else ()


def _names(rule: Schema) -> tuple[str, ...]:
    values = rule["enum"] if isinstance(rule.get("enum"), list) else [rule["const"]] if "const" in rule else []
    return tuple(values) if all(isinstance(value, str) for value in values) else ()
