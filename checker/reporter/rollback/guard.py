"""What stands against a rollback, and which one it would be: one phase back, once for each incident. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from checker.ledger.state import LedgerState
from checker.ledger.values import RollbackRecord
from checker.policy.model import COMPLETE, OFF, Policy
from checker.schemas import nearest
from checker.windows import iso


@dataclass(frozen=True, slots=True)
class Move:
    """A rollback to be made: from the current phase to the one before, for the open incident where there is one."""

    phase_from: str
    phase_to: str
    incident: str | None
    by: str
    reason: str


def refusals(policy: Policy, state: LedgerState, phase: str, incident: str | None = None) -> tuple[str, ...]:
    """Every reason why `phase` may not be rolled back now, for `incident` where one is named; none where it may."""
    return (*_refusals(policy, state, phase), *_other_incident(state, incident))


def _other_incident(state: LedgerState, named: str | None) -> Iterator[str]:
    """What stands against a rollback for the incident `named`: it is not the one that is open."""
    standing = state.open_incident
    if named is None or (standing is not None and standing.id == named):
        return
    closed = next((incident.closed_at for incident in state.incidents if incident.id == named), None)
    what = f"{named} was closed {iso(closed)}" if closed else f"there is no incident {named!r}"
    names = tuple(incident.id for incident in state.incidents)
    hint = nearest(named, names) if closed is None else ""
    yield f"{what}{hint}; {f'{standing.id} is open' if standing else 'none is open'}"


def _refusals(policy: Policy, state: LedgerState, phase: str) -> Iterator[str]:
    if phase == OFF:
        yield f"{OFF} is nothing that could be rolled back: no user has the feature"
        return
    if phase == COMPLETE or state.phase == COMPLETE:
        yield f"the rollout is {COMPLETE}; what comes after it is no phase of this rollout"
        return
    if phase not in policy.phase_names:
        yield f"there is no phase {phase!r} (phases: {', '.join(policy.phase_names)})"
        return
    if state.phase not in (None, phase):
        yield f"the current phase is {state.phase}, not {phase}"
    if unknown := state.rollback_unknown:
        begun = f"{unknown.at:%Y-%m-%d %H:%M:%S} UTC by {unknown.by}"
        yield (
            f"{unknown.id}, begun {begun}, is running or its outcome is unknown;"
            " look what it did, then record it with --done or --failed"
        )
    incident = state.open_incident
    if incident is not None and incident.rollback_recorded:
        yield (
            f"the rollback of {incident.id} is recorded already; to go back further, close that incident first:"
            f" phasegate incident --cancel {incident.id} --by NAME --reason TEXT"
        )


def move(policy: Policy, state: LedgerState, phase: str, by: str, reason: str) -> Move:
    """The rollback of `phase`."""
    incident = state.open_incident
    return Move(phase, policy.phase_before(phase), incident.id if incident else None, by, reason)


def proposal_of(state: LedgerState, made: Move) -> RollbackRecord | None:
    """The newest proposal of this very move that nothing has come of yet."""
    newest = state.rollbacks[-1] if state.rollbacks else None
    if newest is None or newest.event not in ("proposed", "failed"):
        return None
    is_same = (newest.phase_from, newest.phase_to, newest.incident) == (made.phase_from, made.phase_to, made.incident)
    return newest if is_same else None


def command_of(policy: Policy, made: Move) -> tuple[str, ...]:
    """The policy's operation with its placeholders filled in; each argument stays one."""
    values = {
        "{target}": policy.target,
        "{phase}": made.phase_from,
        "{rollback_to}": made.phase_to,
        "{reason}": made.reason,
    }
    return tuple(_filled(argument, values) for argument in policy.rollback.command)


def _filled(argument: str, values: dict[str, str]) -> str:
    """The argument with each placeholder replaced once: what a value holds is no placeholder."""
    filled, rest = "", argument
    while rest:
        name = next((name for name in values if rest.startswith(name)), None)
        filled += values[name] if name else rest[0]
        rest = rest[len(name) if name else 1 :]
    return filled


def guarded_command(policy: Policy, made: Move) -> tuple[str, ...]:
    """What a person types: never the bare operation behind it."""
    return (
        "phasegate",
        "rollback",
        f"--target={policy.target}",
        f"--phase={made.phase_from}",
        f"--reason={made.reason}",
    )
