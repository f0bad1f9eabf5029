"""The clock of a command that waits: the instant is `as_of` where one was given, and waiting is real."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

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
