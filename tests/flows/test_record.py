"""What a recorded check writes: decisions, incidents, notices: each once, on a change, in the phases that have them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.errors import NotRecorded, UsageError
from checker.ledger.append import Draft
from checker.recording import check_and_record
from checker.windows import iso
from tests.batches import closed, event, start_of
from tests.rollouts import POLICY, Rollout

EXHAUSTED = {"source": "app", "attempts": 4}


def rolled_out(root: Path, phase: str, kinds: Sequence[str], policy: Path = POLICY) -> Rollout:
    """A rollout that was checked after each of its windows."""
    rollout = Rollout(root, phase, policy)
    rollout.enter()
    for kind in kinds:
        rollout.batches(kind)
        rollout.check()
    return rollout


@pytest.mark.parametrize(
    ("phase", "kinds", "told"),
    [
        ("B", ["met"], ["00:00 autosave-ok"]),
        ("B", ["met", "met", "met"], ["00:00 autosave-ok"]),
        ("A", ["met", "met"], []),
        ("B", ["warn", "warn"], ["00:00 autosave-warn"]),
        ("C", ["met", "warn", "met"], ["00:00 autosave-ok", "00:30 autosave-ok"]),
        ("B", ["warn", "met", "warn"], ["00:00 autosave-warn", "00:15 autosave-ok", "00:30 autosave-warn"]),
        ("B", ["violation"], ["00:00 autosave-incident", "00:00 autosave-rollback"]),
        ("B", ["violation", "violation"], ["00:00 autosave-incident", "00:00 autosave-rollback"]),
        ("B", ["met", "missing"], ["00:00 autosave-ok"]),
        ("B", ["met", "missing", "missing"], ["00:00 autosave-ok", "00:30 autosave-no-verdict"]),
        ("B", ["met", "missing", "missing", "missing"], ["00:00 autosave-ok", "00:30 autosave-no-verdict"]),
        ("B", ["missing", "missing", "met"], ["00:15 autosave-no-verdict", "00:30 autosave-ok"]),
    ],
)  # fmt: skip
def test_which_notice_when(tmp_path: Path, phase: str, kinds: Sequence[str], told: list[str]) -> None:
    assert rolled_out(tmp_path, phase, kinds).told() == told


def test_a_latency_of_180_s_warns_in_a_and_is_an_incident_in_b(tmp_path: Path) -> None:
    told = {}
    for phase in ("A", "B"):
        rollout = Rollout(tmp_path / phase, phase)
        rollout.enter()
        seal = {"latency_ms": 180_000, "batch_start": iso(start_of(0))}
        late = event("collector.latency", start_of(1) + timedelta(minutes=3), phase, **seal, **COUNTS)
        rollout.batches("met", extra={0: [late]})
        rollout.check()
        told[phase] = rollout.told()
    assert told == {"A": ["00:00 autosave-warn"], "B": ["00:00 autosave-incident", "00:00 autosave-rollback"]}


COUNTS = dict.fromkeys(("accepted", "duplicates", "quarantined", "errors_retryable", "errors_fatal"), 0)


def test_every_window_where_the_policy_asks_for_it(tmp_path: Path) -> None:
    policy = changed_policy(tmp_path, "    repeat: on_change\n", "    repeat: every_window\n")
    rollout = rolled_out(tmp_path / "run", "B", ["met", "met", "warn", "met"], policy)
    assert rollout.told() == ["00:00 autosave-ok", "00:15 autosave-ok", "00:30 autosave-warn", "00:45 autosave-ok"]


def changed_policy(root: Path, old: str, new: str) -> Path:
    """A copy of the project's governed files with one text of the policy replaced."""
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(POLICY.parent.parent / folder, root / folder)
    path = root / "policy" / "policy.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_ok_in_phase_a_is_recorded_when_it_is_asked_for(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path, "A")
    rollout.batches("met")
    rollout.check(wanted=["autosave-ok"])
    assert rollout.told() == ["00:00 autosave-ok"]


def test_a_check_made_twice_records_once(tmp_path: Path) -> None:
    rollout = rolled_out(tmp_path, "B", ["met", "violation"])
    before = rollout.ledger.read_bytes()
    again = rollout.check()
    assert (again.added, rollout.ledger.read_bytes()) == ((), before)


