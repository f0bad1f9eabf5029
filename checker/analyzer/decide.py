"""Judged windows, a gate, the ledger's state and the approvals become one decision. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from checker.analyzer.judge import JudgedWindow
from checker.model import Decision, GateResult, Judgement, OnViolation, Status, Verdict
from checker.policy.model import Policy


@dataclass(frozen=True, slots=True)
class Standing:
    """What the past allows: the incident that is open, the rollbacks made, the approvals given, alerts that block.

    `rollback_unknown` was begun, and neither ended nor failed. Windows begun before `answered_until` were answered by a
    rollback that ended or a person who cancelled. `rollbacks` counts those within `max_rollbacks`' time.
    `approvals_refused` says by role why an approval that was given does not count.
    """

    incident: str | None = None
    incident_rolled_back: bool = False
    incident_requires_rollback: bool = False
    rollback_unknown: str | None = None
    answered_until: datetime | None = None
    rollbacks: int = 0
    approvals: frozenset[str] = frozenset()
    approvals_refused: Mapping[str, str] = field(default_factory=dict)
    blocking_alerts: tuple[str, ...] = ()
    paused: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """All that a decision is made from. `judged` is not empty and ordered by time."""

    policy: Policy
    phase: str
    events_of: str
    as_of: datetime
    judged: tuple[JudgedWindow, ...]
    gate: GateResult
    last_break: Judgement | None = None
    standing: Standing = field(default_factory=Standing)
    what_if: bool = False


def decide(case: Case) -> Decision:
    """Roll back on a violation that asks for it, else advance where gate and approvals allow, else hold."""
    policy, standing = case.policy, case.standing
    deciding = max(case.judged, key=lambda item: (_asks_rollback(case, item), item.outcome.severity, item.window))
    asks = _asks_rollback(case, deciding)
    required = (asks and not standing.incident_rolled_back) or standing.incident_requires_rollback
    exhausted = standing.rollbacks >= policy.rollback.max_rollbacks
    missing = tuple(role for role in policy.phase(case.phase).approvers if role not in standing.approvals)
    if required and not standing.incident and not exhausted and not standing.rollback_unknown:
        verdict, reasons = Verdict.ROLLBACK, tuple(_violation_reasons(case, deciding))
    else:
        reasons = tuple(_hold_reasons(case, deciding, missing, asks and exhausted))
        verdict = Verdict.ADVANCE if case.gate.passed and not reasons else Verdict.HOLD
    phase = policy.phase(case.phase)
    return Decision(
        target=policy.target,
        title=policy.title,
        phase=case.phase,
        events_of=case.events_of,
        audience=phase.audience,
        as_of=case.as_of,
        window=deciding.window,
        outcome=deciding.outcome,
        verdict=verdict,
        rollback_required=required,
        rollback_to=policy.phase_before(case.phase) if required else None,
        command=_command(case, deciding) if required else None,
        judgements=deciding.judgements,
        gate=case.gate,
        inputs=deciding.inputs,
        judged=tuple(item.window for item in case.judged),
        next_phase=policy.phase_after(case.phase),
        reasons=reasons,
        approvals_missing=missing,
        last_break=case.last_break,
        what_if=case.what_if,
        incident=standing.incident,
    )


def _rollback_violations(case: Case, item: JudgedWindow) -> list[Judgement]:
    """Violations of the window that roll back, the furthest past its threshold first."""
    rows = [
        row
        for row in item.judgements
        if row.status is Status.VIOLATION and case.policy.slos[row.slo].on_violation is OnViolation.ROLLBACK
    ]
    return sorted(rows, key=lambda row: -row.threshold.excess(row.value))


def _asks_rollback(case: Case, item: JudgedWindow) -> bool:
    """Whether a violation of the window rolls back; one in a window that has been answered does not."""
    answered = case.standing.answered_until is not None and item.window.start < case.standing.answered_until
    return bool(_rollback_violations(case, item)) and not answered


def _command(case: Case, deciding: JudgedWindow) -> tuple[str, ...]:
    """The guarded rollback of this phase; for whoever reads the notice to copy."""
    violated = _rollback_violations(case, deciding)
    reason = f"{violated[0].slo} violation" if violated else f"incident {case.standing.incident}"
    return (
        "phasegate",
        "rollback",
        f"--target={case.policy.target}",
        f"--phase={case.phase}",
        f"--reason={reason}",
    )


def _violation_reasons(case: Case, deciding: JudgedWindow) -> Iterator[str]:
    for row in _rollback_violations(case, deciding):
        yield f"{row.slo} violation"


def _hold_reasons(case: Case, deciding: JudgedWindow, missing: tuple[str, ...], exhausted: bool) -> Iterator[str]:
    """Everything that stands between here and an advance; nothing where it may."""
    standing = case.standing
    if standing.incident:
        yield f"incident {standing.incident} is open{_rollback_state(standing)}"
    if standing.rollback_unknown:
        yield f"the outcome of rollback {standing.rollback_unknown} is unknown; it waits for a person"
    if exhausted:
        yield f"{standing.rollbacks} rollbacks already; a further one waits for a person"
    if standing.paused:
        yield f"paused: {standing.paused}"
    if freeze := case.policy.freeze_at(case.as_of):
        yield f"frozen {freeze.told}"
    if not deciding.outcome.is_met:
        yield f"the window's outcome is {deciding.outcome.value}"
    yield from _gate_reasons(case.gate)
    for alert in standing.blocking_alerts:
        yield f"{alert} blocks the gate"
    for role in missing:
        yield missing_approval(role, standing.approvals_refused)


def missing_approval(role: str, refused: Mapping[str, str]) -> str:
    """`approval of SRE is missing`, and why one that was given does not count."""
    why = f" (one was given, and does not count: {refused[role]})" if role in refused else ""
    return f"approval of {role} is missing{why}"


def _rollback_state(standing: Standing) -> str:
    if standing.incident_rolled_back:
        return "; its rollback is recorded"
    return "; its rollback is not recorded yet" if standing.incident_requires_rollback else ""


def _gate_reasons(gate: GateResult) -> Iterator[str]:
    if gate.error:
        yield f"gate {gate.name}: {gate.error}"
    elif not gate.criteria:
        yield f"gate {gate.name}: its query returned no criterion"
    for row in gate.criteria:
        if not row.passed:
            yield f"{row.criterion}: {_number(row.observed)} of {_number(row.required)}"


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:g}"
