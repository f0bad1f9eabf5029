"""What is watched beside the SLOs in real logs, and which of it people hear of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from checker.ledger.append import Draft
from checker.pipeline import Request, read_past
from checker.policy.collecting import Exposure, Volume
from checker.running.watch import concerns_of
from checker.watching import watch
from checker.windows import stamp
from tests.batches import FIRST, closed, event, start_of
from tests.rollouts import Rollout



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
