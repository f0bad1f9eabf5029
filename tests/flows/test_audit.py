"""The audit: every recorded decision made again, and what late events, lost batches or another policy would change."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from checker.audit import Finding, Said, audit
from checker.cli import main
from checker.errors import CannotDecide
from checker.ledger.append import Draft
from checker.pipeline import read_past
from checker.windows import iso, stamp
from tests.batches import closed, event, start_of
from tests.flows.test_record import changed_policy
from tests.rollouts import Rollout


def audited(rollout: Rollout) -> list[Finding]:
    """What the audit finds an hour after everything."""
    request = rollout.request(closed(len(rollout.kinds)) + timedelta(hours=1))
    return audit(rollout.governed, request, read_past(request), None, None)


def kinds(findings: list[Finding]) -> list[str]:
    return [finding.kind for finding in findings]


def checked(root: Path, *windows: str, phase: str = "B") -> Rollout:
    """A rollout that was checked after each window."""
    rollout = Rollout(root, phase)
    rollout.enter()
    for kind in windows:
        rollout.batches(kind)
        rollout.check()
    return rollout


def test_what_was_decided_is_decided_again(tmp_path: Path) -> None:
    """With an incident, its rollback, another phase, an approval, and a check of several windows."""
    rollout = checked(tmp_path, "met", "warn", "missing", "met", "violation", "met")
    data = {"event": "ended", "from": "B", "to": "A", "incident": None, "by": "Ada", "reason": "x"}
    at = closed(6) + timedelta(minutes=1)
    rollout.record([Draft("rollback", "B", data, id="r1")], at)
    rollout.record([Draft("incident", "B", {"event": "ended"}, id=rollout.state.incidents[0].id)], at)
    rollout.phase, rollout.kinds = "A", ["missing"] * 6  # what was written for B stays
    rollout.batches("met", "met", "met")
    rollout.check()
    found = audited(rollout)
    assert kinds(found) == ["same"] * 8
    assert [finding.recorded.decision for finding in found][:6] == ["hold"] * 4 + ["rollback", "hold"]


def test_eight_met_windows_with_approvals_advance_again(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path, "A")
    rollout.enter()
    for role in ("SRE", "Dev Lead"):
        data = {"subject": "advance", "role": role, "by": "Ada", "judging_digest": rollout.governed.judging_digest}
        rollout.record([Draft("approval", "A", data)], start_of(0))
    for _ in range(8):
        rollout.batches("met")
        rollout.check()
    found = audited(rollout)
    assert kinds(found) == ["same"] * 8
    assert found[-1].recorded.decision == "advance"


def test_late_events_that_change_a_verdict_are_listed(tmp_path: Path) -> None:
    rollout = checked(tmp_path, "met", "met")
    slow = event(
        "autosave.save.completed", start_of(0) + timedelta(minutes=3), "B", duration_ms=9000, request_id="late"
    )
    rollout.batches("met", extra={2: [slow]})
    found = audited(rollout)
    assert kinds(found) == ["differs", "inputs_changed"]  # drift looks back 45 minutes
    assert found[0].now is not None
    assert (found[0].recorded.outcome, found[0].now.outcome) == ("ok", "violation")
    assert found[0].now.violations == ("save_latency_p95",)


def test_late_events_that_change_nothing_are_told_apart(tmp_path: Path) -> None:
    rollout = checked(tmp_path, "met", "met")
    quick = event(
        "autosave.save.completed", start_of(0) + timedelta(minutes=3), "B", duration_ms=400, request_id="late"
    )
    rollout.batches("met", extra={2: [quick]})
    assert kinds(audited(rollout))[0] == "inputs_changed"


def test_a_batch_that_is_gone_is_listed(tmp_path: Path) -> None:
    rollout = checked(tmp_path, "met", "met", "met")
    (rollout.logs / f"{stamp(start_of(1))}.jsonl").unlink()
    found = audited(rollout)
    assert found[1].kind == "batch_missing"
    assert found[1].is_changed


def test_another_policy_is_not_compared(tmp_path: Path) -> None:
    rollout = checked(tmp_path / "run", "met", "met")
    rollout.policy = changed_policy(tmp_path / "other", "A: 2.5, B: 2.0, C: 1.8", "A: 2.5, B: 1.9, C: 1.8")
    assert kinds(audited(rollout)) == ["other_policy", "other_policy"]


def command(capsys: pytest.CaptureFixture[str], rollout: Rollout, *arguments: str) -> tuple[object, str]:
    """Exit code and output of `phasegate audit`."""
    where = [f"--logs={rollout.logs}", f"--ledger={rollout.ledger}", f"--as-of={iso(closed(9))}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["phasegate", "audit", f"--policy={rollout.policy}", *where, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return ended.value.code, capsys.readouterr().out


def test_the_digest_of_another_policy_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollout = checked(tmp_path / "run", "met")
    digest = rollout.governed.judging_digest
    rollout.policy = changed_policy(tmp_path / "other", "A: 2.5, B: 2.0, C: 1.8", "A: 2.5, B: 1.9, C: 1.8")
    code, told = command(capsys, rollout)
    now = rollout.governed.judging_digest
    assert f"1 not compared: made under the judging digest {digest[:16]}, today's is {now[:16]}" in told
    assert code == 3


def test_a_batch_that_is_gone_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollout = checked(tmp_path, "met", "violation")
    (rollout.logs / f"{stamp(start_of(1))}.jsonl").unlink()
    code, told = command(capsys, rollout)
    assert code == 1
    assert "recorded rollback, violation (save_latency_p95), rollback required" in told
    assert "now      hold, no_data" in told
    assert f"gone     {stamp(start_of(1))}" in told


def test_a_change_of_rollback_required_alone_is_a_difference() -> None:
    said = Said("violation", "hold", ("save_latency_p95",), rollback_required=True)
    finding = Finding(1, start_of(1), "B", start_of(0), "differs", said, replace(said, rollback_required=False))
    assert finding.is_changed
    assert not replace(finding, now=said).is_changed


def advancing(root: Path) -> Rollout:
    """A rollout whose eighth window may advance, by an approval that bears the time of that check."""
    rollout = Rollout(root, "A")
    rollout.enter()
    for number in range(8):
        rollout.batches("met")
        if number == 7:
            for role in ("SRE", "Dev Lead"):
                data = {"subject": "advance", "role": role, "by": "Ada"}
                data |= {"judging_digest": rollout.governed.judging_digest}
                rollout.record([Draft("approval", "A", data)], closed(8))
        rollout.check()
    return rollout


def test_the_ledger_is_seen_by_number_and_not_by_time(tmp_path: Path) -> None:
    rollout = advancing(tmp_path)
    data = {"by": "Ada", "reason": "after the check, in the same second"}
    rollout.record([Draft("pause", "A", data)], closed(8))
    found = audited(rollout)
    assert kinds(found) == ["same"] * 8
    assert found[-1].recorded.decision == "advance"


def test_an_advance_that_late_events_would_have_held(tmp_path: Path) -> None:
    rollout = advancing(tmp_path)
    slow = event("autosave.save.completed", start_of(3) + timedelta(minutes=3), "A", duration_ms=9000, request_id="x")
    rollout.batches("met", extra={8: [slow]})
    last = audited(rollout)[-1]
    assert last.now is not None
    assert (last.kind, last.recorded.decision, last.now.decision) == ("differs", "advance", "hold")


def test_a_recorded_violation_that_the_logs_lost_counts_only_once_it_was_recorded(tmp_path: Path) -> None:
    rollout = advancing(tmp_path)
    decided = rollout.records[-1].data
    data = {**decided, "outcome": "violation", "decision": "hold", "violations": ["failure_rate"]}
    rollout.record([Draft("decision", "A", data, window_start=start_of(7))], closed(8) + timedelta(minutes=1))
    found = audited(rollout)
    assert [finding.kind for finding in found[:8]] == ["same"] * 8
    assert found[7].recorded.decision == "advance"
    assert found[8].kind == "differs"


def test_without_a_decision_there_is_nothing_to_audit(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path, "B")
    rollout.enter()
    rollout.batches("met")
    with pytest.raises(CannotDecide, match="no decision"):
        audited(rollout)


@pytest.mark.parametrize(("late", "code"), [(False, 0), (True, 1)])
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], late: bool, code: int) -> None:
    rollout = checked(tmp_path, "met", "met")
    if late:
        slow = event(
            "autosave.save.completed", start_of(0) + timedelta(minutes=3), "B", duration_ms=9000, request_id="x"
        )
        rollout.batches("met", extra={2: [slow]})
    before = rollout.ledger.read_bytes()
    where = [f"--logs={rollout.logs}", f"--ledger={rollout.ledger}", f"--as-of={iso(closed(9))}"]
    told = []
    for format_ in ("table", "json"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                sys, "argv", ["phasegate", "audit", f"--policy={rollout.policy}", *where, f"--format={format_}"]
            )
            with pytest.raises(SystemExit) as ended:
                main()
        assert ended.value.code == code
        told.append(capsys.readouterr().out)
    assert ("now      " in told[0]) is late
    assert "2 decisions: " in told[0]
    assert [row["finding"] for row in json.loads(told[1])["findings"]] == (
        ["differs", "inputs_changed"] if late else ["same"] * 2
    )
    assert rollout.ledger.read_bytes() == before