def test_the_same_checks_give_the_same_bytes(tmp_path: Path) -> None:
    ledgers = [rolled_out(tmp_path / name, "B", ["met", "warn", "violation", "met"]).ledger for name in "ab"]
    assert ledgers[0].read_bytes() == ledgers[1].read_bytes()


def test_after_downtime_every_window_gets_its_decision_and_the_worst_its_notice(tmp_path: Path) -> None:
    rollout = rolled_out(tmp_path, "B", ["met"])
    rollout.batches("met", "violation", "met", "met")
    rollout.check()
    decided = rollout.state.decided
    assert [decided[start_of(number)].outcome for number in range(5)] == ["ok", "ok", "violation", "ok", "ok"]
    assert rollout.told() == ["00:00 autosave-ok", "00:30 autosave-incident", "00:30 autosave-rollback"]
    rollout.batches("met")
    rollout.check()
    assert rollout.told()[-1] == "01:15 autosave-ok"


def test_a_violation_opens_one_incident_and_further_ones_are_added(tmp_path: Path) -> None:
    rollout = rolled_out(tmp_path, "B", ["met", "violation", "violation", "met"])
    (incident,) = rollout.state.incidents
    assert incident.id == "incident-20260101T001500Z"
    assert incident.violations == {(start_of(1), "save_latency_p95"), (start_of(2), "save_latency_p95")}
    assert incident.rollback_required
    assert incident.rollback_active
    assert rollout.state.decided[start_of(1)].decision == "rollback"
    assert rollout.state.decided[start_of(2)].decision == "hold"
    assert rollout.state.decided[start_of(3)].rollback_required


def test_good_windows_alone_never_end_an_incident(tmp_path: Path) -> None:
    rollout = rolled_out(tmp_path, "B", ["violation", *["met"] * 3])
    assert rollout.state.open_incident is not None


def test_the_cascade_of_a_one_hour_mean_is_no_second_incident(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path, "B")
    rollout.enter()
    drift = event(
        "autosave.history.drift", start_of(0) + timedelta(minutes=2), "B", current_generation=3, index_generation=2
    )
    for _ in range(5):
        rollout.batches("met", extra={0: [drift]})
        rollout.check()
    (incident,) = rollout.state.incidents
    assert {start for start, _ in incident.violations} == {start_of(number) for number in range(4)}
    assert [record.data["event"] for record in rollout.records if record.kind == "incident"] == [
        "opened",
        *["added"] * 3,
    ]
    assert rollout.told().count("00:00 autosave-incident") == 1


def test_a_cancelled_incident_is_not_opened_again_by_the_same_window(tmp_path: Path) -> None:
    rollout = rolled_out(tmp_path, "B", ["violation"])
    cancel(rollout, closed(1) + timedelta(minutes=1))
    rollout.check(later=timedelta(minutes=2))
    assert rollout.state.open_incident is None
    rollout.batches("met", "violation")
    rollout.check(2)
    assert rollout.state.open_incident is None
    rollout.check(3)
    assert [incident.id for incident in rollout.state.incidents] == [
        "incident-20260101T000000Z",
        "incident-20260101T003000Z",
    ]
    assert "00:30 autosave-incident" in rollout.told()


def cancel(rollout: Rollout, at: datetime) -> None:
    incident = rollout.state.open_incident
    assert incident is not None
    data = {"event": "cancelled", "by": "Ada", "reason": "a load test"}
    rollout.record([Draft("incident", "B", data, id=incident.id)], at)


def test_a_second_incident_is_told_although_the_outcome_did_not_change(tmp_path: Path) -> None:
    rollout = rolled_out(tmp_path, "B", ["violation"])
    cancel(rollout, closed(1) + timedelta(minutes=1))
    rollout.batches("violation", "violation")
    rollout.check(2)
    rollout.check(3)
    assert rollout.told() == [
        "00:00 autosave-incident",
        "00:00 autosave-rollback",
        "00:30 autosave-incident",
        "00:30 autosave-rollback",
    ]


