"""The plan of a recovery as a table: each check with its time, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from checker.ledger.values import Incident, RecoveryCheck
from checker.reporter.recovery_plan import met_in_a_row, planned
from checker.reporter.runbook.markdown import clock, md, table


def recovery_table(incident: Incident, every: timedelta, whole: timedelta, as_of: datetime) -> str:
    """Every check that was made, and those that are still needed for a whole recovery, in order."""
    rows = (
        [str(number), clock(due), _told(check, due, as_of)]
        for number, (due, check) in enumerate(_checks(incident, every, whole), start=1)
    )
    return table(["Check", "Due", "Result"], rows)


def _checks(incident: Incident, every: timedelta, whole: timedelta) -> Iterator[tuple[datetime, RecoveryCheck | None]]:
    """The recorded checks, then those to come: as many as a whole recovery still needs."""
    if incident.rolled_back_at is None:
        return
    yield from ((check.window_end, check) for check in incident.recovery)
    if incident.closed_at is not None:
        return
    checks = [(check.window_end, check.met) for check in incident.recovery]
    needed = -(-whole // every) - met_in_a_row(checks, every)
    due = checks[-1][0] + every if checks else planned(incident.rolled_back_at, every, whole)[0]
    for number in range(needed):
        yield due + every * number, None


def _told(check: RecoveryCheck | None, due: datetime, as_of: datetime) -> str:
    if check is None:
        return "due, not made yet" if due <= as_of else "to come"
    if check.met:
        return f"met ({md(check.outcome)})"
    slos = f": {', '.join(map(md, sorted(check.violations)))}" if check.violations else ""
    return f"**not met** ({md(check.outcome)}{slos}); the count begins anew"
