"""A recovery: six checks of 5 minutes over the events since the rollback, and only then the incident has ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.ledger.append import Draft
from checker.windows import iso, stamp
from tests.batches import FIRST, closed, event
from tests.commands import phasegate
from tests.rollouts import Rollout

STEP = timedelta(minutes=5)
ROLLED_BACK = closed(1) + timedelta(minutes=2, seconds=13)  # 00:22:13
FIRST_CHECK = FIRST + timedelta(minutes=30)  # the first multiple of 5 minutes that a whole step lies before
COUNTS = dict.fromkeys(("accepted", "duplicates", "quarantined", "errors_retryable", "errors_fatal"), 0)


def rolled_back(root: Path, phase: str = "B", to: str = "A") -> Rollout:
    """A rollout with an incident in its first window whose rollback has ended."""
    rollout = Rollout(root, phase)
    rollout.enter()
    rollout.batches("violation")
    rollout.check()
    incident = rollout.state.open_incident
    assert incident is not None
    data = {"event": "ended", "from": phase, "to": to, "incident": incident.id, "by": "Ada", "reason": "violation"}
    rollout.record([Draft("rollback", phase, data, id="rollback-1")], ROLLED_BACK)
    rollout.phase = to
    return rollout


def step_start(number: int) -> datetime:
    """Start of the step with this number from 0; the first one holds the end of the rollback."""
    return FIRST + timedelta(minutes=20) + STEP * number


def write_step(rollout: Rollout, number: int, *events: Mapping[str, Any], phase: str | None = None) -> None:
    """The collector's file of one step: these events, and the line that seals it."""
    start = step_start(number)
    seal = {"latency_ms": 20_000, "batch_start": iso(start), **COUNTS}
    lines = [*events, event("collector.latency", start + STEP + timedelta(seconds=20), phase or "A", **seal)]
    folder = rollout.logs / "recovery"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stamp(start)}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def saved(number: int, duration_ms: float = 500, at: timedelta = timedelta(minutes=4)) -> dict[str, Any]:
    """A save in the step with this number."""
    fields = {"duration_ms": duration_ms, "request_id": f"step-{number}-{duration_ms}-{at}"}
    return event("autosave.save.completed", step_start(number) + at, "A", **fields)


def write_steps(rollout: Rollout, numbers: Iterable[int]) -> None:
    for number in numbers:
        write_step(rollout, number, saved(number))


def checks(rollout: Rollout) -> list[tuple[str, bool]]:
    """When each recorded check was due, and whether it was met."""
    (incident,) = rollout.state.incidents
    return [(iso(check.window_end)[11:16], check.met) for check in incident.recovery]


def test_six_met_checks_end_the_incident(tmp_path: Path) -> None:
    rollout = rolled_back(tmp_path)
    write_steps(rollout, range(7))
    for number in range(6):
        assert rollout.state.open_incident is not None
        assert rollout.state.open_incident.rollback_active
        rollout.recover(FIRST_CHECK + STEP * number + timedelta(seconds=40))
    assert checks(rollout) == [
        ("00:30", True), ("00:35", True), ("00:40", True), ("00:45", True), ("00:50", True), ("00:55", True),
    ]  # fmt: skip
    (incident,) = rollout.state.incidents
    assert (incident.outcome, incident.closed_at) == ("ended", FIRST_CHECK + STEP * 5 + timedelta(seconds=40))
    assert not incident.rollback_active
    (notice,) = (notice for notice in rollout.state.notices if notice.notice == "autosave-recovered")
    assert (notice.incident, notice.state) == (incident.id, "ended")
    assert "the recovery held for 6 checks" in notice.text


def test_all_checks_that_are_due_are_made_at_once(tmp_path: Path) -> None:
    rollout = rolled_back(tmp_path)
    write_steps(rollout, range(7))
    assert len(rollout.recover(FIRST_CHECK + STEP * 5)) == 6
    assert rollout.state.open_incident is None
    assert rollout.recover(FIRST_CHECK + STEP * 6) == ()


def test_a_check_that_is_not_met_begins_the_count_anew(tmp_path: Path) -> None:
    rollout = rolled_back(tmp_path)
    write_steps(rollout, range(10))
    write_step(rollout, 1, saved(1, 9000))
    rollout.recover(FIRST_CHECK + STEP * 7)
    assert [met for _, met in checks(rollout)] == [False, False, False, *[True] * 5]
    assert rollout.state.open_incident is not None
    assert rollout.state.open_incident.recovery[0].violations == {"save_latency_p95"}
    rollout.recover(FIRST_CHECK + STEP * 8)
    assert rollout.state.open_incident is None


