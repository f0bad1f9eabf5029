"""Whether a window has far fewer events than the same hour before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from checker.policy.collecting import Volume
from checker.windows import floor_to_window

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A window with `observed` events where `expected` were; `reference` says what it is compared with."""

    window_start: datetime
    observed: int
    expected: float
    reference: str

    @property
    def told(self) -> str:
        """In words."""
        return f"{self.observed:,} events, where {self.reference} had {self.expected:,.0f} a window"


def shortfall(events: Mapping[datetime, int], start: datetime, window: timedelta, rule: Volume) -> Shortfall | None:
    """How far the window that starts at `start` falls short, None where it does not or nothing can be compared.

    `events` are counts by start of the window, of those that have a batch. Expected is the mean of the windows that
    start in the same hour `rule.before` ago; where none of them has a batch, in the hour before (or of the window
    before, where that is longer).
    """
    if start not in events:
        return None
    hour = floor_to_window(start - rule.before, HOUR)
    for first, end, reference in (
        (hour, min(hour + HOUR, start), f"the hour from {hour:%Y-%m-%d %H:%M} UTC"),
        (start - max(HOUR, window), start, "the hour before" if window <= HOUR else "the window before"),
    ):
        known = [count for at, count in events.items() if first <= at < end]
        if known:
            expected = Fraction(sum(known), len(known))
            # 0.07 of 100 is 7.000000000000001 in floating point, and 7 events are enough
            is_short = events[start] < Fraction(str(rule.warn_below)) * expected
            return Shortfall(start, events[start], float(expected), reference) if is_short else None
    return None
