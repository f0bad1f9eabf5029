"""The plan of a recovery as a table: each check with its time, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from checker.ledger.values import Incident, RecoveryCheck
from checker.reporter.recovery_plan import planned, progress
from checker.reporter.runbook.markdown import clock, md, table

MOST_MISSING = 12  # checks in a row that are told one by one
_MISSING = "**missing**; the count begins anew"


def recovery_table(incident: Incident, every: timedelta, whole: timedelta, as_of: datetime) -> str:
    """Every check that was made or left out, and those that are still needed for a whole recovery, in order."""
    told = [*_past(incident, every, whole), *_to_come(incident, every, whole, as_of)]
    if not told:
        return "No check was made before it was closed."
    return table(["Check", "Due", "Result"], ([str(number), *row] for number, row in enumerate(told, start=1)))


def _past(incident: Incident, every: timedelta, whole: timedelta) -> Iterator[tuple[str, str]]:
    """The recorded checks, and what lies between them without a record."""
    if incident.rolled_back_at is None:
        return
    due = planned(incident.rolled_back_at, every, whole)[0]
    for check in sorted(incident.recovery, key=lambda row: row.window_end):
        yield from _missing(due, check.window_end, every)
        yield clock(check.window_end), _told(check)
        due = check.window_end + every


def _missing(due: datetime, until: datetime, every: timedelta) -> Iterator[tuple[str, str]]:
    count = max(0, -(-(until - due) // every))
    for number in range(min(count, MOST_MISSING)):
        yield clock(due + every * number), _MISSING
    if count > MOST_MISSING:
        yield f"until {clock(until)}", f"**{count - MOST_MISSING} more missing**"


def _to_come(incident: Incident, every: timedelta, whole: timedelta, as_of: datetime) -> Iterator[tuple[str, str]]:
    """As many checks as a whole recovery still needs; none once the incident is closed."""
    recovery = progress(incident, every, whole)
    if recovery.next_due is None:
        return
    for number in range(recovery.needed - recovery.met_in_a_row):
        due = recovery.next_due + every * number
        yield clock(due), "due, not made yet" if due <= as_of else "to come"


def _told(check: RecoveryCheck) -> str:
    if check.met:
        return f"met ({md(check.outcome)})"
    slos = f": {', '.join(map(md, sorted(check.violations)))}" if check.violations else ""
    return f"**not met** ({md(check.outcome)}{slos}); the count begins anew"
