"""When a check opens an incident, and what it adds to the one that is open. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from checker.ledger.append import Draft
from checker.ledger.state import LedgerState
from checker.ledger.values import Incident
from checker.model import Covered, Decision, OnViolation
from checker.policy.model import Policy
from checker.windows import stamp

VIOLATION, RETRY = "violation", "retry_exhausted"  # what leads to an incident


def incident_drafts(
    policy: Policy, state: LedgerState, decision: Decision, news: Sequence[Covered]
) -> tuple[list[Draft], Incident | None]:
    """What the newly decided windows `news` open or add, and the incident where one opens."""
    known = state.open_incident
    causes = [*_causes(state, policy, news)]
    causes = [cause for cause in causes if _counts(cause, state)]
    if known is None:
        causes = [cause for cause in causes if cause.kind == RETRY or decision.rollback_required]
        causes.sort(key=lambda cause: (cause.kind != VIOLATION, cause.window_start != decision.window.start))
    if not causes:
        return [], None
    name = known.id if known else incident_id(state, causes[0].window_start)
    drafts = [
        Draft(
            kind="incident",
            phase=decision.phase,
            window_start=cause.window_start,
            id=name,
            data={
                "event": "added" if known or number else "opened",
                "cause": cause.kind,
                "slos": _worst_first(decision, cause) or None,
            },
        )
        for number, cause in enumerate(causes)
    ]
    return drafts, None if known else _opened(name, decision, causes)


def _worst_first(decision: Decision, cause: _Cause) -> list[str]:
    """The cause's SLOs; those of the window that decides in the order in which they are past their thresholds."""
    ranks = {row.slo: rank for rank, row in enumerate(decision.violated)}
    is_deciding = cause.window_start == decision.window.start
    return sorted(cause.slos, key=lambda slo: ranks.get(slo, len(ranks)) if is_deciding else 0)


def _opened(name: str, decision: Decision, causes: Sequence[_Cause]) -> Incident:
    violations = frozenset((cause.window_start, slo) for cause in causes for slo in cause.slos)
    return Incident(
        id=name,
        opened_at=decision.as_of,
        phase=decision.phase,
        window_start=causes[0].window_start,
        cause=VIOLATION if violations else RETRY,
        violations=violations,
    )


@dataclass(frozen=True, slots=True)
class _Cause:
    """One window's reason for an incident."""

    kind: str
    window_start: datetime
    slos: tuple[str, ...] = ()


def _causes(state: LedgerState, policy: Policy, news: Iterable[Covered]) -> Iterator[_Cause]:
    """What in newly decided windows belongs to an incident and is in none yet, oldest first."""
    violations = {pair for incident in state.incidents for pair in incident.violations}
    exhausted = {start for incident in state.incidents for start in incident.exhausted}
    for window in news:
        start = window.window.start
        rolling = tuple(name for name in window.violations if policy.slos[name].on_violation is OnViolation.ROLLBACK)
        if fresh := tuple(name for name in rolling if (start, name) not in violations):
            yield _Cause(VIOLATION, start, fresh)
        if window.exhausted and start not in exhausted:
            yield _Cause(RETRY, start)


def _counts(cause: _Cause, state: LedgerState) -> bool:
    """Whether the cause is no violation of a window that has had its answer."""
    is_answered = state.answered_until is not None and cause.window_start < state.answered_until
    return cause.kind == RETRY or not is_answered


def incident_id(state: LedgerState, start: datetime) -> str:
    """The name of an incident that opens with the window that starts at `start`."""
    name = f"incident-{stamp(start)}"
    taken = sum(incident.id == name or incident.id.startswith(f"{name}-") for incident in state.incidents)
    return f"{name}-{taken + 1}" if taken else name
