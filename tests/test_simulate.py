"""The pieces that scenarios are made of: draws, batches and seals, broken lines, plans."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.errors import UsageError
from checker.model import Status
from checker.simulate.batches import Batch, simulate
from checker.simulate.breakage import BREAKAGES
from checker.simulate.scenario import Condition, Episode, Scenario, plan_run
from checker.simulate.scenarios import SCENARIOS
from checker.simulate.traffic import (
    draw_arrivals,
    draw_durations,
    draw_saves,
    failures_of,
    linear_quantile,
    mean_saves,
)

HEAD = ["schema_version", "ts", "event", "phase", "release"]
SEALED = [name for name in SCENARIOS if name != "torn-last-line"]


def run_of(name: str, seed: int = 1) -> list[Batch]:
    return list(simulate(plan_run(SCENARIOS[name], seed=seed)))


def sound_lines(batch: Batch) -> Iterator[tuple[bytes, dict[str, object]]]:
    for line in batch.data.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if "NaN" not in line.decode():
            yield line, event


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_quantile_is_numpys(values: list[float], share: float) -> None:
    assert linear_quantile(values, share) == pytest.approx(np.percentile(values, 100 * share, method="linear"))


@pytest.mark.parametrize("count", [1, 2, 3, 20, 21, 44, 480, 5_000])
@pytest.mark.parametrize("p95_ms", [1200.0, 1730.0, 3120.0])
def test_durations_have_exactly_the_percentile_asked_for(count: int, p95_ms: float) -> None:
    durations = draw_durations(count, p95_ms, Random(count))
    assert len(durations) == count
    assert np.percentile(durations, 95, method="linear") == pytest.approx(p95_ms, abs=0.051)
    assert all(duration > 0 for duration in durations)


def test_no_saves_have_no_durations() -> None:
    assert draw_durations(0, 1200.0, Random(1)) == []


@pytest.mark.parametrize(
    ("condition", "saves", "failed"),
    [
        (Condition(failures=(1, 25)), 1, 1),  # one in 25 of at least 25
        (Condition(failures=(1, 480)), 480, 1),
        (Condition(failures=(1, 240)), 481, 3),
        (Condition(), 999, 0),  # one in a thousand, rounded down
        (Condition(), 1000, 1),
        (Condition(silent=True), 44, 0),
    ],
)
def test_failures_are_an_exact_share(condition: Condition, saves: int, failed: int) -> None:
    at_least = Condition(saves_at_least=saves, failures=condition.failures, silent=condition.silent)
    drawn = draw_saves(1.0, at_least, Random(3))
    assert failures_of(drawn, condition) == failed
    assert condition.failures is None or drawn % condition.failures[1] == 0


def test_traffic_is_busiest_in_the_afternoon_and_has_the_mean_asked_for() -> None:
    means = [mean_saves(datetime(2026, 1, 1, tzinfo=UTC) + number * timedelta(minutes=15), 44) for number in range(96)]
    assert np.mean(means) == pytest.approx(44)
    assert (int(np.argmax(means)), int(np.argmin(means))) == (14 * 4, 2 * 4)


def test_arrivals_lie_in_the_window_in_order() -> None:
    arrivals = draw_arrivals(500, 900_000, 900_000, Random(5))
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= 900_000
    assert arrivals[-1] < 1_800_000


@pytest.mark.parametrize("name", SCENARIOS)
def test_same_seed_same_bytes_and_another_seed_other_bytes(name: str) -> None:
    assert run_of(name) == run_of(name)
    assert run_of(name) != run_of(name, seed=2)


@pytest.mark.parametrize("name", SEALED)
def test_seal_is_the_last_line_and_its_counts_add_up(name: str) -> None:
    for batch in run_of(name):
        lines = batch.data.splitlines()
        seal = json.loads(lines[-1])
        assert seal["event"] == "collector.latency"
        assert seal["batch_start"] == batch.window.start.isoformat().replace("+00:00", "Z")
        sealed_at = batch.window.end + timedelta(milliseconds=seal["latency_ms"])
        assert datetime.fromisoformat(seal["ts"]) == sealed_at
        assert len(lines) == batch.lines == seal["accepted"] + seal["duplicates"] + seal["quarantined"] + 1
        assert batch.data.endswith(b"}\n")


@pytest.mark.parametrize("name", ["sample", "violation-failure-rate", "duplicates", "broken-lines"])
def test_seal_counts_what_lies_in_the_batch(name: str) -> None:
    seen: set[object] = set()
    for batch in run_of(name):
        events = [event for _, event in sound_lines(batch)]
        errors = [event["retryable"] for event in events if event["event"] == "autosave.save.error"]
        copies = 0
        for event in events:
            copies += event.get("request_id") in seen
            seen |= {event["request_id"]} if "request_id" in event else set()
        seal = events[-1]
        assert (seal["errors_retryable"], seal["errors_fatal"]) == (errors.count(True), errors.count(False))
        assert seal["duplicates"] == copies


@pytest.mark.parametrize("name", ["sample", "violation-drift", "retry-exhausted", "critical-alert"])
def test_lines_are_compact_sorted_by_time_and_begin_with_the_same_keys(name: str) -> None:
    for batch in run_of(name):
        events = list(sound_lines(batch))
        stamps = [str(event["ts"]).removesuffix("Z") for _, event in events]
        assert stamps == sorted(stamps)
        for line, event in events:
            assert list(event)[:5] == HEAD
            assert line == json.dumps(event, separators=(",", ":")).encode()


def test_torn_last_line_is_half_a_seal_without_a_newline() -> None:
    *whole, torn = run_of("torn-last-line")
    last = torn.data.splitlines()[-1]
    assert b'"event":"collector.latency"' in last
    assert not torn.data.endswith(b"\n")
    assert len(last) < len(whole[-1].data.splitlines()[-1])


def test_missing_batch_leaves_a_gap_of_one_window() -> None:
    starts = [batch.window.start for batch in run_of("missing-batch")]
    gaps = {later - earlier for earlier, later in itertools.pairwise(starts)}
    assert gaps == {timedelta(minutes=15), timedelta(minutes=30)}
    assert len(starts) == 23


def test_late_saves_that_no_batch_is_left_for_arrive_in_time() -> None:
    late = Scenario("late", "", Status.OK, (Episode(-1, 1, Condition(late=(1, 3))),), windows=2)
    on_time = replace(late, episodes=())
    assert list(simulate(plan_run(late))) == list(simulate(plan_run(on_time)))


def test_batches_are_made_one_at_a_time() -> None:
    batches = simulate(plan_run(SCENARIOS["healthy"], windows=100_000))
    assert next(batches).window.start == SCENARIOS["healthy"].start


@pytest.mark.parametrize("kind", BREAKAGES)
def test_each_kind_changes_a_sound_line(kind: str) -> None:
    line = (
        b'{"schema_version":1,"ts":"2026-01-01T00:00:00.000Z","event":"autosave.save.completed","phase":"B",'
        b'"release":"1.4.2","request_id":"a","duration_ms":600.0,"bytes":1}'
    )
    broken = BREAKAGES[kind](line)
    assert broken != line
    assert b"\n" not in broken


@pytest.mark.parametrize(
    ("first", "number", "expected"),
    [
        (0, 0, True),
        (0, 2, False),
        (1, 0, False),
        (1, 2, True),
        (-1, 9, True),
        (-1, 8, False),
        (-3, 7, True),
        (-3, 9, False),
    ],
)
def test_episode_counts_from_the_start_or_the_end(first: int, number: int, expected: bool) -> None:
    assert Episode(first, 2, Condition()).holds(number, 10) is expected


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("sample", {"windows": 107}, ["--windows 107", "'sample' needs at least 108"]),
        ("recovery", {"windows": 12}, ["--windows 12", "at least 13"]),
        ("healthy", {"start": datetime(2026, 1, 1, 0, 7, tzinfo=UTC)}, ["00:07:00Z", "before is 2026-01-01T00:00:00Z"]),
        ("healthy", {"start": datetime(1969, 1, 1, tzinfo=UTC)}, ["1969-01-01", "from 1971-01-01T00:00:00Z"]),
        ("healthy", {"start": datetime(9999, 12, 31, tzinfo=UTC)}, ["9999-12-31"]),
        ("healthy", {"phase": " "}, ["--phase"]),
        ("healthy", {"saves": 0}, ["--events-per-window 0", "no-data"]),
        ("healthy", {"saves": 0, "phase": ""}, ["--events-per-window 0", "--phase"]),
    ],
)
def test_a_run_that_makes_no_sense_is_refused_with_every_fault(
    name: str, changes: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(UsageError) as refusal:
        plan_run(SCENARIOS[name], **changes)  # type: ignore[arg-type]
    assert all(word in str(refusal.value) for word in words)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_fits_into_its_own_windows_and_exactly_into_the_fewest(name: str) -> None:
    scenario = SCENARIOS[name]
    assert scenario.needed_windows <= scenario.windows
    assert list(simulate(plan_run(scenario, windows=scenario.needed_windows)))
