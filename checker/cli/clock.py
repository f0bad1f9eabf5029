"""The clock of a command that waits: the instant is `as_of` where one was given, and waiting is real."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from checker.cli.common import clock


@dataclass(frozen=True, slots=True)
class CommandClock:
    """Time for a command with `--as-of` or without."""

    as_of: datetime | None = None

    def now(self) -> datetime:
        """`as_of`, or now."""
        return clock(self.as_of)

    def monotonic_s(self) -> float:
        """Seconds since the machine was started, say."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class LoopClock:
    """Time for the loop: from `begin` on, `speed` times as fast as it is; by default as it is.

    Every process of the loop has the same, since all of them count from the same beginning.
    """

    begin: datetime | None = None
    speed: float = 1.0
    made_s: float = field(default_factory=time.monotonic)
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        """The instant, to the millisecond; without `begin` and `speed` the machine's clock, jumps and all."""
        if self.begin is None and self.speed == 1.0:
            return _whole_ms(datetime.now(UTC))
        passed = timedelta(seconds=(time.monotonic() - self.made_s) * self.speed)
        return _whole_ms((self.begin or self.made_at) + passed)

    def seconds_until(self, instant: datetime) -> float:
        """How long to wait, in real seconds, until it is `instant`."""
        return (instant - self.now()).total_seconds() / self.speed


def _whole_ms(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
