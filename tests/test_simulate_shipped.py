"""The shipped sample and fixtures tell the story that they were made for, as a second reader measures it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import pytest

from checker.model import Status
from tests.simulate_reader import ROOT, SLOS, WINDOW, Story, judge, measure, named, outcome, read, tell, window_of

SAMPLE = ROOT / "tests/samples/autosave"


@cache
def sample() -> Story:
    files = sorted((SAMPLE / "logs").glob("*.jsonl"))
    return tell({datetime.strptime(path.stem + "+0000", "%Y%m%dT%H%M%SZ%z"): path.read_bytes() for path in files})


def test_sample_breaks_where_it_says_and_meets_41_windows_in_a_row() -> None:
    first = datetime(2026, 1, 1, 9, tzinfo=UTC)
    outcomes = {window: outcome(sample(), window) for window in (first + number * WINDOW for number in range(108))}
    broken = {window.isoformat(): status.value for window, status in outcomes.items() if not status.is_met}
    assert broken == {"2026-01-01T10:30:00+00:00": "violation", "2026-01-02T01:30:00+00:00": "no_data"}
    since_break = list(outcomes.values())[67:]
    assert len(since_break) == 41
    assert set(since_break[-8:]) == {Status.WARN}


def test_sample_newest_window_is_a_warning_of_the_latency_alone() -> None:
    newest = datetime(2026, 1, 2, 11, 45, tzinfo=UTC)
    values = measure(sample(), newest)
    assert values["save_latency_p95"] == pytest.approx(1.73, abs=0.0005)
    assert values["failure_rate"] == pytest.approx(100 / 480)
    assert values["collector_latency"] == pytest.approx(41)
    assert judge(sample(), newest) == dict(zip(SLOS, ("warn", "ok", "ok", "ok"), strict=True))


def test_sample_holds_a_little_of_everything_and_stays_small() -> None:
    story = sample()
    events = [event for window in story.events.values() for event in window]
    assert sum(map(len, story.broken.values())) == 4
    assert story.broken[datetime(2026, 1, 2, 11, 45, tzinfo=UTC)] == ["wrong_type"]
    assert (story.late, story.duplicates, story.too_late) == (5, 3, 0)
    assert {event["release"] for event in events} == {"1.4.2"}
    assert not named(events, "alert.fired")
    warned = [window for window in list(story.events) if judge(story, window)["failure_rate"] is Status.WARN]
    errors = [error for window in warned for error in named(story.events[window], "autosave.save.error")]
    assert [error["retryable"] for error in errors] == [True, True]
    assert sum(path.stat().st_size for path in (SAMPLE / "logs").iterdir()) < 1_200_000
    assert (SAMPLE / "as-of").read_text() == "2026-01-02T12:05:00Z\n"


@pytest.mark.parametrize(
    ("fixture", "phase", "windows", "slo", "expected"),
    [
        ("autosave_phaseA_violation", "A", 2, "save_latency_p95", "violation"),
        ("autosave_phaseA_ok", "A", 8, "save_latency_p95", "ok"),
        ("autosave_phaseA_collector_180s", "A", 2, "collector_latency", "warn"),
        ("autosave_phaseB_drift", "B", 4, "history_drift", "violation"),
    ],
)
def test_fixture_is_what_its_name_says(fixture: str, phase: str, windows: int, slo: str, expected: str) -> None:
    events = [read(line) for line in (ROOT / f"tests/fixtures/{fixture}.jsonl").read_bytes().splitlines()]
    assert {event["phase"] for event in events} == {phase}
    story = Story()
    for event in events:
        story.events[window_of(event)].append(event)
    story.lines = {window: len(rows) for window, rows in story.events.items()}
    outcomes = [outcome(story, window, phase) for window in sorted(story.lines)]
    assert outcomes == [Status.OK] * (windows - 1) + [Status(expected)]
    assert judge(story, max(story.lines), phase)[slo] == expected
