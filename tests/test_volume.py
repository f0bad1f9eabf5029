"""Far fewer events than the same hour before: at the edge, on every grid of windows, and as `status` tells it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer.volume import shortfall
from checker.policy.collecting import Volume
from checker.windows import iso
from tests.batches import FIRST, closed, event
from tests.commands import phasegate
from tests.rollouts import Rollout

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("warn_below", "expected", "enough"),
    [(0.5, 100, 50), (0.07, 100, 7), (0.55, 100, 55), (0.29, 100, 29), (0.1, 3, 1), (1 / 3, 3, 1)],
)
def test_exactly_the_share_is_enough(warn_below: float, expected: int, enough: int) -> None:
    """0.07 × 100 is 7.000000000000001 in floating point."""

    def found(observed: int) -> bool:
        events = {FIRST: expected, FIRST + timedelta(days=1): observed}
        return shortfall(events, FIRST + timedelta(days=1), 15 * MINUTE, Volume(warn_below)) is not None

    assert (found(enough), found(enough - 1)) == (False, True)


@pytest.mark.parametrize(
    ("minutes", "events", "number", "told"),
    [
        (5, {0: 100, 11: 100, 12: 900, 290: 1}, 290, "the hour from 2026-01-01 00:00 UTC"),
        (5, {11: 900, 12: 100, 23: 100, 24: 1}, 24, "the hour before"),
        (40, {2: 100, 38: 1}, 38, "the hour from 2026-01-01 01:00 UTC"),  # 01:20 is the only window of its hour
        (40, {0: 900, 1: 100, 2: 1}, 2, "the hour before"),  # 00:40 begins within it, 00:00 does not
        (60, {0: 100, 24: 1}, 24, "the hour from 2026-01-01 00:00 UTC"),
        (60, {0: 900, 1: 100, 2: 1}, 2, "the hour before"),
        (120, {0: 900, 1: 100, 2: 1}, 2, "the window before"),
        (1440, {0: 100, 1: 1}, 1, "the hour from 2026-01-01 00:00 UTC"),
    ],
)
def test_on_every_grid_of_windows(minutes: int, events: dict[int, int], number: int, told: str) -> None:
    length = minutes * MINUTE
    counts = {FIRST + each * length: count for each, count in events.items()}
    found = shortfall(counts, FIRST + number * length, length, Volume(0.5))
    assert found is not None
    assert (found.observed, found.expected, found.reference) == (1, 100.0, told)


@pytest.mark.parametrize(("before", "expected"), [(15 * MINUTE, 100.0), (timedelta(days=7), 900.0)])
def test_a_window_is_not_compared_with_itself(before: timedelta, expected: float) -> None:
    """A quarter of an hour before 00:45 is the hour that 00:45 lies in."""
    start = FIRST + 45 * MINUTE
    quarters = {FIRST + each * 15 * MINUTE: 100 for each in range(3)}
    found = shortfall({**quarters, start: 40, start - timedelta(days=7): 900}, start, 15 * MINUTE, Volume(0.5, before))
    assert found is not None
    assert found.expected == expected


def test_status_tells_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollout = Rollout(tmp_path)
    rollout.enter()
    crowd = [
        event("autosave.save.completed", FIRST + timedelta(seconds=each), "B", request_id=f"c{each}", duration_ms=5)
        for each in range(60)
    ]
    rollout.batches("met", "met", extra={0: crowd})

    def status(windows: int, *options: str) -> Any:
        places = (f"--logs={rollout.logs}", f"--ledger={rollout.ledger}", f"--as-of={iso(closed(windows))}")
        return phasegate(capsys, "status", *places, "--no-cache", *options)

    assert status(1, "--format=json").document["volume_shortfall"] is None
    assert status(2, "--format=json").document["volume_shortfall"] == {"events": 1, "expected": 61.0}
    text = status(2).out
    assert "  volume            ⚠ 1 events, where the hour before had 61 a window" in text.splitlines()
    assert "volume" not in status(1).out
