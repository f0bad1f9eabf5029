"""An SLO's value by its cross-check, over raw events. Pure; no formula is shared with a query."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from checker.policy.model import CrossCheck
from checker.verify.raw import RawEvent


def first_window(check: CrossCheck, window_start: datetime, window: timedelta) -> datetime:
    """Start of the first window that the check reads for the one at `window_start`."""
    return window_start - ((check.over or window) - window)


def recomputed(
    check: CrossCheck,
    events: Iterable[RawEvent],
    phase: str,
    window_start: datetime,
    window: timedelta,
    with_batch: Collection[datetime],
) -> float | None:
    """The value in the SLO's unit, None where there is nothing to make it of.

    `with_batch` are starts of the windows that have a batch.
    """
    first = first_window(check, window_start, window)
    rows = [row for row in events if row.phase == phase and first <= row.window_start <= window_start]
    own = [row for row in rows if row.event in check.events]
    if check.how == "count_per_window":
        windows = sum(first <= start <= window_start for start in with_batch)
        return len(own) / windows * check.scale if windows else None
    if check.how == "share":
        whole = sum(row.event in check.among for row in rows)
        return len(own) / whole * check.scale if whole else None
    values = sorted(value for row in own if (value := row.number(check.field)) is not None)
    return _of_values(check, values) * check.scale if values else None


def _of_values(check: CrossCheck, values: Sequence[float]) -> float:
    """`values` are sorted, and there is one."""
    match check.how:
        case "quantile":
            return quantile(values, check.level)
        case "largest":
            return values[-1]
        case "smallest":
            return values[0]
        case _:
            return math.fsum(values) / len(values)


def quantile(ordered: Sequence[float], level: float) -> float:
    """Linear interpolation between the two nearest ranks (Hyndman and Fan, 1996, definition 7)."""
    place = level * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def agree(card: float | None, logs: float | None, within: float) -> bool:
    """Whether two values lie no further apart than a share of the second; nothing agrees with nothing alone."""
    if card is None or logs is None:
        return card is None and logs is None
    # 0.525 is 5 % from 0.5, and floating point says a little more
    return abs(card - logs) <= within * abs(logs) * (1 + 1e-9)
