"""What a template may say of a decision: plain strings, rounded here: templates word and never compute. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from checker.model import Criterion, Decision, GateResult, Judgement, OnViolation, Status
from checker.policy.model import Policy, Slo
from checker.reporter.escape import LIVE_IN_COMMANDS
from checker.reporter.shell import command_line
from checker.units import NOT_MEASURED, compact, number, threshold_text, value_in_unit, value_text
from checker.windows import iso, stamp

Metrics = Mapping[str, Mapping[str, str]]
Facts = Mapping[str, str | Metrics]

NO_COMMAND = "not required"


class Command(str):
    """A command line: to be copied, so that it keeps its characters wherever it is shown."""

    __slots__ = ()


def facts(
    policy: Policy,
    decision: Decision,
    *,
    state: str = "proposed",
    initiator: str = "phasegate",
    reason: str = "",
    metric: str = "",
) -> dict[str, str | Metrics]:
    """The placeholders of a template and their values: text, but for `metrics` (SLO → value, text, threshold, …).

    `state` is how far a rollback has come (proposed, begun, ended) or how an incident was closed (ended, cancelled),
    `initiator` who made it and `reason` why, by default `metric`, by default the worst violated SLO.
    """
    metric = metric or worst_violated(policy, decision)
    return {
        "target": decision.target,
        "title": decision.title,
        "phase": decision.phase,
        "phase_title": policy.phase(decision.phase).title,
        "audience": decision.audience,
        "next_phase": decision.next_phase,
        "window": iso(decision.window.start),
        "window_end": iso(decision.window.end),
        "as_of": iso(decision.as_of),
        "outcome": decision.outcome.value,
        "decision": decision.verdict.value,
        "rollback_required": "true" if decision.rollback_required else "false",
        "rollback_to": decision.rollback_to or NO_COMMAND,
        "metric": metric,
        "cmd": Command(command_line(decision.command, LIVE_IN_COMMANDS)) if decision.command else NO_COMMAND,
        "initiator": initiator,
        "reason": reason or (f"{metric} violation" if metric != NOT_MEASURED else ". ".join(decision.reasons)),
        "state": state,
        "action": "watch",
        "gate": gate_text(decision.gate),
        "incident": decision.incident or "none",
        "notice_id": f"{decision.target}/{decision.phase}/{stamp(decision.window.start)}",
        "metrics": {row.slo: _metric(policy.slos[row.slo], row) for row in decision.judgements},
    }


def _metric(slo: Slo, judgement: Judgement) -> dict[str, str]:
    value = value_in_unit(judgement.value, judgement.threshold)
    return {
        "title": slo.title,
        "unit": slo.unit,
        "value": value,
        "text": value_text(judgement.value, slo.unit, judgement.threshold),
        "compact": compact(value, slo.unit),
        "threshold": threshold_of(slo, judgement),
        "status": judgement.status.value,
        "samples": str(judgement.samples),
        "reason": judgement.reason or why(judgement),
    }


def threshold_of(slo: Slo, judgement: Judgement) -> str:
    """`≤ 2.0 s`, with the unit and the decimals that the SLO's thresholds share over all phases."""
    return threshold_text(judgement.threshold, slo.unit, [row.limit for row in slo.thresholds.values()])


def why(judgement: Judgement) -> str:
    """Why nothing could be said of an SLO, where its judgement gives no reason; empty where the status says it all."""
    if judgement.status is Status.NO_DATA:
        return f"too few samples ({judgement.samples})" if judgement.samples else "no samples"
    if judgement.status is Status.ERROR:
        return "its query failed or its value is not finite"
    return ""


def worst_violated(policy: Policy, decision: Decision) -> str:
    """Name of the violated SLO that is furthest past its threshold, those that roll back first; `n/a` without one."""
    rows = [row for row in decision.violated if policy.slos[row.slo].on_violation is not OnViolation.OBSERVE]
    rows.sort(key=lambda row: policy.slos[row.slo].on_violation is not OnViolation.ROLLBACK)
    return rows[0].slo if rows else NOT_MEASURED


def gate_text(gate: GateResult) -> str:
    """The gate in one line: passed, each criterion, or why it could not be evaluated."""
    if gate.error is not None:
        return f"could not be evaluated: {gate.error}"
    if not gate.criteria:
        return "not passed: its query returned no row"
    return " · ".join(_criteria_texts(gate))


def _criteria_texts(gate: GateResult) -> Iterator[str]:
    if gate.passed:
        yield "passed"
    yield from map(criterion_text, gate.criteria)


def criterion_text(row: Criterion) -> str:
    """`41 of 96 windows met in a row` for a streak (`continuous_…`, `consecutive_<noun>`), else `0 alerts (need 0)`."""
    observed = "?" if row.observed is None else number(row.observed)
    required = "?" if row.required is None else number(row.required)
    kind, _, noun = row.criterion.partition("_")
    if is_streak(row):
        return f"{observed} of {required} {noun.replace('_', ' ') if kind == 'consecutive' else 'windows'} met in a row"
    return f"{observed} {row.criterion.replace('_', ' ')} (need {required})"


def is_streak(row: Criterion) -> bool:
    """Whether the criterion counts windows in a row, by its name: `continuous_…`, `consecutive_<noun>`."""
    return row.criterion.partition("_")[0] in ("continuous", "consecutive")
