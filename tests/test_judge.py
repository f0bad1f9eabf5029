"""Measurements become judgements: every edge of the contract, in its order."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.analyzer.judge import JudgedWindow, judge_window, outcome_of
from checker.model import Comparison, InputCounts, Judgement, Measurement, OnViolation, Status, Threshold
from checker.policy.model import Policy
from tests.decisions import policy, slo, window

INF, NAN = math.inf, math.nan
P95 = slo("p95", {"B": 2.0})
RESTORES = slo(
    "restores", {"B": 0.0}, "", "gte", thresholds={"B": Threshold(Comparison.GTE, 0.995, 0.999)}, min_samples=20
)
DRIFT = slo("drift", {"B": 0.0}, "", "eq")
LOOSE = slo("loose", {"B": 2.0}, thresholds={"B": Threshold(Comparison.LTE, 2.0)})


def judged(
    slos: dict[str, tuple[float | None, int]],
    inputs: InputCounts | None = None,
    has_batch: bool = True,
    unreadable: str | None = None,
    errors: dict[str, str] | None = None,
    **changes: Any,
) -> JudgedWindow:
    """One window of a policy with the four SLOs above, measured as (value, samples) by name."""
    now = window()
    kinds = {row.name: replace(row, **changes.get(row.name, {})) for row in (P95, RESTORES, DRIFT, LOOSE)}
    measured = {
        (name, now.start): Measurement(name, now.start, value, samples, error=(errors or {}).get(name))
        for name, (value, samples) in slos.items()
    }
    with_slos = policy(slos={name: kinds[name] for name in slos})
    return judge_window(with_slos, "B", now, measured, inputs or InputCounts(1, 100, 100), has_batch, unreadable)


def after(value: float) -> float:
    return math.nextafter(value, INF)


def before(value: float) -> float:
    return math.nextafter(value, -INF)


@pytest.mark.parametrize(
    ("name", "value", "samples", "expected"),
    [
        ("p95", 0.0, 1, "ok"),
        ("p95", -1.0, 1, "ok"),
        ("p95", 1.6, 1, "ok"),  # exactly at 80 % of 2.0
        ("p95", after(1.6), 1, "warn"),
        ("p95", before(2.0), 1, "warn"),
        ("p95", 2.0, 1, "warn"),  # exactly at the threshold is met
        ("p95", after(2.0), 1, "violation"),
        ("p95", 1e308, 1, "violation"),
        ("p95", NAN, 1, "error"),
        ("p95", INF, 1, "error"),
        ("p95", -INF, 1, "error"),
        ("p95", None, 1, "no_data"),
        ("p95", 1.0, 0, "no_data"),
        ("p95", 9.0, 0, "no_data"),  # too few samples say nothing, however bad
        ("p95", NAN, 0, "no_data"),
        ("loose", 1.9, 1, "ok"),  # no warning line
        ("loose", 2.0, 1, "ok"),
        ("loose", after(2.0), 1, "violation"),
        ("restores", 1.0, 20, "ok"),
        ("restores", 0.999, 20, "ok"),  # exactly at the warning line
        ("restores", before(0.999), 20, "warn"),
        ("restores", 0.995, 20, "warn"),
        ("restores", before(0.995), 20, "violation"),
        ("restores", 0.0, 20, "violation"),
        ("restores", 0.0, 19, "no_data"),
        ("restores", 1.0, 19, "no_data"),
        ("restores", INF, 20, "error"),
        ("drift", 0.0, 1, "ok"),
        ("drift", -0.0, 1, "ok"),
        ("drift", after(0.0), 1, "violation"),  # 0 means 0
        ("drift", 0.25, 1, "violation"),
        ("drift", -1.0, 1, "violation"),
        ("drift", NAN, 1, "error"),
    ],
)
def test_one_slo(name: str, value: float | None, samples: int, expected: str) -> None:
    found = judged({name: (value, samples)})
    (judgement,) = found.judgements
    assert judgement.status == found.outcome == expected
    assert judgement.value is value
    assert judgement.samples == samples
    assert (judgement.reason is None) == (expected in ("ok", "warn", "violation"))


@pytest.mark.parametrize(
    ("value", "samples", "expected"),
    [(None, 1, "violation"), (1.0, 0, "violation"), (1.0, 1, "ok"), (NAN, 1, "error"), (2.1, 1, "violation")],
)
def test_no_data_is_a_violation_where_the_policy_says_so(value: float | None, samples: int, expected: str) -> None:
    assert judged({"p95": (value, samples)}, p95={"no_data_is_violation": True}).outcome == expected


@pytest.mark.parametrize(
    ("case", "expected", "reason"),
    [
        ({"errors": {"p95": "ran out of memory"}}, "error", "ran out of memory"),
        ({"errors": {"p95": "x"}, "p95": {"no_data_is_violation": True}}, "error", "x"),
        ({"unreadable": {"errors": "cannot be read: torn"}}, "ok", None),  # another SLO looks back at that batch
        ({"has_batch": False}, "no_data", "the window has no batch"),
        ({"has_batch": False, "p95": {"no_data_is_violation": True}}, "no_data", "the window has no batch"),
        ({"unreadable": {"p95": "cannot be read: torn"}}, "error", "cannot be read: torn"),
    ],
)
def test_window_that_could_not_be_measured(case: dict[str, Any], expected: str, reason: str) -> None:
    found = judged({"p95": (1.0, 5)}, **case)
    assert found.outcome == expected
    assert found.judgements[0].reason == reason


def test_slo_without_a_measurement_is_an_error() -> None:
    now = window()
    found = judge_window(policy(slos={"p95": P95}), "B", now, {}, InputCounts(1, 1, 1), True)
    assert found.outcome is Status.ERROR


@pytest.mark.parametrize(
    ("quarantined", "lines", "expected"),
    [
        (0, 0, ("ok", "warn", "violation")),
        (5, 100, ("ok", "warn", "violation")),  # exactly 5 %
        (6, 100, ("no_data", "no_data", "violation")),
        (1, 20, ("ok", "warn", "violation")),
        (1, 19, ("no_data", "no_data", "violation")),
        (9, 9, ("no_data", "no_data", "violation")),
    ],
)
def test_too_many_broken_lines(quarantined: int, lines: int, expected: tuple[str, ...]) -> None:
    inputs = InputCounts(1, lines, lines - quarantined, quarantined=quarantined)
    found = judged({"loose": (1.0, 9), "p95": (1.7, 9), "drift": (1.0, 9)}, inputs)
    assert tuple(row.status.value for row in found.judgements) == expected
    assert found.outcome is Status.VIOLATION


@pytest.mark.parametrize(("value", "expected"), [(NAN, "error"), (None, "no_data")])
def test_broken_lines_do_not_hide_an_error(value: float | None, expected: str) -> None:
    inputs = InputCounts(1, 10, 1, quarantined=9)
    assert judged({"p95": (value, 9)}, inputs).outcome == expected


ORDER = ("ok", "warn", "no_data", "error", "violation")


@given(statuses=st.lists(st.sampled_from(ORDER), min_size=1, max_size=4), observed=st.integers(0, 4))
def test_outcome_is_the_worst_that_counts(statuses: list[str], observed: int) -> None:
    slos = {
        f"s{number}": slo(
            f"s{number}", {"B": 1.0}, on_violation=OnViolation.OBSERVE if number == observed else OnViolation.HOLD
        )
        for number in range(len(statuses))
    }
    with_slos: Policy = policy(slos=slos)
    rows = [
        Judgement(name, window(), 0.0, 1, slos[name].thresholds["B"], Status(status))
        for name, status in zip(slos, statuses, strict=True)
    ]
    counted = [status for number, status in enumerate(statuses) if number != observed]
    assert outcome_of(with_slos, rows) == max(counted, key=ORDER.index, default="no_data")


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(one=FINITE, other=FINITE, limit=FINITE, share=st.floats(0, 1))
@pytest.mark.parametrize("comparison", list(Comparison))
def test_a_worse_value_is_never_judged_better(
    comparison: Comparison, one: float, other: float, limit: float, share: float
) -> None:
    warn = {Comparison.LTE: limit * share, Comparison.GTE: limit + abs(limit) * share, Comparison.EQ: None}[comparison]
    threshold = Threshold(comparison, limit, warn)
    badness = {Comparison.LTE: lambda x: x, Comparison.GTE: lambda x: -x, Comparison.EQ: lambda x: x != limit}[
        comparison
    ]
    better, worse = sorted((one, other), key=badness)
    assert threshold.judge(better, 1, 1).severity <= threshold.judge(worse, 1, 1).severity


@given(value=st.floats() | st.none(), samples=st.integers(0, 3), least=st.integers(0, 3))
def test_only_a_finite_value_with_enough_samples_is_met(value: float | None, samples: int, least: int) -> None:
    for comparison in Comparison:
        status = Threshold(comparison, 0.0, None).judge(value, samples, least)
        if status.is_met or status is Status.VIOLATION:
            assert value is not None
            assert math.isfinite(value)
            assert samples >= least
