"""The result of a check as one JSON document, the same bytes for the same result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from checker.model import CheckResult, Decision, GateResult, InputCounts, Judgement, Notice, Provenance, Window
from checker.policy.model import Policy
from checker.reporter.shell import command_line
from checker.units import finite
from checker.windows import iso

SCHEMA_VERSION = 1


def document(result: CheckResult, policy: Policy) -> dict[str, Any]:
    """The document that `schemas/check.schema.json` describes; no NaN, no infinity, no path of the machine."""
    return {
        **decision_document(result.decision, policy),
        "notices": [_notice(notice) for notice in result.notices],
        "provenance": _provenance(result.provenance),
    }


def decision_document(decision: Decision, policy: Policy) -> dict[str, Any]:
    """The part of `document` that tells the decision, with every judgement and gate criterion behind it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "target": decision.target,
        "title": decision.title,
        "phase": decision.phase,
        "events_of": decision.events_of,
        "next_phase": decision.next_phase,
        "what_if": decision.what_if,
        "as_of": iso(decision.as_of),
        "window": _window(decision.window),
        "judged": [_window(window) for window in decision.judged],
        "outcome": decision.outcome.value,
        "decision": decision.verdict.value,
        "rollback_required": decision.rollback_required,
        "rollback_to": decision.rollback_to,
        "command": None if decision.command is None else command_line(decision.command),
        "command_arguments": None if decision.command is None else list(decision.command),
        "incident": decision.incident,
        "reasons": list(decision.reasons),
        "approvals_missing": list(decision.approvals_missing),
        "slos": [_slo(row, policy) for row in decision.judgements],
        "gate": _gate(decision.gate),
        "last_break": _last_break(decision),
        "input": _input(decision.inputs),
    }


def to_json(result: CheckResult, policy: Policy) -> str:
    """`document` as indented JSON that ends in a line break."""
    return json.dumps(document(result, policy), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def replay_line(decision: Decision) -> dict[str, Any]:
    """One window of a replay: window, outcome, decision, each judgement, and whether the gate passed."""
    return {
        "window": _window(decision.window),
        "outcome": decision.outcome.value,
        "decision": decision.verdict.value,
        "slos": [_judgement(row) for row in decision.judgements],
        "gate": {"passed": decision.gate.passed},
    }


def to_json_line(line: Mapping[str, Any]) -> str:
    """An object on one line that ends in a line break."""
    return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _window(window: Window) -> dict[str, str]:
    return {"start": iso(window.start), "end": iso(window.end)}


def _judgement(row: Judgement) -> dict[str, Any]:
    return {
        "slo": row.slo,
        "value": finite(row.value),
        "samples": row.samples,
        "threshold": row.threshold.limit,
        "status": row.status.value,
    }


def _slo(row: Judgement, policy: Policy) -> dict[str, Any]:
    slo = policy.slos[row.slo]
    return {
        "slo": row.slo,
        "title": slo.title,
        "query": slo.query,
        "value": finite(row.value),
        "unit": slo.unit,
        "comparison": row.threshold.comparison.value,
        "threshold": row.threshold.limit,
        "warn_threshold": row.threshold.warn_limit,
        "on_violation": slo.on_violation.value,
        "status": row.status.value,
        "samples": row.samples,
        "reason": row.reason,
        "recorded": row.recorded,
    }


def _gate(gate: GateResult) -> dict[str, Any]:
    return {
        "name": gate.name,
        "query": gate.query,
        "passed": gate.passed,
        "error": gate.error,
        "criteria": [
            {
                "criterion": row.criterion,
                "observed": finite(row.observed),
                "required": finite(row.required),
                "passed": row.passed,
                "since": None if row.since is None else iso(row.since),
                "reason": row.reason,
            }
            for row in gate.criteria
        ],
        "earliest_pass": None if gate.earliest_pass is None else iso(gate.earliest_pass),
    }


def _last_break(decision: Decision) -> dict[str, Any] | None:
    row = decision.last_break
    return None if row is None else {"window": _window(row.window), **_judgement(row)}


def _input(counts: InputCounts) -> dict[str, Any]:
    return {
        "batches": counts.batches,
        "lines": counts.lines,
        "events": counts.events,
        "duplicates": counts.duplicates,
        "too_late": counts.too_late,
        "quarantined": counts.quarantined,
        "quarantined_by_reason": dict(sorted(counts.quarantined_by_reason.items())),
    }


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "id": notice.id,
        "channel": notice.channel,
        "automatic": notice.automatic,
        "phase": notice.phase,
        "window": _window(notice.window),
        "text": notice.text,
    }


def _provenance(provenance: Provenance) -> dict[str, Any]:
    return {
        "governed_digest": provenance.governed_digest,
        "judging_digest": provenance.judging_digest,
        "queries": dict(sorted(provenance.queries.items())),
        "logs_digest": provenance.logs_digest,
        "engine": provenance.engine,
    }
