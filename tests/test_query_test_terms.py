"""Times, numbers and comparisons as query tests write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from checker.querytest.slo import is_same
from checker.querytest.terms import count_of, instant_of, number_of

ZERO = datetime(2026, 1, 1, tzinfo=UTC)
NAMES: dict[str, int | float] = {"limit": 2.0, "warn": 1.6}


@pytest.mark.parametrize(
    ("text", "number"),
    [(5, 5), (0.25, 0.25), ("=limit", 2), ("=warn*1000", 1600), ("=limit*1000+0.5", 2000.5), ("=limit*-20+2000", 1960)],
)
def test_numbers(text: object, number: float) -> None:
    assert number_of(text, NAMES) == number


@pytest.mark.parametrize("text", ["limit", "=limit*", "=limit+1*2", "=Limit", "=", True, None, "=other"])
def test_what_is_no_number(text: object) -> None:
    with pytest.raises(ValueError, match=r"expected a number|no number"):
        number_of(text, NAMES)


@pytest.mark.parametrize("text", ["=limit-3", -1, 0.5])
def test_what_is_no_count(text: object) -> None:
    with pytest.raises(ValueError, match="expected a whole number, 0 or more"):
        count_of(text, NAMES)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(0, 0), ("+15m", 900), ("-45m", -2700), ("-2701s", -2701), ("2026-01-01T01:00:00+01:00", 0)],
)
def test_times(text: object, seconds: int) -> None:
    assert (instant_of(text, ZERO) - ZERO).total_seconds() == seconds


@pytest.mark.parametrize("text", ["15m", "+0m", 1, True, False, "2026-01-01T01:00:00", "+1h30m"])
def test_what_is_no_time(text: object) -> None:
    with pytest.raises(ValueError, match="expected 0"):
        instant_of(text, ZERO)


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        (0.1 + 0.2, 0.3, True),
        (0.3000001, 0.3, False),
        (0, 0.0, True),
        (0, 1e-15, False),
        (None, None, True),
        (None, 0.0, False),
        (0, None, False),
    ],
)
def test_comparison(expected: object, found: float | None, same: bool) -> None:
    assert is_same(expected, found) is same
