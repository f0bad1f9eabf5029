"""Checks that are recorded: of the newest windows, and of a recovery. Record first, then act."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from checker.analyzer.governed import Governed
from checker.analyzer.recovery import Recovering, RecoveryFinding, check_recovery
from checker.child.allowance import Budget
from checker.errors import NotRecorded, PhasegateError, UsageError
from checker.ledger.append import Draft, writing
from checker.ledger.records import Record
from checker.model import CheckResult, Decision, Status, Window
from checker.pipeline import Past, Request, check, judging_phase, read_past
from checker.reporter.acts import act_notices, closing
from checker.reporter.record import Books, recorded
from checker.reporter.recovery_plan import checks_needed, has_held, progress
from checker.windows import iso

QUERY_WAIT_S, MEASURING_WAIT_S = 5.0, 15.0  # what an act waits for the words of its notice
MAX_TRIES = 3  # of a check whose ledger was written meanwhile


@dataclass(frozen=True, slots=True)
class RecordedCheck:
    """A check, the past that it was made on, and the records that it added."""

    result: CheckResult
    past: Past
    added: tuple[Record, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """What was recorded, in words; what is still to be sent is among it."""
        if not self.added:
            return ("recorded: nothing that the ledger does not hold already",)
        counts = Counter(record.kind for record in self.added)
        told = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in sorted(counts.items()))
        first, last = self.added[0].seq, self.added[-1].seq
        where = f"records {first} to {last}" if last > first else f"record {first}"
        lines = [f"recorded: {told} ({where})"]
        if counts["notice"]:
            lines.append("nothing is sent yet: `phasegate report` delivers what the ledger holds")
        return tuple(lines)


def check_and_record(
    governed: Governed, request: Request, now: Callable[[], datetime], wanted: frozenset[str] = frozenset()
) -> RecordedCheck:
    """Check, and append what the check comes to; on disk when this returns.

    The check is made on the ledger as it was read, without a lock; where somebody wrote it meanwhile, it is made again
    at the time that `now` gives. Raises UsageError for a what-if, which is never recorded; NotRecorded; what `check`
    raises.
    """
    ledger = request.ledger
    if ledger is None:
        raise UsageError("nothing is recorded without a ledger")
    for _ in range(MAX_TRIES):
        request = replace(request, as_of=now())
        past = read_past(request)
        result = check(governed, request, past)
        if result.decision.what_if:
            raise UsageError(_what_if(result.decision, past))
        told = recorded(Books(governed.policy, governed.templates, past.state, wanted), result)
        with writing(ledger) as writer:
            if writer.ledger.end != past.end:
                continue
            added = writer.append(told.drafts, request.as_of)
        return RecordedCheck(replace(result, decision=told.decision), past, added)
    raise NotRecorded(f"the ledger was written by others during {MAX_TRIES} checks; run the command again")


def _what_if(decision: Decision, past: Past) -> str:
    if past.state.phase not in (None, decision.phase):
        return (
            f"--record: the ledger's current phase is {past.state.phase}, not {decision.phase};"
            " a what-if is never recorded: leave out --record, or check the current phase"
        )
    return "--record: --events-of makes it a what-if, which is never recorded; leave out one of the two"


def decision_about(governed: Governed, request: Request, past: Past) -> Decision | None:
    """A decision to word a notice with, as of now in the phase that judges; None where none can be made soon."""
    allowance = governed.allowance
    shortly = replace(
        allowance,
        query_deadline_s=min(allowance.query_deadline_s, QUERY_WAIT_S),
        budget=Budget(min(allowance.budget.seconds, MEASURING_WAIT_S)),
    )
    governed = replace(governed, allowance=shortly)
    phase = judging_phase(governed.policy, past.state, request.phase or governed.policy.phase_names[0])
    try:
        return check(governed, replace(request, phase=phase, events_of=None), past).decision
    except PhasegateError:
        return None


def recover_and_record(governed: Governed, request: Request, now: Callable[[], datetime]) -> tuple[str, ...]:
    """Make the checks of a recovery that are due, append them, and end the incident once it has held.

    Gives what was recorded, in words. A check whose events are not there yet is waited for until the next one is due,
    and is then not met. Raises NotRecorded, and what `check_recovery` raises.
    """
    ledger = request.ledger
    if ledger is None:
        return ()
    lines: list[str] = []
    while True:
        request = replace(request, as_of=now())
        past = read_past(request)
        finding = _next_finding(governed, request, past)
        if finding is None:
            return tuple(lines)
        drafts, told = _recovery_drafts(governed, request, past, finding)
        with writing(ledger) as writer:
            if writer.ledger.end == past.end:
                writer.append(drafts, request.as_of)
                lines.append(told)


def _next_finding(governed: Governed, request: Request, past: Past) -> RecoveryFinding | None:
    """The oldest check of a recovery that is due and not recorded, None where there is none to be made now."""
    rollback, incident = governed.policy.rollback, past.state.open_incident
    if incident is None or incident.rolled_back_at is None or past.state.phase is None:
        return None
    every = rollback.recovery_every
    end = progress(incident, every, rollback.recovery_for).next_due
    if end is None or end > request.as_of:
        return None
    recovering = Recovering(past.state.phase, incident.rolled_back_at, every)
    found = check_recovery(governed, request.logs, recovering, end, request.as_of, request.run)
    if found is None and request.as_of >= end + every:
        return RecoveryFinding(Window(end - governed.policy.window, end), Status.NO_DATA)
    return found


def _recovery_drafts(
    governed: Governed, request: Request, past: Past, finding: RecoveryFinding
) -> tuple[list[Draft], str]:
    """The record of a check, and where it completes the recovery the end of the incident with its notices."""
    policy, incident = governed.policy, past.state.open_incident
    if incident is None or incident.rolled_back_by is None or past.state.phase is None:
        raise ValueError("a recovery is checked without an incident that was rolled back")
    draft = Draft(
        kind="recovery",
        phase=past.state.phase,
        window_start=finding.window.start,
        id=incident.id,
        data={
            "incident": incident.id,
            "rollback": incident.rolled_back_by,
            "met": finding.met,
            "outcome": finding.outcome.value,
            "violations": sorted(finding.violations),
            "events": finding.events,
            "window_end": iso(finding.window.end),
        },
    )
    told = (
        f"recovery check of {iso(finding.window.end)}: {'met' if finding.met else 'not met'} ({finding.outcome.value})"
    )
    checks = [*((check.window_end, check.met) for check in incident.recovery), (finding.window.end, finding.met)]
    every, whole = policy.rollback.recovery_every, policy.rollback.recovery_for
    if not has_held(checks, every, whole):
        return [draft], told
    reason = f"the recovery held for {checks_needed(every, whole)} checks up to {iso(finding.window.end)}"
    act = closing(incident, "ended", "phasegate", reason)
    about = decision_about(governed, request, past)
    notices = act_notices(policy, governed.templates, past.state, act, about)
    ended = Draft("incident", incident.phase, {"event": "ended", "reason": reason}, id=incident.id)
    return [draft, ended, *notices], f"{told}; {incident.id} ended: {reason}"
