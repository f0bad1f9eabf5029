"""When the loop judges, and what the time is in a part of it. Pure but for the clocks themselves."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checker.model import Window
from checker.windows import closed_at, newest_closed, window_at


@dataclass(frozen=True, slots=True)
class Since:
    """A clock that begins at `begin` when it is made, and goes on from there as time does."""

    begin: datetime
    made_s: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """The instant, in whole seconds."""
        return (self.begin + timedelta(seconds=self.monotonic_s() - self.made_s)).replace(microsecond=0)

    def monotonic_s(self) -> float:
        """Seconds since the machine was started, say."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Grid:
    """The policy's windows: how long they are, and when they count as closed."""

    window: timedelta
    lateness: timedelta

    def newest(self, at: datetime) -> Window:
        """The newest window that is closed."""
        return newest_closed(at, self.window, self.lateness)

    def closes(self, start: datetime) -> datetime:
        """When the window that starts at `start` closes."""
        return closed_at(window_at(start, self.window), self.lateness)


@dataclass(frozen=True, slots=True)
class Known:
    """What the supervisor knows: starts of the newest window that was sealed, and of the newest that was judged.

    `waits_at` is when the collector last said that it had sealed all that it could; `is_unheard` that it has said
    nothing for too long.
    """

    sealed: datetime | None = None
    judged: datetime | None = None
    waits_at: datetime | None = None
    is_unheard: bool = False


def judging_instant(grid: Grid, now: datetime, known: Known) -> datetime | None:
    """The instant to judge at, None where there is nothing to judge yet.

    A window that has closed is judged once it is sealed. One that is not, because the collector is behind, is waited
    for; with a collector that does nothing any more it is judged as it is, without its batch.
    """
    window = grid.newest(now)
    newest = window.start
    if known.judged is not None and newest <= known.judged:
        return None
    has_waited = known.waits_at is not None and known.waits_at >= window.end
    if has_waited or known.is_unheard or (known.sealed is not None and newest <= known.sealed):
        return now
    if known.sealed is None or (known.judged is not None and known.sealed <= known.judged):
        return None
    closes = grid.closes(known.sealed)
    return closes if closes <= now else None
