"""How values are written: rounding that never contradicts a verdict, units, margins, escapes."""

from __future__ import annotations

import math

import pytest

from checker.model import Comparison, Threshold
from checker.units import (
    compact,
    counted,
    limit_text,
    margin_percent,
    number,
    plain,
    threshold_text,
    value_in_unit,
    value_text,
)

P95 = Threshold(Comparison.LTE, 2.0, 1.6)
LATENCY = Threshold(Comparison.LTE, 120.0, 96.0)
RESTORE = Threshold(Comparison.GTE, 0.995, 0.997)
AVAILABLE = Threshold(Comparison.GTE, 99.5)
DRIFT = Threshold(Comparison.EQ, 0.0)


@pytest.mark.parametrize(
    ("value", "limits", "expected"),
    [
        (1.7349, (), "1.73"),
        (1.7, (), "1.7"),
        (41.0, (), "41"),
        (0.2149, (), "0.215"),
        (12345.6, (), "12346"),
        (0.0, (), "0"),
        (-0.0, (), "0"),
        (2.0000001, (2.0,), "2.0000001"),  # never written as the threshold that it fails
        (1.9999999, (2.0,), "1.9999999"),
        (2.0, (2.0,), "2"),
        (1.60001, (2.0, 1.6), "1.60001"),  # nor as the warning line that it is past
        (1e-12, (0.0,), "1e-12"),
        (1e300, (), "1e+300"),
        (math.nan, (), "n/a"),
        (math.inf, (2.0,), "n/a"),
    ],
)
def test_number_stays_on_its_side_of_every_limit(value: float, limits: tuple[float, ...], expected: str) -> None:
    assert number(value, limits) == expected


@pytest.mark.parametrize(
    ("value", "unit", "threshold", "text", "short"),
    [
        (1.734, "s", P95, "1.73 s", "1.73s"),
        (119.9, "s", LATENCY, "119.9 s", "119.9s"),
        (120.0, "s", LATENCY, "2 min", "120s"),
        (120.001, "s", LATENCY, "2.00002 min", "120.001s"),
        (180.0, "s", LATENCY, "3 min", "180s"),
        (0.21, "%", P95, "0.21 %", "0.21%"),
        (0.0, "%", P95, "0 %", "0%"),
        (0.0, "events/window", DRIFT, "0", "0"),
        (0.25, "events/window", DRIFT, "0.25 events/window", "0.25 events/window"),
        (0.9949999, "ratio", RESTORE, "0.9949999", "0.9949999"),
        (None, "s", P95, "n/a", "n/a"),
        (math.nan, "%", P95, "n/a", "n/a"),
    ],
)
def test_a_value_is_written_with_its_unit(
    value: float | None, unit: str, threshold: Threshold, text: str, short: str
) -> None:
    assert value_text(value, unit, threshold) == text
    assert compact(value_in_unit(value, threshold), unit) == short


@pytest.mark.parametrize(
    ("limit", "unit", "peers", "expected"),
    [
        (2.0, "s", (2.5, 2.0, 1.8), "2.0 s"),  # decimals are shared, so that phases can be compared
        (2.0, "s", (2.0,), "2 s"),
        (1.0, "%", (1.0, 0.25), "1.00 %"),
        (120.0, "s", (180.0, 120.0), "2 min"),
        (120.0, "s", (120.0, 90.0), "120 s"),  # minutes only where every phase has them
        (150.0, "s", (150.0,), "150 s"),
        (0.0, "events/window", (0.0,), "0"),
        (0.995, "ratio", (0.99, 0.995), "0.995"),
        (1500.0, "ms", (1500.0,), "1500 ms"),
    ],
)
def test_a_limit_shares_its_unit_with_the_other_phases(
    limit: float, unit: str, peers: tuple[float, ...], expected: str
) -> None:
    assert limit_text(limit, unit, peers) == expected


def test_a_threshold_carries_its_sign() -> None:
    signs = [threshold_text(row, "ratio") for row in (P95, RESTORE, DRIFT)]
    assert signs == ["≤ 2", "≥ 0.995", "= 0"]


@pytest.mark.parametrize(
    ("value", "threshold", "unit", "expected"),
    [
        (1.6, P95, "s", 20),  # exactly at the warning line
        (1.6000001, P95, "s", 19),
        (2.0, P95, "s", 0),
        (2.0000001, P95, "s", -1),  # a violation is never 0
        (2.31, P95, "s", -16),
        (0.0, P95, "s", 100),
        (0.4, Threshold(Comparison.LTE, 0.5), "%", 20),  # an error budget is what a `gte` leaves
        (100.0, AVAILABLE, "%", 100),
        (99.8, AVAILABLE, "%", 60),
        (99.5, AVAILABLE, "%", 0),
        (99.499999, AVAILABLE, "%", -1),
        (99.0, AVAILABLE, "%", -100),
        (1.0, RESTORE, "share", 100),
        (0.995, RESTORE, "ratio", 0),
        (0.99, RESTORE, "share", -100),
        (0.99, RESTORE, "s", -1),  # no share: of the threshold
        (120.0, Threshold(Comparison.GTE, 100.0), "%", 20),  # no budget is left up to the whole
        (0.0, DRIFT, "events/window", None),
        (1.0, Threshold(Comparison.LTE, 0.0), "s", None),
        (None, P95, "s", None),
        (math.nan, P95, "s", None),
    ],
)
def test_margin_is_what_is_still_free(
    value: float | None, threshold: Threshold, unit: str, expected: int | None
) -> None:
    assert margin_percent(value, threshold, unit) == expected


@pytest.mark.parametrize(("count", "text"), [(0, "0 gates"), (1, "1 gate"), (2, "2 gates"), (1_200, "1,200 gates")])
def test_a_noun_follows_its_count(count: int, text: str) -> None:
    assert counted(count, "gate") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("save latency P95 ≤ 5 %", "save latency P95 ≤ 5 %"),
        ("5\u00a0%", "5\u00a0%"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("one\ntwo\r\t", "one\\ntwo\\r\\t"),
        ("\x9b31m", "\\x9b31m"),
        ("right\u202eleft", "right\\u202eleft"),
        ("line\u2028line", "line\\u2028line"),
    ],
)
def test_control_characters_are_written_as_escapes(text: str, expected: str) -> None:
    assert plain(text) == expected
