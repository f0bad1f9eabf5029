"""Each scenario comes to the outcome that it promises, as a second reader measures it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache

import pytest

from checker.model import Status
from checker.simulate.batches import simulate
from checker.simulate.breakage import BREAKAGES
from checker.simulate.scenario import plan_run
from checker.simulate.scenarios import SCENARIOS
from tests.simulate_reader import WINDOW, Story, judge, named, outcome, p95_s, tell, window_of


@cache
def told(name: str, seed: int = 1, saves: int | None = None, phase: str = "B") -> tuple[Story, datetime]:
    run = plan_run(SCENARIOS[name], seed=seed, saves=saves, phase=phase)
    return tell({batch.window.start: batch.data for batch in simulate(run)}), run.end


@pytest.mark.parametrize(("seed", "saves"), [(1, None), (2, 3), (3, 1), (4, 130)])
@pytest.mark.parametrize("name", SCENARIOS)
def test_newest_window_has_the_promised_outcome_whatever_the_seed_and_volume(
    name: str, seed: int, saves: int | None
) -> None:
    story, end = told(name, seed, saves)
    assert outcome(story, end - WINDOW) is SCENARIOS[name].outcome


@pytest.mark.parametrize(
    ("name", "phase", "expected"),
    [
        ("healthy", "A", "ok"),
        ("healthy", "C", "ok"),
        ("warning", "A", "ok"),
        ("warning", "C", "warn"),
        ("violation-latency", "A", "violation"),
        ("violation-latency", "C", "violation"),
        ("violation-failure-rate", "A", "violation"),
        ("violation-failure-rate", "C", "violation"),
        ("violation-drift", "A", "violation"),
        ("violation-collector", "A", "warn"),
        ("violation-collector", "C", "violation"),
        ("collector-180s", "A", "warn"),  # exactly at the limit of A is met
        ("collector-180s", "C", "violation"),
    ],
)
def test_outcome_in_other_phases_is_the_one_the_summary_tells(name: str, phase: str, expected: str) -> None:
    story, end = told(name, phase=phase)
    assert outcome(story, end - WINDOW, phase) == expected


@pytest.mark.parametrize(
    ("name", "back", "slo", "expected"),
    [
        ("warning", 2, "save_latency_p95", "warn"),
        ("warning", 3, "save_latency_p95", "ok"),
        ("violation-latency", 1, "save_latency_p95", "violation"),
        ("violation-latency", 1, "failure_rate", "ok"),
        ("violation-failure-rate", 1, "failure_rate", "violation"),
        ("violation-failure-rate", 1, "save_latency_p95", "ok"),
        ("violation-drift", 1, "history_drift", "violation"),
        ("violation-drift", 2, "history_drift", "ok"),
        ("violation-collector", 1, "collector_latency", "violation"),
        ("missing-batch", 9, "collector_latency", "no_data"),
        ("missing-batch", 10, "collector_latency", "ok"),
        ("no-data", 1, "save_latency_p95", "no_data"),
        ("no-data", 1, "failure_rate", "no_data"),
        ("no-data", 1, "history_drift", "ok"),
        ("no-data", 1, "collector_latency", "ok"),
        ("late-events", 8, "save_latency_p95", "violation"),
        ("torn-last-line", 1, "collector_latency", "no_data"),
        ("torn-last-line", 1, "save_latency_p95", "ok"),
        ("recovery", 14, "save_latency_p95", "ok"),
        ("recovery", 13, "save_latency_p95", "violation"),
        ("recovery", 11, "save_latency_p95", "violation"),
        ("recovery", 10, "save_latency_p95", "ok"),
    ],
)
def test_each_scenario_goes_wrong_where_it_says_and_nowhere_else(name: str, back: int, slo: str, expected: str) -> None:
    story, end = told(name)
    assert judge(story, end - back * WINDOW)[slo] == expected


@pytest.mark.parametrize(
    "name", ["healthy", "duplicates", "too-late", "broken-lines", "release-change", "critical-alert"]
)
def test_every_window_of_a_sound_scenario_is_ok(name: str) -> None:
    story, end = told(name)
    windows = [end - back * WINDOW for back in range(1, SCENARIOS[name].windows + 1)]
    assert {outcome(story, window) for window in windows} == {Status.OK}


def test_counting_saves_that_are_too_late_would_make_a_violation() -> None:
    story, end = told("too-late")
    assert story.too_late == 12
    old = end - 3 * WINDOW - timedelta(hours=25)
    slow = [{"event": "autosave.save.completed", "duration_ms": 9000.0}] * 4
    assert (p95_s(story.events[old]) or 0) < 2.0 < (p95_s([*story.events[old], *slow]) or 0)


@pytest.mark.parametrize("back", [2, 4, 8, 12])
def test_losing_late_saves_would_change_the_percentile(back: int) -> None:
    story, end = told("late-events")
    window = end - back * WINDOW
    assert (p95_s(story.on_time[window]) or 0) < (p95_s(story.events[window]) or 0)


def test_late_saves_arrive_one_and_three_batches_later() -> None:
    run = plan_run(SCENARIOS["late-events"])
    delays = {
        (batch.window.start - window_of(event)) // WINDOW
        for batch in simulate(run)
        for event in map(json.loads, batch.data.splitlines())
    }
    assert delays == {0, 1, 3}


def test_copies_lie_in_the_same_batch_and_the_next_with_the_same_and_another_ts() -> None:
    seen: dict[str, tuple[datetime, bytes]] = {}
    kinds = set()
    for batch in simulate(plan_run(SCENARIOS["duplicates"], saves=200)):
        for line in batch.data.splitlines():
            request_id = json.loads(line).get("request_id")
            if request_id in seen:
                start, first = seen[request_id]
                kinds.add(((batch.window.start - start) // WINDOW, line == first))
            elif request_id is not None:
                seen[request_id] = batch.window.start, line
    assert kinds == {(0, True), (0, False), (1, True), (1, False)}


def test_broken_lines_hold_each_kind_once_below_the_limit() -> None:
    story, end = told("broken-lines")
    newest = end - WINDOW
    assert sorted(story.broken[newest]) == sorted(BREAKAGES)
    assert len(story.broken[newest]) < 0.05 * story.lines[newest]


def test_flood_is_above_the_limit() -> None:
    story, end = told("flood-of-broken-lines")
    assert len(story.broken[end - WINDOW]) > 0.05 * story.lines[end - WINDOW]


def test_drift_comes_with_a_garbage_collection() -> None:
    story, end = told("violation-drift")
    (collection,) = named(story.events[end - WINDOW], "autosave.history.gc")
    drifts = named(story.events[end - WINDOW], "autosave.history.drift")
    assert len(drifts) == 2
    assert all(drift["ts"] > collection["ts"] for drift in drifts)
    assert all(drift["current_generation"] != drift["index_generation"] for drift in drifts)


def test_release_alert_and_exhausted_source_are_told() -> None:
    releases, end = told("release-change")
    assert {event["release"] for event in releases.events[end - 20 * WINDOW]} == {"1.5.0"}
    assert {event["release"] for event in releases.events[end - 21 * WINDOW]} == {"1.4.2"}
    alerts, end = told("critical-alert")
    assert [event["severity"] for event in named(alerts.events[end - 3 * WINDOW], "alert.fired")] == ["critical"]
    exhausted, end = told("retry-exhausted")
    (given_up,) = named(exhausted.events[end - WINDOW], "collector.retry_exhausted")
    (seal,) = named(exhausted.events[end - WINDOW], "collector.latency")
    assert (given_up["source"], seal["incomplete"]) == ("eu-west", ["eu-west"])
