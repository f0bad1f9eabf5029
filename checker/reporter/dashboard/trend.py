"""Where an SLO's value is going: the newest windows against those before them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

SPAN = 4  # windows on each side: an hour of quarters against the hour before
_STEADY = 0.02  # of the threshold: less is no trend that anybody could see


@dataclass(frozen=True, slots=True)
class Trend:
    """`rising`, `falling`, `steady` or `unknown`, and the change of the medians in the SLO's unit."""

    direction: str
    change: float | None = None


def trend(values: Sequence[float | None], limit: float) -> Trend:
    """The median of the newest SPAN values against that of the SPAN before; windows without a value are left out.

    Steady is a change of at most 2 % of the limit; unknown where there are not two windows on each side, or
    the change is beyond what a number can hold.
    """
    known = [value if value is not None and math.isfinite(value) else None for value in values]
    new = [value for value in known[-SPAN:] if value is not None]
    old = [value for value in known[-2 * SPAN : -SPAN] if value is not None]
    if len(new) < SPAN // 2 or len(old) < SPAN // 2:
        return Trend("unknown")
    change = median(new) - median(old)
    if not math.isfinite(change):
        return Trend("unknown")
    if abs(change) <= _STEADY * abs(limit):
        return Trend("steady", change)
    return Trend("rising" if change > 0 else "falling", change)
