"""When the loop judges, and what a pass is told: tables over what the parts said."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from checker.alarms import GivenUp
from checker.reporter.health import Concern
from checker.running.instants import Grid, Known, judging_instant
from checker.running.orders import AFTER_FAILURE, AFTER_OUTBOX, Orders
from checker.windows import iso
from tests.batches import FIRST, LATENESS, WINDOW, closed, start_of
from tests.rollouts import governed_of

GRID = Grid(WINDOW, LATENESS)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("now", "known", "expected"),
    [
        (closed(3), Known(sealed=start_of(2)), closed(3)),
        (closed(3) - SECOND, Known(sealed=start_of(2), judged=start_of(1)), None),  # not closed yet
        (closed(3), Known(sealed=start_of(2), judged=start_of(2)), None),  # judged already
        (closed(3), Known(sealed=start_of(1), judged=start_of(1)), None),  # the collector is behind: waited for
        (closed(3), Known(sealed=start_of(1), judged=start_of(0)), closed(2)),  # what it has sealed is judged
        (
            closed(3),
            Known(sealed=start_of(1), judged=start_of(1), is_unheard=True),
            closed(3),
        ),  # judged without a batch
        (closed(3), Known(sealed=start_of(1), judged=start_of(1), waits_at=start_of(3)), closed(3)),
        (closed(3), Known(sealed=start_of(1), judged=start_of(1), waits_at=start_of(3) - SECOND), None),
        (closed(3), Known(), None),  # nothing is known of the collector yet
        (closed(3), Known(is_unheard=True), closed(3)),
        (closed(3) + 9 * WINDOW, Known(sealed=start_of(11)), closed(12)),  # after downtime: all of it at once
    ],
)
def test_when_to_judge(now: datetime, known: Known, expected: datetime | None) -> None:
    assert judging_instant(GRID, now, known) == expected


def orders(**known: Any) -> Orders:
    """The orders of a loop that was begun at FIRST."""
    made = Orders(governed_of().policy, FIRST)
    for name, value in known.items():
        setattr(made, name, value)
    return made


def judged(at: datetime, **said: Any) -> dict[str, Any]:
    """What a pass says of a window that is ok."""
    return {
        "kind": "judged",
        "at": iso(at),
        "outcome": "ok",
        "is_verdict": True,
        "stands_at": "B",
        "outbox": 0,
        "recovery_next": None,
        "faults": [],
        **said,
    }


def sealed(number: int) -> dict[str, Any]:
    """What the collector says of a window."""
    return {"kind": "sealed", "window": iso(start_of(number))}


def test_a_window_is_judged_once() -> None:
    made = orders()
    made.hear("collector", sealed(0))
    order = made.next(closed(1))
    assert order is not None
    assert (order.at, order.checks) == (closed(1), True)
    assert made.next(closed(1)) is None  # it is under way
    made.hear("pass", judged(closed(1)))
    made.hear("pass", {"kind": "ended"})
    assert made.next(closed(2) - SECOND) is None
    made.hear("collector", sealed(1))
    assert made.next(closed(2)) is not None


@pytest.mark.parametrize("dies", [True, False])
def test_a_pass_that_fails_is_made_again_after_a_while(dies: bool) -> None:
    made = orders(sealed=start_of(0))
    order = made.next(closed(1))
    assert order is not None
    if not dies:  # its check failed, and it says so
        said = judged(closed(1))
        del said["outcome"], said["is_verdict"]
        made.hear("pass", said)
    made.hear("pass", {"kind": "ended"})
    assert made.next(closed(1) + AFTER_FAILURE - SECOND) is None
    again = made.next(closed(1) + AFTER_FAILURE)
    assert again is not None
    assert again.checks


def test_a_source_that_was_given_up_is_told_at_once_and_until_it_was_recorded() -> None:
    made = orders(sealed=start_of(0), judged=start_of(0), verdict_at=closed(1), stands_at="B")
    at = closed(1) + SECOND
    made.hear("collector", {"kind": "given_up", "source": "app", "at": iso(at), "attempts": 4})
    order = made.next(at)
    assert order is not None
    assert (order.given_up, order.checks) == ((GivenUp("app", at, 4),), False)
    made.hear("pass", {"kind": "ended"})  # it died
    again = made.next(at + AFTER_FAILURE)
    assert again is not None
    assert again.given_up == order.given_up
    made.hear("pass", judged(at + AFTER_FAILURE))
    assert made.next(at + AFTER_FAILURE + SECOND) is None


def test_a_concern_is_told_with_the_next_pass() -> None:
    made = orders(sealed=start_of(0), judged=start_of(0), verdict_at=closed(1), stands_at="B")
    made.concern("policy_refused/1", "is refused")
    order = made.next(closed(1) + SECOND)
    assert order is not None
    assert order.concerns == (Concern("policy_refused/1", "is refused"),)
    made.hear("pass", judged(closed(1) + SECOND))
    assert made.next(closed(1) + 2 * SECOND) is None


@pytest.mark.parametrize(
    ("verdict_at", "now", "stands_at", "expected"),
    [
        (closed(1), closed(1) + timedelta(minutes=30), "B", closed(1)),
        (closed(1), closed(1) + timedelta(minutes=30) - SECOND, "B", None),
        (None, FIRST + timedelta(minutes=30), "B", FIRST),  # since it was begun
        (closed(1), closed(1) + timedelta(days=1), "off", None),  # nobody expects a verdict
        (closed(1), closed(1) + timedelta(days=1), "complete", None),
    ],
)
def test_silence(verdict_at: datetime | None, now: datetime, stands_at: str, expected: datetime | None) -> None:
    assert orders(verdict_at=verdict_at, stands_at=stands_at).silent_since(now) == expected


def test_silence_is_told_once_even_where_no_pass_comes_to_a_verdict() -> None:
    made = orders(sealed=start_of(0), judged=start_of(5), stands_at="B")  # nothing to judge
    now = FIRST + timedelta(minutes=30)
    order = made.next(now)
    assert order is not None
    assert (order.silent_since, order.checks) == (FIRST, False)
    made.hear("pass", {"kind": "judged", "at": iso(now), "faults": []})
    assert made.next(now + SECOND) is None


def test_what_was_not_delivered_is_tried_again() -> None:
    made = orders(sealed=start_of(0), judged=start_of(0), verdict_at=closed(1), stands_at="B")
    made.concern("x", "y")
    assert made.next(closed(1)) is not None
    made.hear("pass", judged(closed(1), outbox=2))
    assert made.next(closed(1) + AFTER_OUTBOX - SECOND) is None
    again = made.next(closed(1) + AFTER_OUTBOX)
    assert again is not None
    assert not again.checks


def test_a_recovery_is_looked_at_with_each_slice_and_without_one_a_step_later() -> None:
    every = governed_of().policy.rollback.recovery_every
    made = orders(sealed=start_of(5), judged=start_of(5), verdict_at=closed(6), stands_at="A")
    due = closed(6) + every
    made.recovery_next = due
    assert made.next(due) is None  # its slice is not there yet
    made.hear("collector", {"kind": "slice"})
    assert made.next(due - SECOND) is None
    order = made.next(due)
    assert order is not None
    assert order.checks
    made.hear("pass", judged(due, recovery_next=iso(due + every)))
    assert made.next(due + 2 * every - SECOND) is None
    late = made.next(due + 2 * every)  # nothing met is said of it then, but it is said
    assert late is not None


def test_a_policy_with_another_grid_moves_the_closing() -> None:
    made = orders()
    assert made.next_closing(FIRST) == closed(0)
    made.policy = replace(made.policy, lateness=timedelta(minutes=1))
    assert made.next_closing(FIRST) == FIRST + timedelta(minutes=1)
