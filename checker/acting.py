"""What people do with a rollout, each act recorded once: pause, resume, close an incident, advance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from checker.analyzer.decide import missing_approval
from checker.analyzer.governed import Governed
from checker.errors import NotRecorded, Refused, UsageError
from checker.ledger.append import Draft, writing
from checker.ledger.state import LedgerState, fold
from checker.ledger.values import Incident
from checker.model import Decision, Verdict
from checker.pipeline import Past, Request, approvals_that_count, check, read_past
from checker.policy.model import COMPLETE, OFF, Policy
from checker.recording import MAX_TRIES, decision_about
from checker.reporter.acts import Act, act_notices, closing
from checker.reporter.rollback.execute import Tell
from checker.reporter.rollback.guard import Move, guarded_command
from checker.schemas import listed, nearest
from checker.windows import iso


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts, and why."""

    by: str
    reason: str


def append(ledger: Path, drafts: Callable[[LedgerState], Sequence[Draft]], at: datetime) -> tuple[int, ...]:
    """Append what `drafts` makes of the ledger's state, under the lock; gives the numbers of the records."""
    with writing(ledger) as writer:
        records = writer.append(drafts(fold(writer.ledger.records)), at)
        return tuple(record.seq for record in records)


def pause(ledger: Path, person: Person, until: datetime | None, at: datetime) -> str:
    """Nothing advances until then, or until somebody resumes. Raises UsageError for a time that is over."""
    if until is not None and until <= at:
        raise UsageError(f"the pause would end {iso(until)}, which is over; it is {iso(at)}")

    def drafts(state: LedgerState) -> Sequence[Draft]:
        data = {"by": person.by, "reason": person.reason, "until": iso(until) if until else None}
        return [Draft("pause", state.phase or OFF, data)]

    records = append(ledger, drafts, at)
    return f"paused {f'until {iso(until)}' if until else 'until resumed'} (record {records[0]}); rollbacks go on"


def resume(ledger: Path, person: Person, at: datetime) -> str:
    """End the pause. Raises Refused where there is none."""

    def drafts(state: LedgerState) -> Sequence[Draft]:
        if state.paused_at(at) is None:
            raise Refused("the rollout is not paused; nothing was recorded")
        return [Draft("resume", state.phase or OFF, {"by": person.by, "reason": person.reason})]

    return f"resumed (record {append(ledger, drafts, at)[0]})"


def incident_called(state: LedgerState, name: str) -> Incident:
    """The incident called `name`, open or not. Raises UsageError where there is none."""
    for incident in state.incidents:
        if incident.id == name:
            return incident
    names = tuple(incident.id for incident in state.incidents)
    known = f"(incidents: {listed(names[-10:])})" if names else "(the ledger has none)"
    raise UsageError(f"there is no incident {name!r}{nearest(name, names)} {known}")


def _open_incident(state: LedgerState, name: str) -> Incident:
    incident = incident_called(state, name)
    if incident.closed_at is not None:
        raise Refused(f"{incident.id} was closed {iso(incident.closed_at)}; nothing was recorded")
    return incident


def note(ledger: Path, incident_id: str, person: Person, step: int | None, at: datetime) -> str:
    """Record what was done about the open incident, or that a step of its Runbook is. Raises Refused, UsageError."""

    def drafts(state: LedgerState) -> Sequence[Draft]:
        incident = _open_incident(state, incident_id)
        data = {"event": "noted", "by": person.by, "reason": person.reason, "step": step}
        return [Draft("incident", incident.phase, data, id=incident.id)]

    records = append(ledger, drafts, at)
    return f"noted{f', step {step} of the Runbook is done' if step else ''} (record {records[0]})"


def cancel(governed: Governed, request: Request, incident_id: str, person: Person, at: datetime) -> str:
    """Close the open incident by a person's word, with the notices that tell of it. Raises Refused, UsageError."""
    if request.ledger is None:
        raise UsageError("nothing is recorded without a ledger")
    policy, sources = governed.policy, governed.templates
    about = decision_about(governed, replace(request, as_of=at), read_past(replace(request, as_of=at)))

    def drafts(state: LedgerState) -> Sequence[Draft]:
        incident = _open_incident(state, incident_id)
        act = closing(incident, "cancelled", person.by, person.reason)
        data = {"event": "cancelled", "by": person.by, "reason": person.reason}
        closed = Draft("incident", incident.phase, data, id=incident.id)
        return [*act_notices(policy, sources, state, act, about), closed]

    records = append(request.ledger, drafts, at)
    return f"{incident_id} is cancelled (record {records[-1]}); a violation in a window begun from now on opens another"


