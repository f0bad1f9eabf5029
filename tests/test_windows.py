"""Windows of UTC time: aligned to the epoch, half-open, named by their start."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.windows import (
    EPOCH,
    ceil_to_window,
    closed_at,
    floor_to_window,
    iso,
    newest_closed,
    parse_iso,
    parse_stamp,
    stamp,
    window_at,
    windows_between,
)
from tests.telemetry import WINDOW, instant

LATENESS = timedelta(minutes=5)
INSTANTS = st.integers(-(2 * 10**15), 32 * 10**15).map(lambda micros: EPOCH + timedelta(microseconds=micros))
LENGTHS = st.sampled_from([1, 5, 15, 60, 24 * 60]).map(lambda minutes: timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("text", "floor", "ceil"),
    [
        ("11:45", "11:45", "11:45"),
        ("11:45:00.000001", "11:45", "12:00"),
        ("11:59:59.999999", "11:45", "12:00"),
        ("12:00", "12:00", "12:00"),
    ],
)
def test_window_of_an_instant(text: str, floor: str, ceil: str) -> None:
    assert floor_to_window(instant(text), WINDOW) == instant(floor)
    assert ceil_to_window(instant(text), WINDOW) == instant(ceil)


@given(at=INSTANTS, length=LENGTHS)
def test_an_instant_lies_in_its_window_and_in_no_other(at: datetime, length: timedelta) -> None:
    window = window_at(floor_to_window(at, length), length)
    assert window.start <= at < window.end
    assert (window.start - EPOCH) % length == timedelta(0)
    assert ceil_to_window(at, length) in ({window.start} if at == window.start else {window.end})


@pytest.mark.parametrize(
    ("as_of", "start"),
    [
        ("12:04:59.999999", "11:30"),
        ("12:05", "11:45"),  # closed exactly at its end + lateness
        ("12:19:59", "11:45"),
        ("12:20", "12:00"),
        ("00:04:59", "2026-01-01T23:30:00Z"),
    ],
)
def test_newest_closed_window(as_of: str, start: str) -> None:
    newest = newest_closed(instant(as_of), WINDOW, LATENESS)
    assert newest == window_at(instant(start), WINDOW)
    assert closed_at(newest, LATENESS) <= instant(as_of)


@given(as_of=INSTANTS, length=LENGTHS, lateness=st.integers(0, 90).map(lambda minutes: timedelta(minutes=minutes)))
def test_newest_closed_is_closed_and_the_next_is_not(as_of: datetime, length: timedelta, lateness: timedelta) -> None:
    newest = newest_closed(as_of, length, lateness)
    assert closed_at(newest, lateness) <= as_of < closed_at(window_at(newest.end, length), lateness)


@pytest.mark.parametrize(
    ("first", "end", "starts"),
    [
        ("11:00", "11:00", []),
        ("11:00", "11:15", ["11:00"]),
        ("11:00", "11:31", ["11:00", "11:15", "11:30"]),
        ("11:15", "11:00", []),
    ],
)
def test_windows_in_a_row(first: str, end: str, starts: list[str]) -> None:
    found = list(windows_between(instant(first), instant(end), WINDOW))
    assert found == [window_at(instant(start), WINDOW) for start in starts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260102T114500Z", "11:45"),
        ("20260102T114500", None),
        ("20260102T114500z", None),
        ("20261302T114500Z", None),
        ("20260102T250000Z", None),
        (" 20260102T114500Z", None),
        ("２０260102T114500Z", None),
        ("", None),
    ],
)
def test_name_of_a_batch(text: str, expected: str | None) -> None:
    assert parse_stamp(text) == (None if expected is None else instant(expected))
    if expected:
        assert stamp(instant(expected)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T11:45:00Z", "2026-01-02T11:45:00Z"),
        ("2026-01-02T13:45:00+02:00", "2026-01-02T11:45:00Z"),
        ("2026-01-02T11:45:00.5Z", "2026-01-02T11:45:00.500000Z"),
        ("2026-01-01T23:45:00-12:00", "2026-01-02T11:45:00Z"),
    ],
)
def test_times_are_told_in_utc(text: str, expected: str) -> None:
    assert iso(parse_iso(text)) == expected


@pytest.mark.parametrize("text", ["2026-01-02T11:45:00", "2026-01-02", "noon", ""])
def test_time_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"zone|isoformat"):
        parse_iso(text)


@given(at=INSTANTS)
def test_times_come_back(at: datetime) -> None:
    assert parse_iso(iso(at)) == at
    assert parse_stamp(stamp(at)) == at.replace(microsecond=0)
