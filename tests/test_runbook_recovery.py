"""When the checks of a recovery are due, when it has held, and that the Runbook's table tells both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.reporter.recovery_plan import has_held, met_in_a_row, planned
from checker.reporter.runbook.page import runbook
from checker.windows import iso
from tests.ledgers import LedgerBuilder
from tests.surveys import view
from tests.test_runbook import INCIDENT, rolled_back, rows_of, ticks

EVERY, WHOLE = timedelta(minutes=5), timedelta(minutes=30)
FIRST = datetime(2026, 1, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ended", "first"),
    [
        ("09:20:00", "09:25"),  # on the grid: one step later
        ("09:20:01", "09:30"),
        ("09:24:59", "09:30"),
        ("09:25:00", "09:30"),
        ("23:58:00", "00:05"),
    ],
)
def test_the_first_check_lies_a_whole_step_after_the_rollback(ended: str, first: str) -> None:
    at = datetime.fromisoformat(f"2026-01-02T{ended}+00:00")
    due = planned(at, EVERY, WHOLE)
    assert f"{due[0]:%H:%M}" == first
    assert [later - earlier for earlier, later in pairwise(due)] == [EVERY] * 5


@given(st.integers(0, 10**10), st.integers(1, 90), st.integers(1, 300))
def test_the_plan_lies_on_the_grid_and_is_long_enough(second: int, every_min: int, whole_min: int) -> None:
    at = datetime.fromtimestamp(second, UTC)
    every, whole = timedelta(minutes=every_min), timedelta(minutes=whole_min)
    due = planned(at, every, whole)
    assert all(instant.timestamp() % every.total_seconds() == 0 for instant in due)
    assert every <= due[0] - at < 2 * every
    assert (len(due) - 1) * every < whole <= len(due) * every


@pytest.mark.parametrize(
    ("told", "in_a_row"),
    [
        ("", 0),
        ("mmmmm", 5),
        ("mmmmmm", 6),
        ("nmmmmmm", 6),
        ("mmmnmm", 2),
        ("mmmmmmn", 0),
        ("mmm.mmm", 3),
        ("m.mmmmmm", 6),
    ],
)
def test_only_the_newest_without_a_gap_count(told: str, in_a_row: int) -> None:
    """`m` met, `n` not met, `.` no check."""
    checks = [(FIRST + EVERY * number, kind == "m") for number, kind in enumerate(told) if kind != "."]
    assert met_in_a_row(checks, EVERY) == in_a_row
    assert has_held(checks, EVERY, WHOLE) is (in_a_row >= 6)


def recorded(told: str) -> LedgerBuilder:
    """A ledger whose rollback ended at 09:22:13, with these checks from 09:30 on."""
    ledger = rolled_back()
    for number, kind in enumerate(told):
        due = FIRST + EVERY * number
        if kind == ".":
            continue
        data = {"incident": INCIDENT, "rollback": "rollback-1", "met": kind == "m", "violations": []}
        data |= {"outcome": "ok" if kind == "m" else "violation", "window_end": iso(due)}
        ledger.record("recovery", data, name=INCIDENT, window=iso(due - timedelta(minutes=15)), at=iso(due))
    return ledger


@given(st.text("mn.", max_size=14))
def test_every_check_is_in_the_table_once_and_ticked_only_once_it_has_held(told: str) -> None:
    told = told.rstrip(".")
    page = runbook(view(recorded(told), INCIDENT))
    kinds = {"met": "m", "**not": "n", "**missing**;": ".", "to": "-", "due,": "-"}
    rows = rows_of(page)
    shown = "".join(kinds[row[2].split()[0]] for row in rows)
    checks = [(FIRST + EVERY * number, kind == "m") for number, kind in enumerate(told) if kind != "."]
    assert shown == told + "-" * max(0, 6 - met_in_a_row(checks, EVERY))
    assert [row[1] for row in rows] == [f"{FIRST + EVERY * number:%Y-%m-%d %H:%M} UTC" for number in range(len(rows))]
    assert [row[0] for row in rows] == [str(number + 1) for number in range(len(rows))]
    assert ticks(page)[4] == ("x" if has_held(checks, EVERY, WHOLE) else "-")


def test_a_check_of_the_far_future_does_not_fill_the_page() -> None:
    ledger = rolled_back()
    data = {"incident": INCIDENT, "rollback": "rollback-1", "met": True, "outcome": "ok", "violations": []}
    data |= {"window_end": "9998-01-01T00:00:00Z"}
    ledger.record("recovery", data, name=INCIDENT, window="9997-12-31T23:45:00Z")
    rows = rows_of(runbook(view(ledger, INCIDENT)))
    assert len(rows) < 25
    assert any("more missing" in row[2] for row in rows)


def test_in_off_the_events_must_have_died_away() -> None:
    ledger = LedgerBuilder().phase_change("off", "A").incident("opened", INCIDENT, slos=["failure_rate"])
    ended = LedgerBuilder().phase_change("off", "A").incident("opened", INCIDENT, slos=["failure_rate"])
    ended.rollback("ended", "A", "off", incident=INCIDENT)
    for builder in (ledger, ended):
        page = runbook(view(builder, INCIDENT))
        assert "confirm that no event of the target comes any more" in page
        assert "SLOs have recovered" not in page


def test_what_was_closed_before_a_check_says_so() -> None:
    page = runbook(view(rolled_back().incident("cancelled", INCIDENT), INCIDENT))
    assert "No check was made before it was closed." in page
    assert rows_of(page) == []
