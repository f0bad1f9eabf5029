"""From which window on a streak counts."""

from __future__ import annotations

import pytest

from checker.analyzer.batch_index import ReleaseSeen
from checker.analyzer.streak import new_release_at, streak_start
from checker.windows import floor_to_window
from tests.telemetry import WINDOW, instant


def seen(*pairs: tuple[str, str]) -> list[ReleaseSeen]:
    """Releases by the time of their first event in some window, in that order."""
    return [ReleaseSeen(floor_to_window(instant(at), WINDOW), "B", release, instant(at)) for at, release in pairs]


@pytest.mark.parametrize(
    ("releases", "before", "expected"),
    [
        ([], "12:00", None),
        ([("11:00", "r1")], "12:00", None),  # the first release of all is not new
        ([("11:00", "r1"), ("11:15", "r1")], "12:00", None),
        ([("11:00", "r1"), ("11:20", "r2")], "12:00", "11:20"),
        ([("11:00", "r1"), ("11:20", "r2"), ("11:30", "r1"), ("11:31", "r2")], "12:00", "11:20"),  # r1 is not new again
        ([("11:00", "r1"), ("11:20", "r2"), ("11:40", "r3")], "12:00", "11:40"),
        ([("11:00", "r1"), ("11:20", "r2"), ("11:40", "r3")], "11:40", "11:20"),  # what comes later is not known yet
        ([("11:00", "r1"), ("11:20", "r2")], "11:20", None),
    ],
)
def test_newest_release(releases: list[tuple[str, str]], before: str, expected: str | None) -> None:
    found = new_release_at(seen(*releases), instant(before))
    assert found == (None if expected is None else instant(expected))


@pytest.mark.parametrize(
    ("entry", "release", "digest", "expected"),
    [
        ("11:00", None, None, "11:00"),  # entered exactly at a window's start: that window counts
        ("11:00:00.000001", None, None, "11:15"),
        ("11:14:59", None, None, "11:15"),
        ("11:00", "11:20", None, "11:30"),
        ("11:00", "11:30", None, "11:30"),
        ("11:00", "10:20", None, "11:00"),
        ("11:00", None, "11:50", "12:00"),
        ("11:00", "11:20", "11:01", "11:30"),
        ("11:00", "11:20", "11:46", "12:00"),
    ],
)
def test_first_whole_window_after_everything(
    entry: str, release: str | None, digest: str | None, expected: str
) -> None:
    others = (None if text is None else instant(text) for text in (release, digest))
    assert streak_start(WINDOW, instant(entry), *others) == instant(expected)