@pytest.mark.parametrize("arrives_in", [0, 1])
def test_a_source_given_up_is_an_incident_without_a_rollback(tmp_path: Path, arrives_in: int) -> None:
    """It comes with its own batch, or late with the next one; it is told of at once, and once."""
    rollout = Rollout(tmp_path, "B")
    rollout.enter()
    at = start_of(arrives_in) + timedelta(minutes=8)
    given_up = event("collector.retry_exhausted", at, "B", **EXHAUSTED, batch_start=iso(start_of(0)))
    for number in range(3):
        rollout.batches("met", extra={arrives_in: [given_up]} if number >= arrives_in else None)
        rollout.check()
    (incident,) = rollout.state.incidents
    assert (incident.cause, incident.rollback_required, incident.rollback_active) == ("retry_exhausted", False, False)
    (notice,) = (notice for notice in rollout.state.notices if notice.notice == "autosave-incident")
    assert "collector.retry_exhausted" in notice.text
    assert "rollback=not required" in notice.text
    assert not any(notice.notice == "autosave-rollback" for notice in rollout.state.notices)


def test_a_violation_that_joins_such_an_incident_is_told_as_one_that_opens(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path, "B")
    rollout.enter()
    given_up = event("collector.retry_exhausted", start_of(0), "B", **EXHAUSTED, batch_start=iso(start_of(0)))
    rollout.batches("met", extra={0: [given_up]})
    rollout.check()
    rollout.batches("violation")
    rollout.check()
    (incident,) = rollout.state.incidents
    assert incident.rollback_required
    assert rollout.told()[-2:] == ["00:15 autosave-incident", "00:15 autosave-rollback"]


def test_a_notice_may_be_asked_for_once_its_window_was_recorded(tmp_path: Path) -> None:
    rollout = rolled_out(tmp_path, "A", ["met", "met"])
    rollout.check(wanted=["autosave-ok"])
    rollout.check(wanted=["autosave-ok"])
    rollout.check(wanted=["autosave-warn"])
    assert rollout.told() == ["00:15 autosave-ok"]


def test_late_events_change_a_decision_and_are_told(tmp_path: Path) -> None:
    rollout = rolled_out(tmp_path, "B", ["met", "met"])
    slow = event(
        "autosave.save.completed", start_of(0) + timedelta(minutes=3), "B", duration_ms=9000, request_id="late"
    )
    rollout.batches("met", extra={2: [slow]})
    rollout.check()
    assert rollout.state.decided[start_of(0)].outcome == "violation"
    assert rollout.told() == ["00:00 autosave-ok", "00:00 autosave-incident", "00:00 autosave-rollback"]


def test_a_what_if_is_never_recorded(tmp_path: Path) -> None:
    rollout = rolled_out(tmp_path, "B", ["met"])
    before = rollout.ledger.read_bytes()
    rollout.phase = "C"
    with pytest.raises(UsageError, match="current phase is B, not C"):
        rollout.check()
    assert rollout.ledger.read_bytes() == before


def test_a_decision_comes_after_what_it_leads_to(tmp_path: Path) -> None:
    """A reader of a part of the append sees no decided window of which nobody is told."""
    rollout = rolled_out(tmp_path, "B", ["violation"])
    assert [record.kind for record in rollout.records] == ["phase_change", "incident", "notice", "notice", "decision"]


def test_a_ledger_that_is_written_during_the_check_makes_it_check_again(tmp_path: Path) -> None:
    """Somebody writes while the batches are read: first once, then at every try."""
    rollout = Rollout(tmp_path, "B")
    rollout.enter()
    rollout.batches("met")
    assert checked_while_somebody_writes(rollout, 1)
    rollout.batches("met")
    assert not checked_while_somebody_writes(rollout, 99)


def checked_while_somebody_writes(rollout: Rollout, times: int) -> bool:
    """Whether a check is recorded that finds the ledger changed so often."""
    at, written = closed(len(rollout.kinds)), 0
    request = rollout.request(at)

    def run_and_write(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        nonlocal written
        if written < times:
            written += 1
            rollout.record([Draft("pause", "B", {"by": "Ada", "reason": "lunch"})], at)
        return request.run(function, items)

    try:
        told = check_and_record(rollout.governed, replace(request, run=run_and_write, cache=None), lambda: at)
    except NotRecorded:
        return False
    return bool(told.added)
