"""Other limits over what was measured: every edge of the judge again, and what no limit changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from checker.analyzer.judge import judge_window
from checker.governance.reviewed import Sweep
from checker.governance.sweep import default_limits, sweep
from checker.model import Comparison, Decision, InputCounts, Judgement, Measurement, Status, Threshold
from checker.policy.model import Policy, Slo
from tests.decisions import LENGTH, decision, policy, slo, window

P95 = slo("p95", {"A": 2.5, "B": 2.0})
RATE = slo("rate", {}, "%", "gte", thresholds={"B": Threshold(Comparison.GTE, 99.5, 99.9)}, min_samples=20)
DRIFT = slo("drift", {"B": 0.0}, "", "eq")
NONE_AT_ALL = slo("none", {"B": 0.0})
SOUND = InputCounts(batches=1, lines=100, events=100)
BROKEN = InputCounts(batches=1, lines=100, events=90, quarantined=10)


def with_slo(one: Slo) -> Policy:
    return policy(slos={one.name: one, "other": slo("other", {"A": 1.0, "B": 1.0, "C": 1.0})})


def replayed(one: Slo, *values: float | None, samples: int = 100, **judged: Any) -> list[Decision]:
    """A decision for each value, as the analyzer judges it; None is a window without a value."""
    return [
        _decision(one, number, Measurement(one.name, window().start, value, 0 if value is None else samples), **judged)
        for number, value in enumerate(values)
    ]


def _decision(
    one: Slo, number: int, measured: Measurement, inputs: InputCounts = SOUND, has_batch: bool = True, **judged: Any
) -> Decision:
    at = replace(window(), start=window().start + number * LENGTH, end=window().end + number * LENGTH)
    alone = policy(slos={one.name: one})
    found = judge_window(alone, "B", at, {(one.name, at.start): measured}, inputs, has_batch, **judged)
    return decision(alone, judgements=found.judgements, window=at, judged=(at,), inputs=inputs, outcome=found.outcome)


def counted(found: Sweep) -> dict[float, dict[str, int]]:
    """By limit the statuses that any window has."""
    return {point.limit: {status.value: n for status, n in point.counts.items() if n} for point in found.points}


def swept(one: Slo, decisions: Sequence[Decision], *limits: float) -> dict[float, dict[str, int]]:
    return counted(sweep(with_slo(one), one, "B", decisions, limits))


def test_a_value_meets_each_limit_as_the_judge_says() -> None:
    values = (1.6, math.nextafter(1.6, 9), 2.0, math.nextafter(2.0, 9), 2.5)
    assert swept(P95, replayed(P95, *values), 1.5, 2.0, 2.5, 3.2) == {
        1.5: {"violation": 5},
        2.0: {"ok": 1, "warn": 2, "violation": 2},
        2.5: {"ok": 3, "warn": 2},  # the line moves along, to 2.0
        3.2: {"ok": 5},
    }


def test_what_a_sweep_says_of_itself() -> None:
    found = sweep(with_slo(P95), P95, "B", replayed(P95, 1.0), [2.0])
    assert (found.slo, found.phase, found.unit, found.current) == ("p95", "B", "s", 2.0)
    assert dict(found.points[0].counts) == {Status.OK: 1, **dict.fromkeys(list(Status)[1:], 0)}


def test_the_current_limit_gives_what_was_judged() -> None:
    """Whatever the policy's floating point: 0.8 of 1.8 is 1.4400000000000002."""
    one = slo("p95", {"B": 1.8})
    decisions = replayed(one, 1.44, 1.4400000000000002, math.nextafter(1.4400000000000002, 9), None)
    statuses = [made.judgements[0].status.value for made in decisions]
    assert swept(one, decisions, 1.8) == {1.8: {status: statuses.count(status) for status in statuses}}


def test_the_warning_line_of_gte_stays() -> None:
    values = (99.0, 99.5, 99.8, 99.9, 100.0)
    assert swept(RATE, replayed(RATE, *values), 99.0, 99.5, 99.95) == {
        99.0: {"ok": 2, "warn": 3},
        99.5: {"ok": 2, "warn": 2, "violation": 1},
        99.95: {"ok": 1, "violation": 4},
    }


def test_of_eq_only_the_very_value_is_met() -> None:
    assert swept(DRIFT, replayed(DRIFT, 0.0, 0.25, 0.25), 0.0, 0.25) == {
        0.0: {"ok": 1, "violation": 2},
        0.25: {"ok": 2, "violation": 1},
    }


@pytest.mark.parametrize(("limits", "warned"), [({"B": 0.0}, {"ok": 2}), ({"A": 4.0, "B": 0.0}, {"ok": 1, "warn": 1})])
def test_the_warn_share_of_a_limit_of_none_is_that_of_another_phase(
    limits: dict[str, float], warned: dict[str, int]
) -> None:
    one = slo("none", limits)
    assert swept(one, replayed(one, 0.5, 0.9), 1.0) == {1.0: warned}


