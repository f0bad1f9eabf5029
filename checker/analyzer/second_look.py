"""Whether the event schema has what is looked at beside the queries: by `verify`, and of the collector's own lines."""

from __future__ import annotations

from collections.abc import Iterator

from checker.analyzer.event_schema import EventSchema
from checker.errors import Problem
from checker.policy.model import Policy, Slo
from checker.schemas import nearest

_NUMBERS = ("BIGINT", "DOUBLE")
_OF_A_SEAL = (
    ("batch_start", "TIMESTAMP", '{"type": "string", "format": "date-time"}'),
    ("latency_ms", "DOUBLE", '{"type": "number", "minimum": 0}'),
    ("incomplete", "JSON", '{"type": "array", "items": {"type": "string"}}'),
)


def second_look_problems(policy: Policy, schema: EventSchema) -> Iterator[Problem]:
    """Fields that are not in the event schema, or are no number there."""
    shown = policy.path.relative_to(policy.root).as_posix()
    numbers = tuple(name for name, kind in schema.columns.items() if kind in _NUMBERS)
    for slo in policy.slos.values():
        for place, field in _fields(slo):
            if field not in numbers:
                why = "holds no number" if field in schema.columns else f"is not in {policy.event_schema}"
                yield Problem(shown, 0, 0, f"slos.{slo.name}.{place}: {field!r} {why}{nearest(field, numbers)}")


def collector_problems(policy: Policy, schema: EventSchema) -> Iterator[Problem]:
    """Fields of a seal that the event schema does not describe: without them nobody knows what a batch lacks."""
    if not policy.collector.sources:
        return
    for name, kind, example in _OF_A_SEAL:
        if schema.columns.get(name) != kind:
            told = f"properties.{name}: missing, or of another type; the collector's seals have it: add {example}"
            yield Problem(policy.event_schema, 0, 0, told)


def _fields(slo: Slo) -> Iterator[tuple[str, str]]:
    if slo.cross_check is not None and slo.cross_check.field:
        yield "cross_check.field", slo.cross_check.field
    if slo.companion is not None:
        yield from (("companion.between", name) for name in slo.companion.between)
        yield "companion.within.field", slo.companion.limit_field
