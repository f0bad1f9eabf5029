"""When the checks of a recovery are due, and when it has held. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from checker.ledger.values import Incident
from checker.windows import ceil_to_window


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recovery has come, in checks, and when the next is due; None when none is: not begun, or over."""

    met_in_a_row: int
    needed: int
    next_due: datetime | None


def progress(incident: Incident, every: timedelta, whole: timedelta) -> Progress:
    """The recovery of an incident as its records have it."""
    checks = [(check.window_end, check.met) for check in incident.recovery]
    due = None
    if incident.rolled_back_at is not None and incident.closed_at is None:
        due = planned(incident.rolled_back_at, every, whole)[0]
        if checks:
            due = max(due, checks[-1][0] + every)
    return Progress(met_in_a_row(checks, every), checks_needed(every, whole), due)


def checks_needed(every: timedelta, whole: timedelta) -> int:
    """How many checks in a row, each of one step, cover a whole recovery."""
    return -(-whole // every)


def planned(rolled_back_at: datetime, every: timedelta, whole: timedelta) -> tuple[datetime, ...]:
    """The instants of the first checks that can make a recovery of length `whole`.

    They lie on the grid of `every` from the epoch; the first is at least one step after the rollback ended.
    """
    first = ceil_to_window(rolled_back_at, every) + every
    return tuple(first + every * number for number in range(checks_needed(every, whole)))


def has_held(checks: Sequence[tuple[datetime, bool]], every: timedelta, whole: timedelta) -> bool:
    """Whether the newest checks, each due at an instant and met or not, make a whole recovery without a gap."""
    return met_in_a_row(checks, every) >= checks_needed(every, whole)


def met_in_a_row(checks: Sequence[tuple[datetime, bool]], every: timedelta) -> int:
    """How many of the newest checks are met, one step after the other."""
    count = 0
    for position in range(len(checks) - 1, -1, -1):
        due, is_met = checks[position]
        follows = not count or checks[position + 1][0] - due == every
        if not is_met or not follows:
            break
        count += 1
    return count
