"""What the reporter's outcome asks of the next cycle: how long it is, and what is collected alongside. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from checker.ledger.state import LedgerState
from checker.policy.model import COMPLETE, OFF, Policy
from checker.windows import floor_to_window


@dataclass(frozen=True, slots=True)
class Feedback:
    """`phase` is the one that stands (None where the ledger names none), `alongside` are the SLOs that are violated.

    During a recovery `slices_from` is the start of its first slice, and slices are `every` long.
    """

    phase: str | None = None
    alongside: frozenset[str] = frozenset()
    slices_from: datetime | None = None
    every: timedelta = timedelta(minutes=5)


def feedback(policy: Policy, state: LedgerState) -> Feedback:
    """What the ledger asks of the collector."""
    incident, every = state.open_incident, policy.rollback.recovery_every
    rolled_back_at = incident.rolled_back_at if incident else None
    return Feedback(
        phase=standing_phase(policy, state),
        alongside=_violated(state),
        slices_from=floor_to_window(rolled_back_at, every) if rolled_back_at else None,
        every=every,
    )


def standing_phase(policy: Policy, state: LedgerState) -> str | None:
    """The phase that the collector's own events belong to: in `off` the first, once complete the last."""
    edges = {OFF: policy.phase_names[0], COMPLETE: policy.phase_names[-1]}
    return edges.get(state.phase, state.phase) if state.phase is not None else None


def _violated(state: LedgerState) -> frozenset[str]:
    """SLOs of the open incident and of the newest decided window."""
    incident = state.open_incident
    of_incident = {slo for _, slo in incident.violations} if incident else set()
    newest = max(state.decided.values(), key=lambda window: window.window_start, default=None)
    return frozenset(of_incident | (set(newest.violations) if newest else set()))
