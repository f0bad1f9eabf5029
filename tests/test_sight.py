"""What a gate sees with the samples that a window has: against exact sums, at the edges, and through the real judge."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from checker.governance.binomial import at_least, smallest_share
from checker.governance.reviewed import Sight
from checker.governance.sight import sights
from checker.model import Comparison, Status, Threshold
from checker.policy.model import CrossCheck
from tests.decisions import policy, slo

SAVED, FAILED = frozenset({"saved"}), frozenset({"failed"})
P95 = CrossCheck("quantile", SAVED, "ms", 0.95, scale=0.001)
RATE = CrossCheck("share", FAILED, among=SAVED | FAILED, scale=100)


def exact(needed: int, samples: int, share: Fraction) -> Fraction:
    """P(X ≥ needed), summed in fractions."""
    terms = (
        math.comb(samples, k) * share**k * (1 - share) ** (samples - k) for k in range(max(needed, 0), samples + 1)
    )
    return sum(terms, Fraction())


def seen(
    check: CrossCheck | None,
    limit: float,
    samples: int | list[int],
    comparison: str = "lte",
    unit: str = "s",
    blind_past: float = 2.0,
    **changes: Any,
) -> Sight:
    """What one SLO sees in one phase."""
    thresholds = {phase: Threshold(Comparison(comparison), limit) for phase in "ABC"}
    one = slo("one", {}, unit, comparison, thresholds=thresholds, cross_check=check, **changes)
    counts = [samples] if isinstance(samples, int) else samples
    found = sights(policy(slos={"one": one}), {("B", "one"): counts}, 0.95, blind_past)
    assert [(row.phase, row.samples) for row in found if row.phase != "B"] == [("A", None), ("C", None)]
    return found[1]


@pytest.mark.parametrize("samples", [1, 2, 12, 40, 137])
@pytest.mark.parametrize("share", ["0.001", "0.05", "0.34", "0.5", "0.97"])
def test_the_tail_is_the_exact_sum(samples: int, share: str) -> None:
    for needed in range(-1, samples + 2):
        wanted = float(exact(needed, samples, Fraction(share)))
        assert at_least(needed, samples, float(share)) == pytest.approx(wanted, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize(
    ("needed", "samples", "share", "expected"),
    [(0, 5, 0.0, 1.0), (1, 5, 0.0, 0.0), (5, 5, 1.0, 1.0), (6, 5, 1.0, 0.0), (6, 5, 0.5, 0.0), (-1, 5, 0.5, 1.0)],
)
def test_the_tail_at_its_ends(needed: int, samples: int, share: float, expected: float) -> None:
    assert at_least(needed, samples, share) == expected


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("needed", "samples"), [(1, 1), (1, 12), (2, 12), (12, 12), (3, 60), (11, 200)])
def test_the_smallest_share_is_just_enough(needed: int, samples: int, confidence: float) -> None:
    found = Fraction(smallest_share(needed, samples, confidence))
    assert exact(needed, samples, min(found + Fraction(1, 10**9), Fraction(1))) >= Fraction(confidence)
    assert exact(needed, samples, found - Fraction(1, 10**9)) < Fraction(confidence)


def test_one_among_many_is_the_rule_of_three_and_none_needs_none() -> None:
    assert smallest_share(1, 1_000, 0.95) == pytest.approx(3 / 1_000, rel=0.01)
    assert smallest_share(1, 12, 0.95) == pytest.approx(1 - 0.05 ** (1 / 12), rel=1e-12)
    assert smallest_share(0, 12, 0.95) == 0.0
    assert 0.05 < smallest_share(50_001, 1_000_000, 0.95) < 0.0504  # and at once


@pytest.mark.parametrize(
    ("limit", "samples", "comparison", "takes"),
    [
        (0.3, 1_000, "lte", 4),  # 3 of 1,000 are exactly 0.3 %, which is met
        (0.3, 999, "lte", 3),
        (1.0, 12, "lte", 1),
        (0.7, 1_000, "lte", 8),  # 0.007 × 1,000 is 7.000000000000001 in floating point, and 7 are met
        (99.5, 1_000, "gte", 6),  # 995 successes are met
        (99.5, 199, "gte", 1),
        (99.7, 1_000, "gte", 4),
        (50.0, 3, "gte", 2),
    ],
)
def test_how_many_failures_a_share_takes(limit: float, samples: int, comparison: str, takes: int) -> None:
    found = seen(RATE, limit, samples, comparison, "%")
    assert found.breach is not None
    assert found.breach == smallest_share(takes, samples, 0.95)
    threshold = Threshold(Comparison(comparison), limit)

    def rate(failures: int) -> float:
        return 100 * (failures if comparison == "lte" else samples - failures) / samples

    assert threshold.judge(rate(takes), samples, 1) is Status.VIOLATION
    assert threshold.judge(rate(takes - 1), samples, 1) is Status.OK


@pytest.mark.parametrize(
    ("comparison", "limit", "of", "pretends"),
    [
        ("lte", 0.5, "events that are failed", 0.005),
        ("gte", 99.5, "events that are not failed", 0.005),
        ("lte", 0.0, "events that are failed", 0.0),
        ("eq", 0.0, "events that are failed", 0.0),
        ("eq", 100.0, "events that are not failed", 0.0),
    ],
)
def test_what_a_share_is_a_share_of(comparison: str, limit: float, of: str, pretends: float) -> None:
    found = seen(RATE, limit, 100, comparison, "%")
    assert (found.of, found.pretends) == (of, pretends)
    assert found.breach == smallest_share(1, 100, 0.95)


@pytest.mark.parametrize(
    "check", [P95, CrossCheck("quantile", SAVED, "ms", 0.29), CrossCheck("quantile", SAVED, "ms", 0.5)]
)
@pytest.mark.parametrize("samples", [1, 2, 12, 20, 21, 40, 101, 1_000])
@pytest.mark.parametrize("comparison", ["lte", "gte"])
def test_a_quantile_is_surely_past_its_limit_with_so_many(check: CrossCheck, samples: int, comparison: str) -> None:
    """However little past the limit they are; with one fewer it is not."""
    found = seen(check, 1.8, samples, comparison)
    threshold = Threshold(Comparison(comparison), 1.8)
    good, bad = (0.5, math.nextafter(1.8, 9)) if comparison == "lte" else (3.0, math.nextafter(1.8, 0))

    def judged(past: int) -> Status:
        values = [bad] * past + [good] * (samples - past)
        return threshold.judge(float(np.quantile(values, check.level)), samples, 1)

    takes = min(past for past in range(1, samples + 1) if judged(past) is Status.VIOLATION)
    assert found.breach == smallest_share(takes, samples, 0.95)
    assert found.pretends == pytest.approx(1 - check.level if comparison == "lte" else check.level, abs=1e-15)
    assert found.of == ("saved past 1.8 s" if comparison == "lte" else "saved below 1.8 s")


@pytest.mark.parametrize(("samples", "runs"), [(12, 4_000), (60, 4_000), (400, 2_000)])
def test_a_breach_is_caught_as_often_as_it_is_said(samples: int, runs: int) -> None:
    """Windows drawn at random, measured by NumPy and judged by the judge."""
    found = seen(P95, 1.8, samples)
    assert found.breach is not None
    random = np.random.default_rng(20260102)
    threshold = Threshold(Comparison.LTE, 1.8)

    def caught(share: float) -> float:
        slow = random.random((runs, samples)) < share
        values = np.quantile(np.where(slow, 1.8000001, 0.4), 0.95, axis=1)
        return sum(threshold.judge(float(value), samples, 1) is Status.VIOLATION for value in values) / runs

    spread = 4 * math.sqrt(0.95 * 0.05 / runs)
    assert caught(found.breach) == pytest.approx(0.95, abs=spread)
    assert caught(found.breach * 0.7) < 0.95 - 2 * spread


@pytest.mark.parametrize(
    ("samples", "blind_past", "is_blind"),
    [(12, 2.0, True), (60, 2.0, True), (400, 2.0, False), (400, 1.2, True), (12, 7.0, False), (12, 6.5, True)],
)
def test_few_samples_make_a_percentile_blind(samples: int, blind_past: float, is_blind: bool) -> None:
    found = seen(P95, 1.8, samples, blind_past=blind_past)
    assert found.breach is not None
    assert found.pretends == 0.05
    assert found.is_blind is is_blind
    assert found.is_blind == (found.breach > blind_past * 0.05)


def test_twelve_saves() -> None:
    found = seen(P95, 1.8, 12)
    assert (found.samples, found.why) == (12, "takes 2 of 12")
    assert found.breach == pytest.approx(0.3387, abs=1e-4)


@pytest.mark.parametrize(
    ("how", "comparison", "takes", "pretends", "of"),
    [
        ("largest", "lte", 1, 0.0, "saved past 2 s"),
        ("largest", "eq", 1, 0.0, "saved past 2 s"),
        ("largest", "gte", 12, 1.0, "saved below 2 s"),
        ("smallest", "gte", 1, 0.0, "saved below 2 s"),
        ("smallest", "eq", 1, 0.0, "saved below 2 s"),
        ("smallest", "lte", 12, 1.0, "saved past 2 s"),
    ],
)
def test_an_extreme_takes_one_or_all(how: str, comparison: str, takes: int, pretends: float, of: str) -> None:
    found = seen(CrossCheck(how, SAVED, "ms"), 2.0, 12, comparison)
    assert (found.breach, found.pretends, found.of) == (smallest_share(takes, 12, 0.95), pretends, of)
    assert not found.is_blind


@pytest.mark.parametrize(
    ("limit", "comparison", "windows", "told"),
    [
        (0.0, "eq", 4, "a violation is any number but 0 in 4 windows"),
        (0.25, "lte", 4, "a violation is 2 or more in 4 windows"),
        (0.0, "lte", 1, "a violation is 1 or more in 1 window"),
        (2.5, "gte", 3, "a violation is fewer than 8 in 3 windows"),
    ],
)
def test_what_is_counted_is_a_share_of_nothing(limit: float, comparison: str, windows: int, told: str) -> None:
    found = seen(CrossCheck("count_per_window", FAILED), limit, windows, comparison)
    assert (found.breach, found.pretends, found.is_blind) == (None, None, False)
    assert found.why == f"each one is counted, none is missed: {told}"


@pytest.mark.parametrize(
    ("check", "limit", "comparison", "why"),
    [
        (None, 2.0, "lte", "the policy does not say what the value is made of; give the SLO a 'cross_check'"),
        (CrossCheck("mean", SAVED, "ms"), 2.0, "lte", "a mean is moved by how far values lie, not by how many do"),
        (P95, 2.0, "eq", "a value that must be met exactly is hardly ever met"),
        (RATE, 2.0, "eq", "a value that must be met exactly is hardly ever met"),
    ],
)
def test_what_cannot_be_told(check: CrossCheck | None, limit: float, comparison: str, why: str) -> None:
    found = seen(check, limit, 12, comparison)
    assert (found.samples, found.breach, found.is_blind, found.why) == (12, None, False, why)


@pytest.mark.parametrize(("comparison", "limit"), [("lte", 100.0), ("gte", 0.0)])
def test_a_threshold_that_nothing_is_past_sees_nothing(comparison: str, limit: float) -> None:
    found = seen(RATE, limit, 1_000, comparison, "%")
    assert (found.breach, found.pretends, found.is_blind) == (None, 1.0, True)
    assert found.why == "nothing lies past this threshold"


@pytest.mark.parametrize(
    ("samples", "no_data_is_violation", "breach", "is_blind"),
    [(19, False, None, True), (19, True, None, False), (20, False, smallest_share(1, 20, 0.95), True)],
)
def test_a_window_too_small_for_a_verdict(
    samples: int, no_data_is_violation: bool, breach: float | None, is_blind: bool
) -> None:
    found = seen(RATE, 1.0, samples, unit="%", min_samples=20, no_data_is_violation=no_data_is_violation)
    assert (found.breach, found.is_blind) == (breach, is_blind)
    assert ("19 samples, 20 are needed" in found.why) is (samples == 19)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [([], None), ([0, 0], None), ([0, 12, 0, 0], 12), ([10, 1_000, 20], 20), ([10, 20], 10)],
)
def test_windows_with_samples_alone_are_asked(samples: list[int], expected: int | None) -> None:
    found = seen(P95, 1.8, samples)
    assert found.samples == expected
    if expected is None:
        assert (found.breach, found.is_blind, found.why) == (None, False, "no window had a sample")
        assert found.pretends == 0.05
