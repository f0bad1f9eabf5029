"""Whether a window has far fewer events than the same hour before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from checker.policy.collecting import Volume
from checker.windows import floor_to_window, windows_between

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

    `events` are counts by window, of those that have a batch. Expected is the mean of the windows of the same hour
    `rule.before` ago; where none of them has a batch, of the hour before the window.
    """
    if start not in events:
        return None
    hour = floor_to_window(start - rule.before, HOUR)
    for first, end, reference in (
        (hour, hour + HOUR, f"the hour from {hour:%Y-%m-%d %H:%M} UTC"),
        (start - HOUR, start, "the hour before"),
    ):
        known = [events[each.start] for each in windows_between(first, end, window) if each.start in events]
        if known:
            expected = sum(known) / len(known)
            is_short = events[start] < rule.warn_below * expected
            return Shortfall(start, events[start], expected, reference) if is_short else None
    return None