def rollback_teller(governed: Governed, request: Request) -> Tell:
    """What words a rollback's notices, with a decision made now: a rollback does not wait for another one later."""
    policy, sources = governed.policy, governed.templates
    about = decision_about(governed, request, read_past(request))

    def tell(state: LedgerState, event: str, name: str, made: Move) -> Sequence[Draft]:
        if event not in ("proposed", "begun", "ended"):
            return ()
        act = Act(
            outcome="rollback",
            state=event,
            subject=made.incident or name,
            phase=made.phase_from,
            by=made.by,
            reason=made.reason,
            name=f"{name}/{event}",
            command=guarded_command(policy, made),
        )
        return act_notices(policy, sources, state, act, about)

    return tell


@dataclass(frozen=True, slots=True)
class Advanced:
    """An advance that was recorded: from one phase to the next, with the decision that allowed it, or did not."""

    phase_from: str
    phase_to: str
    record: int
    without_gate: bool
    decision: Decision | None


def advance(
    governed: Governed, request: Request, person: Person, now: Callable[[], datetime], *, without_gate: bool = False
) -> Advanced:
    """Record one phase on, where a check made now says that it may be: gate, approvals, no incident, pause or freeze.

    `without_gate` (break-glass) leaves out the gate, a pause and a freeze, and nothing else. Raises Refused with every
    reason, NotRecorded, and what `check` raises.
    """
    ledger = request.ledger
    if ledger is None:
        raise UsageError("nothing is recorded without a ledger")
    for _ in range(MAX_TRIES):
        request = replace(request, as_of=now())
        past = read_past(request)
        target, decision = _allowed_target(governed, request, past, without_gate)
        data = {
            "from": request.phase,
            "to": target,
            "by": person.by,
            "reason": person.reason,
            "without_gate": True if without_gate else None,
        }
        with writing(ledger) as writer:
            if writer.ledger.end != past.end:
                continue
            (record,) = writer.append([Draft("phase_change", target, data)], request.as_of)
        return Advanced(request.phase, target, record.seq, without_gate, decision)
    raise NotRecorded(f"the ledger was written by others during {MAX_TRIES} checks; run the command again")


def _allowed_target(
    governed: Governed, request: Request, past: Past, without_gate: bool
) -> tuple[str, Decision | None]:
    """The phase that follows, and the decision about it. Raises Refused with every reason against it."""
    policy, state, phase = governed.policy, past.state, request.phase
    if phase == COMPLETE:
        raise Refused(f"nothing comes after {COMPLETE}")
    if phase != OFF and phase not in policy.phase_names:
        names = (OFF, *policy.phase_names)
        raise UsageError(f"--phase: there is no phase {phase!r}{nearest(phase, names)} (phases: {listed(names)})")
    if state.phase not in (None, phase):
        raise Refused(f"no advance:\n  the current phase is {state.phase}, not {phase}")
    if without_gate:
        reasons, decision = _break_glass(governed, request, past)
    elif phase == OFF:
        reasons, decision = _standing_reasons(policy, state, request.as_of, without_gate), None
    else:
        decision = check(governed, request, past).decision
        is_allowed = decision.verdict is Verdict.ADVANCE
        reasons = [] if is_allowed else [*decision.reasons] or [f"the decision is {decision.verdict.value}"]
    if reasons:
        raise Refused("\n".join(["no advance:", *(f"  {reason}" for reason in reasons)]))
    return policy.phase_names[0] if phase == OFF else policy.phase_after(phase), decision


def _break_glass(governed: Governed, request: Request, past: Past) -> tuple[list[str], Decision | None]:
    """What stands even against an advance without its gate; that no check can be made does not."""
    policy, state, phase = governed.policy, past.state, request.phase
    reasons = _standing_reasons(policy, state, request.as_of, without_gate=True)
    if phase == OFF:
        return reasons, None
    given = approvals_that_count(governed, state, request.as_of)
    missing = [role for role in policy.phase(phase).approvers if role not in given.roles]
    reasons += [missing_approval(role, given.refused) for role in missing]
    decision = decision_about(governed, request, past)
    if decision is not None and decision.verdict is Verdict.ROLLBACK:
        reasons += [f"a rollback is required: {reason}" for reason in decision.reasons]
    return reasons, decision


def _standing_reasons(policy: Policy, state: LedgerState, at: datetime, without_gate: bool) -> list[str]:
    """What the ledger and the calendar hold against an advance, whatever the telemetry says."""
    reasons = []
    if incident := state.open_incident:
        reasons.append(f"incident {incident.id} is open")
    if unknown := state.rollback_unknown:
        reasons.append(f"the outcome of rollback {unknown.id} is unknown; it waits for a person")
    if not without_gate and (paused := state.paused_at(at)):
        reasons.append(f"paused: {paused.reason}")
    if not without_gate and (freeze := policy.freeze_at(at)):
        reasons.append(f"frozen {freeze.told}")
    return reasons
