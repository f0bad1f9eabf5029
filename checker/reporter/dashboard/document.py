"""The dashboard as a JSON document: unrounded values, so that they can be held against the logs. Pure."""

from __future__ import annotations

from typing import Any

from checker.ledger.values import Incident, RollbackRecord
from checker.model import Decision, Window
from checker.policy.model import Policy
from checker.reporter.dashboard.trend import trend
from checker.reporter.recovery_plan import progress
from checker.reporter.shell import command_line
from checker.reporter.survey import Survey
from checker.units import finite, margin_percent
from checker.windows import iso, iso_or_none

SCHEMA_VERSION = 1
RECENT = 10


def dashboard_document(survey: Survey) -> dict[str, Any]:
    """The document that `schemas/dashboard.schema.json` describes; the same survey gives the same document."""
    decision, state, policy = survey.decision, survey.state, survey.policy
    incident = state.open_incident
    pause = state.paused_at(survey.as_of)
    freeze = policy.freeze_at(survey.as_of)
    waiting = [notice for notice in state.notices if not notice.is_settled]
    return {
        "schema_version": SCHEMA_VERSION,
        "target": policy.target,
        "title": policy.title,
        "as_of": iso(survey.as_of),
        "phase": survey.stands_at,
        "judged_by": survey.phase,
        "audience": decision.audience,
        "since": iso_or_none(state.entered_at),
        "window": _window(decision.window),
        "newest_window": _window(survey.windows[-1].window),
        "outcome": decision.outcome.value,
        "decision": decision.verdict.value,
        "reasons": list(decision.reasons),
        "next_phase": decision.next_phase,
        "rollback_active": bool(incident and incident.rollback_active),
        "rollback_required": decision.rollback_required or bool(incident and incident.rollback_required),
        "rollback_unknown": _rollback(state.rollback_unknown) if state.rollback_unknown else None,
        "rollback_to": decision.rollback_to,
        "command": None if decision.command is None else command_line(decision.command),
        "cards": [_card(survey, name) for name in policy.slos],
        "gate": _gate(decision),
        "approvals_missing": list(decision.approvals_missing),
        "pause": {"by": pause.by, "reason": pause.reason, "until": iso_or_none(pause.until)} if pause else None,
        "freeze": freeze.told if freeze else None,
        "incident": _incident(incident, policy) if incident else None,
        "incidents": [_incident(row, policy) for row in state.incidents[::-1][:RECENT]],
        "rollbacks": [_rollback(row) for row in state.rollbacks[::-1][:RECENT]],
        "notices_waiting": [
            {"id": notice.id, "notice": notice.notice, "channel": notice.channel, "at": iso(notice.at),
             "failure": notice.failure}
            for notice in waiting[-RECENT:]
        ],
        "windows": [
            {
                "start": iso(item.window.start),
                "outcome": item.outcome.value,
                "slos": {row.slo: {"value": finite(row.value), "status": row.status.value} for row in item.judgements},
            }
            for item in survey.windows
        ],
        "provenance": {
            "governed_digest": survey.provenance.governed_digest,
            "judging_digest": survey.provenance.judging_digest,
            "engine": survey.provenance.engine,
        },
    }  # fmt: skip


def _card(survey: Survey, name: str) -> dict[str, Any]:
    """One SLO: its newest window against its threshold, and where its value is going."""
    slo, item = survey.policy.slos[name], survey.windows[-1]
    row = next(row for row in item.judgements if row.slo == name)
    values = [judged.value for window in survey.windows for judged in window.judgements if judged.slo == name]
    going = trend(values, row.threshold.limit)
    return {
        "slo": name,
        "title": slo.title,
        "phase": survey.phase,
        "window": _window(item.window),
        "value": finite(row.value),
        "unit": slo.unit,
        "comparison": row.threshold.comparison.value,
        "threshold": row.threshold.limit,
        "warn_threshold": row.threshold.warn_limit,
        "margin_percent": margin_percent(row.value, row.threshold, slo.unit),
        "trend": {"direction": going.direction, "change": going.change},
        "status": row.status.value,
        "samples": row.samples,
        "reason": row.reason,
        "on_violation": slo.on_violation.value,
    }


def _gate(decision: Decision) -> dict[str, Any]:
    gate = decision.gate
    return {
        "name": gate.name,
        "passed": gate.passed,
        "error": gate.error,
        "criteria": [
            {
                "criterion": row.criterion,
                "observed": finite(row.observed),
                "required": finite(row.required),
                "passed": row.passed,
            }
            for row in gate.criteria
        ],
        "earliest_pass": iso_or_none(gate.earliest_pass),
    }


def _incident(incident: Incident, policy: Policy) -> dict[str, Any]:
    recovery = progress(incident, policy.rollback.recovery_every, policy.rollback.recovery_for)
    return {
        "id": incident.id,
        "phase": incident.phase,
        "cause": incident.cause,
        "opened_at": iso(incident.opened_at),
        "violations": sorted(
            ({"window": iso_or_none(start), "slo": slo} for start, slo in incident.violations),
            key=lambda row: (row["window"] or "", row["slo"]),
        ),
        "rolled_back_at": iso_or_none(incident.rolled_back_at),
        "recovery": {
            "met_in_a_row": recovery.met_in_a_row,
            "needed": recovery.needed,
            "next_due": iso_or_none(recovery.next_due),
            "checks": [{"due": iso(check.window_end), "met": check.met} for check in incident.recovery],
        },
        "closed_at": iso_or_none(incident.closed_at),
        "outcome": incident.outcome,
        "closed_by": incident.closed_by,
        "closed_reason": incident.closed_reason,
    }


def _rollback(row: RollbackRecord) -> dict[str, Any]:
    return {
        "id": row.id,
        "event": row.event,
        "at": iso(row.at),
        "from": row.phase_from,
        "to": row.phase_to,
        "by": row.by,
        "reason": row.reason,
    }


def _window(window: Window) -> dict[str, str]:
    return {"start": iso(window.start), "end": iso(window.end)}