@pytest.mark.parametrize("limit", [0.1, 2.0, 99.0])
@pytest.mark.parametrize(
    ("decisions", "status"),
    [
        (replayed(P95, None), "no_data"),
        (replayed(P95, 1.0, unreadable={"p95": "no such field"}), "error"),
        (replayed(P95, math.nan), "error"),
        (replayed(P95, 1.0, has_batch=False), "no_data"),
        (replayed(P95, 9.0, incomplete={"p95": "app has not come"}), "no_data"),
        (replayed(P95, 1.0, incomplete={"p95": "app has not come"}, inputs=BROKEN), "no_data"),
        (replayed(P95, 99.5, incomplete={"p95": "app has not come"}, inputs=BROKEN), "no_data"),
    ],
    ids=["value", "error", "nan", "batch", "incomplete", "incomplete-broken", "incomplete-broken-violated"],
)
def test_what_no_limit_changes(decisions: list[Decision], status: str, limit: float) -> None:
    assert decisions[0].judgements[0].status == status
    assert swept(P95, decisions, limit) == {limit: {status: 1}}


def test_no_data_that_is_a_violation_stays_one_but_for_a_window_without_a_batch() -> None:
    strict = replace(P95, no_data_is_violation=True)
    assert swept(strict, replayed(strict, None, 1.0), 99.0) == {99.0: {"violation": 1, "ok": 1}}
    assert swept(strict, replayed(strict, None, has_batch=False), 99.0) == {99.0: {"no_data": 1}}


@pytest.mark.parametrize(("samples", "expected"), [(19, "no_data"), (20, "ok")])
def test_too_few_samples_stay_too_few(samples: int, expected: str) -> None:
    assert swept(RATE, replayed(RATE, 100.0, samples=samples), 1.0) == {1.0: {expected: 1}}


def test_broken_lines_doubt_what_is_met_and_no_violation() -> None:
    """Under the current limit a violation; under a looser one it is met, and nothing is believed."""
    decisions = replayed(P95, 2.5, 1.0, inputs=BROKEN)
    assert swept(P95, decisions, 0.5, 2.0, 3.0) == {
        0.5: {"violation": 2},
        2.0: {"violation": 1, "no_data": 1},
        3.0: {"no_data": 2},
    }


def test_a_violation_that_the_ledger_holds_stays_one() -> None:
    (made,) = replayed(P95, 1.0)
    row = replace(made.judgements[0], status=Status.VIOLATION, recorded=True, reason="recorded in the ledger")
    assert swept(P95, [replace(made, judgements=(row,))], 2.0, 99.0) == {2.0: {"violation": 1}, 99.0: {"violation": 1}}


def test_windows_without_the_slo_are_not_counted() -> None:
    other = Judgement("other", window(), 1.0, 5, Threshold(Comparison.LTE, 1.0), Status.OK)
    assert swept(P95, [decision(policy(), judgements=(other,))], 2.0) == {2.0: {}}


@pytest.mark.parametrize(
    ("one", "values", "expected"),
    [
        (P95, (1.2,), (1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6, 2.8)),
        (P95, (1.2, 1.2, 30.0), (1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.6, 2.8)),  # one bad window moves nothing
        (
            P95,
            (2.9,),
            (2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7, 2.8, 2.9),
        ),  # stricter than the best value is a violation always
        (P95, (), (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0)),
        (P95, (None, math.nan, math.inf), (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0)),
        (P95, (2.0, 2.0, 2.3), (2.0, 2.05, 2.1, 2.15, 2.2, 2.25, 2.3)),
        (slo("odd", {"B": 1.83}), (1.2,), (1.2, 1.4, 1.6, 1.8, 1.83, 2.0, 2.2, 2.4, 2.6)),
        (slo("lag", {"B": 120.0}), (41.0,), (40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 160.0, 180.0, 200.0)),
        (RATE, (99.9,), (99.1, 99.2, 99.3, 99.4, 99.5, 99.6, 99.7, 99.8, 99.9)),
        (RATE, (100.0,), (99.0, 99.2, 99.4, 99.5, 99.6, 99.8, 100.0)),
        (RATE, (80.0,), (80.0, 82.5, 85.0, 87.5, 90.0, 92.5, 95.0, 97.5, 99.5, 100.0)),
        (NONE_AT_ALL, (0.0, 0.0), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (DRIFT, (0.0, 0.25, 3.0), (0.0,)),
    ],
)
def test_round_limits_around_the_current_one(
    one: Slo, values: tuple[float | None, ...], expected: tuple[float, ...]
) -> None:
    assert default_limits(one, "B", replayed(one, *values)) == expected


@pytest.mark.parametrize("steps", [5, 6, 11, 40])
@pytest.mark.parametrize("limit", [1e-9, 0.3, 1.83, 7.0, 120.0, 1e300, -2.0])
@pytest.mark.parametrize("value", [0.0, 1e-12, 0.21, 1.2, 119.0, 1e308, -3.0])
def test_never_more_than_asked_for_and_the_current_among_them(limit: float, value: float, steps: int) -> None:
    one = slo("one", {"B": limit})
    found = default_limits(one, "B", replayed(one, value), steps)
    assert limit in found
    assert list(found) == sorted(set(found))
    assert 2 <= len(found) <= steps
    assert all(map(math.isfinite, found))


def test_a_range_of_too_few_steps() -> None:
    with pytest.raises(ValueError, match="4 steps; at least 5"):
        default_limits(P95, "B", [], 4)


def test_samples_too_few_for_a_verdict_span_no_range() -> None:
    few = replayed(RATE, 10.0, samples=19)
    assert default_limits(RATE, "B", few) == default_limits(RATE, "B", [])


def test_windows_of_the_fixture_follow_each_other() -> None:
    first, second = replayed(P95, 1.0, 1.0)
    assert second.window.start - first.window.start == timedelta(minutes=15)
