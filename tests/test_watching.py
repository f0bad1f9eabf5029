"""Volume, exposure, and a phase that was left: tables, and what `status` and the loop's concerns say of real logs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from checker.analyzer.exposure import Share, audience_share, dying_away, share_of
from checker.analyzer.volume import shortfall
from checker.ledger.append import Draft
from checker.pipeline import Request, read_past
from checker.policy.collecting import Exposure, Volume
from checker.running.watch import concerns_of
from checker.watching import watch
from checker.windows import stamp
from tests.batches import FIRST, WINDOW, closed, event, start_of
from tests.rollouts import Rollout, governed_of

DAY = 96  # windows
RULE = Volume(0.5)


@pytest.mark.parametrize(
    ("events", "number", "expected"),
    [
        ({0: 100, 1: 100, 2: 100, 3: 100, DAY: 49}, DAY, (49, 100.0)),
        ({0: 100, 1: 100, 2: 100, 3: 100, DAY: 50}, DAY, None),  # exactly half is enough
        ({0: 100, 3: 200, DAY + 1: 60}, DAY + 1, (60, 150.0)),  # the mean of those of the hour that have a batch
        ({4: 1000, DAY - 1: 100, DAY: 60}, DAY, None),  # another hour; the hour before stands for it
        ({DAY - 4: 100, DAY - 1: 100, DAY: 49}, DAY, (49, 100.0)),
        ({DAY - 5: 1000, DAY: 1}, DAY, None),  # nothing to compare with
        ({0: 0, 1: 0, DAY: 0}, DAY, None),  # it was quiet then, too
        ({0: 100}, DAY, None),  # no batch at all is not this rule's
        ({0: 100, DAY: 0}, DAY, (0, 100.0)),
    ],
)
def test_shortfall(events: dict[int, int], number: int, expected: tuple[int, float] | None) -> None:
    found = shortfall({start_of(each): count for each, count in events.items()}, start_of(number), WINDOW, RULE)
    assert (found and (found.observed, found.expected)) == expected


@pytest.mark.parametrize(
    ("audience", "expected"),
    [("5 %", 0.05), ("30%", 0.3), ("100 % of users", 1.0), ("0.5 %", 0.005), ("some users", None), ("500 %", None)],
)
def test_an_audience_as_a_share(audience: str, expected: float | None) -> None:
    assert audience_share(replace(governed_of().policy.phase("A"), audience=audience)) == expected


@pytest.mark.parametrize(
    ("observed", "within", "is_off"),
    [(0.30, 0.05, False), (0.349, 0.05, False), (0.36, 0.05, True), (0.0, 0.05, True), (0.9, None, False)],
)
def test_a_share_that_is_off(observed: float, within: float | None, is_off: bool) -> None:
    rule = None if within is None else Exposure(within)
    assert Share("B", observed, 0.3).is_off(rule) is is_off
    assert not Share("B", observed, None).is_off(rule)


def test_no_event_has_no_share() -> None:
    phase = governed_of().policy.phase("B")
    assert share_of(phase, {}) is None
    assert share_of(phase, {"A": 3}) == Share("B", 0.0, 0.3)
    assert share_of(phase, {"A": 7, "B": 3}) == Share("B", 0.3, 0.3)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([400, 31, 0, 0], None),
        ([400, 31, 1, 0], None),  # the window that begins 29 min after the rollback may still have some
        ([400, 31, 1, 1], 3),  # one that begins later than 30 min after it may not
        ([0, 0, 0, 5], 3),
    ],
)
def test_what_is_left_of_a_phase(counts: list[int], expected: int | None) -> None:
    since = start_of(0) + timedelta(minutes=1)
    found = dying_away("C", since, {start_of(number): {"C": count} for number, count in enumerate(counts)}, WINDOW)
    assert [count for _, count in found.counts] == counts
    rule = Exposure(0.1, timedelta(minutes=30))
    assert found.still_there(rule) == (None if expected is None else start_of(expected))
    assert found.still_there(None) is None


def test_windows_before_the_rollback_are_left_out() -> None:
    found = dying_away("C", start_of(1), {start_of(0): {"C": 9}, start_of(1): {"C": 2}, start_of(2): {}}, WINDOW)
    assert found.counts == ((start_of(1), 2), (start_of(2), 0))
    assert found.told == "C since its rollback: 2 → 0 events"


def rolled_back(root: Path) -> Rollout:
    """In A since the second window, which B was left in; B's events go on in the third."""
    rollout = Rollout(root, "A")
    rollout.enter()
    strays = {number: [event("autosave.save.completed", start_of(number) + timedelta(minutes=2), "B",
                             request_id=f"s{number}", duration_ms=5)] for number in (1, 3)}  # fmt: skip
    rollout.batches("met", "met", "met", "met", extra=strays)
    data = {"event": "ended", "from": "B", "to": "A", "by": "Ada", "reason": "x", "incident": None}
    rollout.record([Draft("rollback", "B", data, id="rollback-1")], start_of(1) + timedelta(minutes=1))
    return rollout


def test_watching_real_logs(tmp_path: Path) -> None:
    rollout = rolled_back(tmp_path)
    governed = rollout.governed
    collector = replace(governed.policy.collector, exposure=Exposure(0.05, timedelta(minutes=15)), volume=Volume(0.5))
    governed = replace(governed, policy=replace(governed.policy, collector=collector))
    request = Request("A", closed(4), rollout.logs, rollout.ledger)
    found = watch(governed, request, read_past(request))
    assert found.left is not None
    assert [count for _, count in found.left.counts] == [1, 0, 1]
    assert found.share is not None
    assert (found.share.observed, found.share.wanted) == (0.5, 0.05)
    assert [concern.name for concern in concerns_of(found)] == [
        "exposure/A/20260101",
        "left/B/20260101T001600Z",
    ]
    assert not list(concerns_of(replace(found, rule=None)))  # without a rule it is shown, and no more


def test_far_fewer_events_are_a_concern_once(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path)
    rollout.enter()
    crowd = [
        event("autosave.save.completed", FIRST + timedelta(seconds=each), "B", request_id=f"c{each}", duration_ms=5)
        for each in range(60)
    ]
    rollout.batches("met", "met", "met", extra={0: crowd})

    def concerns(at: datetime) -> list[str]:
        request = Request("B", at, rollout.logs, rollout.ledger)
        return [concern.name for concern in concerns_of(watch(rollout.governed, request, read_past(request)))]

    assert concerns(closed(1)) == []
    assert concerns(closed(2)) == ["volume/20260101T001500Z"]
    assert concerns(closed(3)) == []  # it goes on, and was told
    request = Request("B", closed(3), rollout.logs, rollout.ledger)
    assert watch(rollout.governed, request, read_past(request)).shortfall is not None  # and stands in the status


def test_a_window_without_a_batch_is_no_proof_that_a_phase_is_gone(tmp_path: Path) -> None:
    rollout = rolled_back(tmp_path)
    (rollout.logs / f"{stamp(start_of(2))}.jsonl").unlink()
    request = Request("A", closed(4), rollout.logs, rollout.ledger)
    found = watch(rollout.governed, request, read_past(request)).left
    assert found is not None
    assert [start for start, _ in found.counts] == [start_of(1), start_of(3)]
