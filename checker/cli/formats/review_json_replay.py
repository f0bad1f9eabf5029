"""What base and head decide over the same logs, as a part of a review's JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from checker.cli.formats.review_words import gravest_flips
from checker.governance.flips import beside
from checker.governance.reviewed import (
    Consequences,
    Detection,
    Flip,
    IncidentOutcome,
    PhaseReplay,
    Population,
    ValueChange,
    VerdictFlip,
)
from checker.model import Decision, Window
from checker.units import finite
from checker.windows import iso, iso_or_none


def consequences_document(told: Consequences) -> dict[str, Any]:
    """Every window's outcomes beside each other, and what differs, by its kind."""
    alarms = told.false_alarms
    return {
        "since": iso(told.since),
        "until": iso(told.until),
        "source": told.source,
        "events": told.events,
        "replays": [_replay(row) for row in told.replays],
        "flips": [_flip(row) for row in gravest_flips(told.flips)],
        "verdict_flips": [_verdict_flip(row) for row in told.verdict_flips],
        "gates": [
            {"phase": row.phase, "before": iso_or_none(row.before), "after": iso_or_none(row.after)}
            for row in told.gates
        ],
        "values": [_value(row) for row in told.values],
        "populations": [_population(row) for row in told.populations],
        "incidents": [_incident(row) for row in told.incidents],
        "false_alarms": None if alarms is None else {"before": alarms.before, "after": alarms.after},
        "not_replayed": dict(told.not_replayed),
    }


def _window(window: Window) -> dict[str, str]:
    return {"start": iso(window.start), "end": iso(window.end)}


def _replay(row: PhaseReplay) -> dict[str, Any]:
    return {"phase": row.phase, "events_of": row.events_of, "windows": [*_windows(row)]}


def _windows(row: PhaseReplay) -> Iterator[dict[str, Any]]:
    for window, base, head in beside(row):
        yield {**_window(window), "base": _decided(base), "head": _decided(head)}


def _decided(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {
        "outcome": decision.outcome.value,
        "decision": decision.verdict.value,
        "gate_passed": decision.gate.passed,
        "values": {row.slo: finite(row.value) for row in decision.judgements},
    }


def _flip(row: Flip) -> dict[str, Any]:
    return {
        "phase": row.phase,
        "window": _window(row.window),
        "slo": row.slo,
        "unit": row.unit,
        "before": row.before.value,
        "after": row.after.value,
        "value_before": finite(row.value_before),
        "value_after": finite(row.value_after),
        "limit_before": finite(row.limit_before),
        "limit_after": finite(row.limit_after),
    }


def _verdict_flip(row: VerdictFlip) -> dict[str, Any]:
    return {
        "phase": row.phase,
        "window": _window(row.window),
        "outcome_before": row.outcome_before.value,
        "outcome_after": row.outcome_after.value,
        "decision_before": row.verdict_before.value,
        "decision_after": row.verdict_after.value,
    }


def _value(row: ValueChange) -> dict[str, Any]:
    return {
        "phase": row.phase,
        "slo": row.slo,
        "unit": row.unit,
        "windows": row.windows,
        "largest_at": _window(row.largest_at),
        "before": finite(row.before),
        "after": finite(row.after),
    }


def _population(row: Population) -> dict[str, Any]:
    return {"query": row.query, "phase": row.phase, "entered": row.entered, "left": row.left, "why": row.why}


def _incident(row: IncidentOutcome) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "phase": row.phase,
        "start": iso(row.start),
        "end": iso(row.end),
        "is_in_span": row.is_in_span,
        "base": _detection(row.base),
        "head": _detection(row.head),
    }


def _detection(row: Detection) -> dict[str, Any]:
    late = None if row.late is None else row.late.total_seconds()
    return {"caught_at": iso_or_none(row.caught_at), "late_s": late}
