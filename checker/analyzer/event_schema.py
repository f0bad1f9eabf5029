"""An event schema as the analyzer needs it: columns, dedup key, and what a line must satisfy.

Shapes: a column is `(name, DuckDB type)`. The relation type of a property follows its JSON type: string VARCHAR
(`format: date-time` TIMESTAMP, UTC), number DOUBLE, integer BIGINT, boolean BOOLEAN, anything else JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

RESERVED = ("window_start", "payload", "line_number")
REQUIRED = ("ts", "event", "phase")
_SCALAR_TYPES = {"string": "VARCHAR", "number": "DOUBLE", "integer": "BIGINT", "boolean": "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class EventSchema:
    """A sound event schema. `document` is the JSON Schema itself."""

    document: Mapping[str, Any]
    columns: Mapping[str, str]
    dedup_key: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the schema's content; its layout does not count."""
        return hashlib.sha256(json.dumps(self.document, sort_keys=True).encode()).hexdigest()

    def read_type(self, column: str) -> str:
        """The type that DuckDB's JSON reader is told: a zone must be read before it is dropped."""
        kind = self.columns[column]
        return "TIMESTAMPTZ" if kind == "TIMESTAMP" else kind


def build(document: Mapping[str, Any]) -> EventSchema:
    """Make an EventSchema of a JSON Schema document. Raises ValueError with every fault, one a line."""
    faults = list(_faults(document))
    if faults:
        raise ValueError("\n".join(faults))
    properties = dict(_properties(document))
    return EventSchema(
        document=document,
        columns={name: column_type(schema) for name, schema in properties.items()},
        dedup_key=tuple(document.get("x-phasegate", {}).get("dedup_key", ())),
    )


def column_type(schema: Mapping[str, Any]) -> str:
    """DuckDB type of the column that holds a property described by `schema`."""
    kind = schema.get("type")
    if kind == "string" and schema.get("format") == "date-time":
        return "TIMESTAMP"
    return _SCALAR_TYPES.get(kind, "JSON") if isinstance(kind, str) else "JSON"


def _properties(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every property that describes a type, those of the branches included; the first description counts."""
    seen = set()
    branches = [document, *(branch.get("then", {}) for branch in document.get("allOf", ()))]
    for branch in branches:
        for name, schema in branch.get("properties", {}).items():
            if name not in seen and isinstance(schema, dict) and "type" in schema:
                seen.add(name)
                yield name, schema


def _faults(document: Mapping[str, Any]) -> Iterator[str]:
    types = dict(_properties(document))
    if document.get("type") != "object":
        yield 'type: an event is an object; write "type": "object"'
    for name in REQUIRED:
        if name not in types:
            yield f"properties.{name}: missing; every event has {', '.join(REQUIRED)}"
        elif name not in document.get("required", ()):
            yield f"required: {name!r} is missing; every event has {', '.join(REQUIRED)}"
    if "ts" in types and column_type(types["ts"]) != "TIMESTAMP":
        yield 'properties.ts: must be a string with "format": "date-time"'
    yield from _name_faults(types)
    yield from _branch_faults(document, types)
    for name in document.get("x-phasegate", {}).get("dedup_key", ()):
        if name not in types:
            yield f"x-phasegate.dedup_key: {name!r} is not a property"


def _name_faults(types: Mapping[str, Any]) -> Iterator[str]:
    first = {name.lower(): name for name in reversed(list(types))}
    for name in types:
        if name.lower() in RESERVED:
            yield f"properties.{name}: the name is reserved for phasegate's own column; choose another"
        elif first[name.lower()] != name:
            yield f"properties.{name}: differs from {first[name.lower()]!r} in case only; SQL cannot tell them apart"


def _branch_faults(document: Mapping[str, Any], types: Mapping[str, Any]) -> Iterator[str]:
    for branch in document.get("allOf", ()):
        for name, schema in branch.get("then", {}).get("properties", {}).items():
            if not isinstance(schema, dict) or "type" not in schema:
                continue
            found, known = column_type(schema), column_type(types[name])
            if found != known:
                yield f"properties.{name}: {found} in one branch and {known} elsewhere; a column has one type"
