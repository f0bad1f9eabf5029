"""What is recorded beside the checks: a source that was given up, an incident at once; and the loop's own concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from checker.analyzer.governed import Governed
from checker.collector.retry import GivenUp
from checker.ledger.append import writing
from checker.ledger.state import fold
from checker.pipeline import Request, judging_phase, read_past
from checker.policy.model import Policy
from checker.recording import decision_about
from checker.reporter.given_up import given_up_drafts
from checker.reporter.health import Concern, health_drafts
from checker.reporter.record import Books
from checker.windows import floor_to_window


def record_concerns(policy: Policy, ledger: Path, concerns: Iterable[Concern], at: datetime) -> int:
    """Append a notice for each concern that was not told before; gives how many. Raises NotRecorded, LedgerInvalid."""
    with writing(ledger) as writer:
        drafts = tuple(health_drafts(policy, fold(writer.ledger.records), concerns))
        return len(writer.append_now(drafts, at))


def record_given_up(
    governed: Governed, request: Request, now: Callable[[], datetime], given_up: Sequence[GivenUp]
) -> tuple[str, ...]:
    """Open an incident for the sources that were given up, or add to the open one; gives what was recorded, in words.

    The batch that says the same later adds nothing: a window is exhausted once. Raises NotRecorded, LedgerInvalid.
    """
    policy, ledger = governed.policy, request.ledger
    past = read_past(replace(request, as_of=now()))
    known = {start for incident in past.state.incidents for start in incident.exhausted}
    new = [item for item in given_up if floor_to_window(item.at, policy.window) not in known]
    if ledger is None or not new:
        return ()
    phase = judging_phase(policy, past.state, request.phase or policy.phase_names[0])
    about = decision_about(governed, replace(request, as_of=now()), past)
    with writing(ledger) as writer:
        for item in new:
            books = Books(policy, governed.templates, fold(writer.ledger.records))
            start = floor_to_window(item.at, policy.window)
            writer.append_now(given_up_drafts(books, about, phase, start, item.at, item.told), now())
    return tuple(f"{item.told}: an incident" for item in new)
