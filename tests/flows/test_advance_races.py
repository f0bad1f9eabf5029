"""An advance is recorded in the ledger that its check was made on, or not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.acting import Advanced, Person, advance
from checker.errors import NotRecorded, Refused
from checker.ledger.append import Draft
from checker.windows import iso
from tests.batches import closed
from tests.rollouts import POLICY, Rollout

AT = closed(8) + timedelta(minutes=1)
HARMLESS = ("resume", {"by": "Bob", "reason": "over"})
PAUSE = ("pause", {"by": "Bob", "reason": "a fair"})


@pytest.fixture
def rollout(tmp_path: Path) -> Rollout:
    """Phase A, whose gate has passed and whose approvals are there."""
    made = Rollout(tmp_path, "A")
    made.enter()
    made.batches(*["met"] * 8)
    made.check()
    for role in ("SRE", "Dev Lead"):
        data = {"subject": "advance", "role": role, "by": "Ada", "judging_digest": made.governed.judging_digest}
        made.record([Draft("approval", "A", data)], AT)
    return made


def advance_beside(rollout: Rollout, kind: str, data: Mapping[str, Any], times: int) -> Advanced:
    """Advance while somebody else appends a record during each of the first `times` checks."""
    left, is_due = [times], [False]

    def now() -> datetime:
        is_due[0] = left[0] > 0
        return AT

    def run(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        if is_due[0]:
            left[0], is_due[0] = left[0] - 1, False
            rollout.record([Draft(kind, "A", data)], AT)
        return map(function, items)

    request = replace(rollout.request(AT), run=run, cache=None)
    return advance(rollout.governed, request, Person("Ada", "looks good"), now)


def test_a_ledger_that_was_written_meanwhile_is_checked_again(rollout: Rollout) -> None:
    before = len(rollout.records)
    done = advance_beside(rollout, *HARMLESS, times=2)
    assert (done.phase_from, done.phase_to, done.record) == ("A", "B", before + 3)
    assert [record.kind for record in rollout.records[before:]] == ["resume", "resume", "phase_change"]


def test_after_three_checks_it_is_not_recorded(rollout: Rollout) -> None:
    with pytest.raises(NotRecorded, match="written by others during 3 checks"):
        advance_beside(rollout, *HARMLESS, times=3)
    assert rollout.state.phase == "A"


def test_what_was_written_meanwhile_counts(rollout: Rollout) -> None:
    with pytest.raises(Refused, match="paused: a fair"):
        advance_beside(rollout, *PAUSE, times=1)
    assert rollout.state.phase == "A"


def test_of_two_at_once_one_is_recorded(rollout: Rollout) -> None:
    command = [
        sys.executable, "-m", "checker", "advance", "--phase=A", "--by=Ada", "--target=autosave",
        f"--policy={POLICY}", f"--ledger={rollout.ledger}", f"--logs={rollout.logs}", f"--as-of={iso(AT)}",
    ]  # fmt: skip
    running = [
        subprocess.Popen(command, cwd=POLICY.parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120) for process in running]
    assert sorted(process.returncode for process in running) == [0, 1], told
    assert "the current phase is B, not A" in "".join(err for _, err in told)
    assert [record.data["to"] for record in rollout.records if record.kind == "phase_change"] == ["A", "B"]


@pytest.mark.parametrize("without_gate", [False, True])
def test_a_rollback_of_unknown_outcome_stands_against_every_advance(rollout: Rollout, without_gate: bool) -> None:
    data = {"event": "begun", "from": "A", "to": "off", "incident": None, "by": "Ada", "reason": "a fault"}
    rollout.record([Draft("rollback", "A", data, id="rollback-1")], AT)
    with pytest.raises(Refused, match="rollback-1"):
        advance(rollout.governed, rollout.request(AT), Person("Ada", "hurry"), lambda: AT, without_gate=without_gate)
    assert rollout.state.phase == "A"
