"""Incidents as lines for people and as a JSON document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from checker.cli.formats.layout import Line, Span, paint, wrapped
from checker.ledger.values import Incident
from checker.windows import iso, iso_or_none

_LABEL_WIDTH = 12


def render_incidents(incidents: Sequence[Incident], width: int) -> str:
    """Each incident with what is known of it, as labelled lines."""
    if not incidents:
        return "no incident\n"
    return paint((line for incident in incidents for line in _lines(incident, width)), colour=False)


def _lines(incident: Incident, width: int) -> Iterator[Line]:
    yield (Span(f"{incident.id} · phase {incident.phase} · {_state(incident)}"),)
    for label, text in _facts(incident):
        yield from wrapped(text, width, label=f"{label:<{_LABEL_WIDTH}}")


def _state(incident: Incident) -> str:
    if incident.closed_at is None:
        return "OPEN"
    return f"{incident.outcome} {iso(incident.closed_at)}"


def _facts(incident: Incident) -> Iterator[tuple[str, str]]:
    yield "opened", iso(incident.opened_at)
    yield "cause", incident.cause
    for start, slo in _violations(incident):
        yield "violation", f"{slo}, window {start}"
    if incident.rolled_back_at is not None:
        yield "rolled back", f"{iso(incident.rolled_back_at)} ({incident.rolled_back_by})"
    elif incident.rollback_required:
        yield "rollback", "required, not recorded yet"
    if incident.recovery:
        met = sum(check.met for check in incident.recovery)
        yield "recovery", f"{met} of {len(incident.recovery)} checks met"
    if incident.closed_reason:
        yield "closed", f"by {incident.closed_by or 'phasegate'}: {incident.closed_reason}"
    for note in incident.notes:
        step = f" (step {note.step} done)" if note.step else ""
        yield "note", f"{iso(note.at)} {note.by}: {note.text}{step}"


def _violations(incident: Incident) -> list[tuple[str, str]]:
    return sorted((iso(start) if start else "-", slo) for start, slo in incident.violations)


def incident_documents(incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    """The same for programs; what is not known is null."""
    return [
        {
            "id": incident.id,
            "phase": incident.phase,
            "opened_at": iso(incident.opened_at),
            "cause": incident.cause,
            "violations": [{"window": start, "slo": slo} for start, slo in _violations(incident)],
            "rollback_required": incident.rollback_required,
            "rollback_active": incident.rollback_active,
            "rolled_back_at": iso_or_none(incident.rolled_back_at),
            "recovery": [
                {"due": iso(check.window_end), "met": check.met, "outcome": check.outcome}
                for check in incident.recovery
            ],
            "closed_at": iso_or_none(incident.closed_at),
            "outcome": incident.outcome,
            "closed_by": incident.closed_by,
            "closed_reason": incident.closed_reason,
            "notes": [
                {"at": iso(note.at), "by": note.by, "text": note.text, "step": note.step} for note in incident.notes
            ],
        }
        for incident in incidents
    ]
