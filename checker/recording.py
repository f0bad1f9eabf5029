"""A check is made and recorded, with its incident and the notices that it asks for. Record first, then act."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from checker.analyzer.governed import Governed, template_sources
from checker.errors import NotRecorded, PhasegateError, UsageError
from checker.ledger.append import writing
from checker.ledger.records import Record
from checker.model import CheckResult, Decision
from checker.pipeline import Past, Request, check, judging_phase, read_past
from checker.reporter.record import Books, recorded

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
            return ("recorded: nothing; the ledger holds this decision already",)
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
    sources = template_sources(governed.policy)
    for _ in range(MAX_TRIES):
        request = replace(request, as_of=now())
        past = read_past(request)
        result = check(governed, request, past)
        if result.decision.what_if:
            raise UsageError(_what_if(result.decision, past))
        told = recorded(Books(governed.policy, sources, past.state, wanted), result)
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
    """A decision to word a notice with, as of now in the phase that judges; None where none can be made."""
    phase = judging_phase(governed.policy, past.state, request.phase or governed.policy.phase_names[0])
    try:
        return check(governed, replace(request, phase=phase, events_of=None), past).decision
    except PhasegateError:
        return None
