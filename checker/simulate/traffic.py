"""How many saves a window has, when they end and how long they take. Every draw comes from the given generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from random import Random

from checker.simulate.scenario import Condition

USUAL_FAILURES = (1, 1000)
_BUSIEST_HOUR = 14
_RHYTHM = 0.35
_SIGMA = 0.45


def mean_saves(start: datetime, daily_mean: int) -> float:
    """Mean number of saves in the window that starts at `start`: busiest at 14:00 UTC, quietest at 02:00."""
    hour = start.hour + start.minute / 60
    return daily_mean * (1 + _RHYTHM * math.cos((hour - _BUSIEST_HOUR) * math.tau / 24))


def draw_saves(mean: float, condition: Condition, rng: Random) -> int:
    """Number of saves in a window, failed ones included: about Poisson, then what the condition asks for."""
    if condition.silent:
        return 0
    saves = max(1, round(rng.gauss(mean, math.sqrt(mean))), condition.saves_at_least)
    multiple = condition.failures[1] if condition.failures else 1
    return math.ceil(saves / multiple) * multiple


def failures_of(saves: int, condition: Condition) -> int:
    """How many of `saves` fail: the condition's exact share, or the usual one rounded down."""
    failing, of = condition.failures or USUAL_FAILURES
    return saves * failing // of


def draw_arrivals(count: int, start_ms: int, length_ms: int, rng: Random) -> list[int]:
    """`count` instants in `[start, start + length)`, in ms, ascending: a Poisson process whose count is known."""
    return sorted(start_ms + int(rng.random() * length_ms) for _ in range(count))


def draw_durations(count: int, p95_ms: float, rng: Random) -> list[float]:
    """`count` log-normal durations in ms, to 0.1 ms, scaled so that their 95th percentile is `p95_ms`.

    The scaling is what makes the outcome of a small window certain instead of likely.
    """
    if not count:
        return []
    drawn = [rng.lognormvariate(0, _SIGMA) for _ in range(count)]
    scale = p95_ms / linear_quantile(drawn, 0.95)
    return [round(value * scale, 1) for value in drawn]


def linear_quantile(values: Sequence[float], share: float) -> float:
    """Quantile by linear interpolation between the two nearest ranks (Hyndman and Fan 1996, type 7)."""
    ordered = sorted(values)
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
