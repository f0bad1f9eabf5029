"""When the checks of a recovery are due, and when it has held. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from checker.windows import ceil_to_window


def planned(rolled_back_at: datetime, every: timedelta, whole: timedelta) -> tuple[datetime, ...]:
    """The instants of the first checks that can make a recovery of length `whole`.

    They lie on the grid of `every` from the epoch; the first is at least one step after the rollback ended.
    """
    first = ceil_to_window(rolled_back_at, every) + every
    return tuple(first + every * number for number in range(-(-whole // every)))


def has_held(checks: Sequence[tuple[datetime, bool]], every: timedelta, whole: timedelta) -> bool:
    """Whether the newest checks, each due at an instant and met or not, make a whole recovery without a gap."""
    needed = -(-whole // every)
    newest = checks[-needed:]
    follow = all(later[0] - earlier[0] == every for earlier, later in pairwise(newest))
    return len(newest) == needed and follow and all(met for _, met in newest)
