"""When a gate can pass first: found by asking it again with met windows appended."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from checker.analyzer.gate import GateRunner
from checker.analyzer.history import History, ask_gate, gate_lookback
from checker.model import GateResult, Window
from checker.windows import closed_at


def earliest_pass(
    runner: GateRunner, history: History, newest: Window, since: datetime, now: GateResult
) -> datetime | None:
    """When the gate can pass first if every window from now on is met; None where it never does or has failed.

    Found by running the gate on met windows appended: the criteria's own gap is tried first, then halving.
    """
    policy = history.governed.policy
    length = policy.window
    limit = -(-gate_lookback(history.governed, history.lens.phase) // length) + 1

    def passes(steps: int) -> bool:
        later = Window(newest.start + length * steps, newest.end + length * steps)
        at = max(history.lens.as_of, closed_at(later, policy.lateness))
        return ask_gate(runner, history, later, since, at).passed

    if now.error is not None:
        return None
    if now.passed:
        return closed_at(newest, policy.lateness)
    steps = _first_pass(passes, _gap(now, limit), limit)
    return None if steps is None else closed_at(newest, policy.lateness) + length * steps


def _gap(result: GateResult, limit: int) -> int:
    """How many windows the criteria lack, if they count windows at all: a first guess."""
    gaps = [row.required - row.observed for row in result.criteria if None not in (row.required, row.observed)]  # type: ignore[operator]
    return max(1, min(limit, round(max(filter(math.isfinite, gaps), default=1))))


def _first_pass(passes: Callable[[int], bool], guess: int, limit: int) -> int | None:
    """The smallest number of steps (1 to `limit`) that passes, for a test that stays true once it is; None for none."""
    if passes(guess):
        low, high = 0, guess
        if guess == 1 or not passes(guess - 1):
            return guess
        high = guess - 1
    elif passes(limit):
        low, high = guess, limit
    else:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high