def test_only_events_since_the_rollback_count(tmp_path: Path) -> None:
    """The step in which the rollback ended holds a slow save of before, and a fast one of after."""
    rollout = rolled_back(tmp_path)
    write_steps(rollout, range(1, 3))
    write_step(
        rollout, 0, saved(0, 9000, timedelta(minutes=2, seconds=12)), saved(0, 500, timedelta(minutes=2, seconds=13))
    )
    rollout.recover(FIRST_CHECK)
    assert checks(rollout) == [("00:30", True)]
    write_step(rollout, 0, saved(0, 9000, timedelta(minutes=2, seconds=13)))
    rollout.recover(FIRST_CHECK + STEP)
    assert checks(rollout) == [("00:30", True), ("00:35", False)]


def test_events_that_are_not_there_yet_are_waited_for_until_the_next_check_is_due(tmp_path: Path) -> None:
    rollout = rolled_back(tmp_path)
    write_steps(rollout, range(1))
    assert rollout.recover(FIRST_CHECK + STEP - timedelta(seconds=1)) == ()
    (told,) = rollout.recover(FIRST_CHECK + STEP)
    assert "not met (no_data)" in told
    assert checks(rollout) == [("00:30", False)]


def test_nothing_measured_is_not_met(tmp_path: Path) -> None:
    rollout = rolled_back(tmp_path)
    for number in range(2):
        write_step(rollout, number)
    rollout.recover(FIRST_CHECK)
    (incident,) = rollout.state.incidents
    assert [(check.met, check.outcome) for check in incident.recovery] == [(False, "no_data")]


@pytest.mark.parametrize(("alive", "met"), [(0, True), (1, False)])
def test_in_off_the_targets_events_must_have_died_away(tmp_path: Path, alive: int, met: bool) -> None:
    rollout = rolled_back(tmp_path, "A", "off")
    for number in range(3):
        write_step(rollout, number, *[saved(number)] * alive)
    rollout.recover(FIRST_CHECK)
    assert checks(rollout) == [("00:30", met)]


def test_a_recovery_leaves_decisions_and_streaks_alone(tmp_path: Path) -> None:
    rollout = rolled_back(tmp_path)
    write_steps(rollout, range(7))
    rollout.recover(FIRST_CHECK + STEP * 5)
    assert [record.kind for record in rollout.records].count("decision") == 1
    rollout.kinds = ["missing", "missing"]
    rollout.batches("met")
    decision = rollout.check(later=timedelta(minutes=6)).result.decision
    assert (decision.window.start, decision.gate.criteria[0].observed) == (FIRST + timedelta(minutes=30), 1)


def test_without_a_rollback_there_is_nothing_to_recover(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path, "B")
    rollout.enter()
    rollout.batches("violation")
    rollout.check()
    write_steps(rollout, range(7))
    assert rollout.recover(FIRST_CHECK + STEP * 9) == ()


def test_the_same_files_give_the_same_records(tmp_path: Path) -> None:
    contents = []
    for name in "ab":
        rollout = rolled_back(tmp_path / name)
        write_steps(rollout, range(3))
        rollout.recover(FIRST_CHECK + STEP)
        contents.append(rollout.ledger.read_bytes())
    assert contents[0] == contents[1]


def test_in_off_the_command_recovers_and_judges_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollout = rolled_back(tmp_path, "A", "off")
    for number in range(7):
        write_step(rollout, number)
    at = iso(FIRST_CHECK + STEP * 5)
    where = [f"--ledger={rollout.ledger}", f"--logs={rollout.logs}", f"--as-of={at}"]
    done = phasegate(capsys, "check", "--phase=A", "--record", *where)
    assert done.code == 3
    assert "6 checks" in done.err
    assert "the rollout is off: no phase is judged" in done.err
    assert rollout.state.open_incident is None


def test_a_window_that_was_over_before_the_phase_is_not_decided_again(tmp_path: Path) -> None:
    """Rolled back at 00:22, the newest closed window is still 00:00, of phase B: it keeps the decision that it has."""
    rollout = rolled_back(tmp_path)
    rollout.check(later=timedelta(minutes=3))
    assert rollout.state.decided[FIRST].phase == "B"
    rollout.kinds = ["missing"]
    rollout.batches("met")  # 00:15 to 00:30 has the end of the rollback in it, and events of A
    rollout.check()
    decided = rollout.state.decided[FIRST + timedelta(minutes=15)]
    assert (decided.phase, decided.outcome) == ("A", "ok")
