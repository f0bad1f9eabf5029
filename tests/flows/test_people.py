"""What people do: approve, advance, pause, resume, close an incident; each recorded once, refused with every reason."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from checker.cli import main
from checker.windows import iso
from tests.batches import closed
from tests.commands import Done
from tests.flows.test_record import changed_policy
from tests.rollouts import Rollout


@dataclass
class Stage:
    """A rollout that commands act upon."""

    rollout: Rollout
    capsys: pytest.CaptureFixture[str]

    def run(self, command: str, *more: str, at: datetime | None = None) -> Done:
        """Run the command at `at`, by default a minute after the newest batch's window was closed."""
        at = at or closed(len(self.rollout.kinds)) + timedelta(minutes=1)
        logs = [f"--logs={self.rollout.logs}"] if command in ("advance", "incident", "check") else []
        where = [f"--policy={self.rollout.policy}", f"--ledger={self.rollout.ledger}", f"--as-of={iso(at)}"]
        self.capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["phasegate", command, *where, *logs, *more])
            with pytest.raises(SystemExit) as ended:
                main()
        captured = self.capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    def approve(self, *roles: str) -> None:
        for role in roles:
            assert self.run("approve", f"--role={role}", "--by=Ada").code == 0


@pytest.fixture
def stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Stage:
    """Phase A, with the eight met windows that its gate asks for."""
    rollout = Rollout(tmp_path, "A")
    rollout.enter()
    rollout.batches(*["met"] * 8)
    rollout.check()
    return Stage(rollout, capsys)


def test_an_advance_needs_the_gate_and_every_approval(stage: Stage) -> None:
    done = stage.run("advance", "--phase=A", "--by=Ada")
    assert done.code == 1
    assert done.err.splitlines() == [
        "no advance:",
        "  approval of SRE is missing",
        "  approval of Dev Lead is missing",
    ]
    stage.approve("SRE", "Dev Lead")
    done = stage.run("advance", "--phase=A", "--by=Ada", "--reason=looks good")
    assert (done.code, stage.rollout.state.phase) == (0, "B")
    assert "advanced from A to B (record" in done.out
    change = stage.rollout.records[-1]
    assert change.data == {"from": "A", "to": "B", "by": "Ada", "reason": "looks good"}


def test_an_advance_is_refused_while_the_gate_has_not_passed(stage: Stage) -> None:
    stage.approve("SRE", "Dev Lead")
    stage.rollout.batches("violation")
    done = stage.run("advance", "--phase=A", "--by=Ada")
    assert done.code == 1
    assert "save_latency_p95 violation" in done.err
    assert stage.rollout.state.phase == "A"


@pytest.mark.parametrize(
    ("phase", "code", "told"),
    [
        ("B", 1, "the current phase is A, not B"),
        ("off", 1, "the current phase is A, not off"),
        ("complete", 1, "nothing comes after complete"),
        ("Z", 2, "there is no phase 'Z'"),
    ],
)
def test_only_the_current_phase_is_left(stage: Stage, phase: str, code: int, told: str) -> None:
    before = stage.rollout.ledger.read_bytes()
    done = stage.run("advance", f"--phase={phase}", "--by=Ada")
    assert (done.code, told in done.err) == (code, True), done.err
    assert stage.rollout.ledger.read_bytes() == before


def test_off_enters_the_first_phase_of_a_new_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(Rollout(tmp_path, "A"), capsys)
    done = stage.run("advance", "--phase=off", "--by=Ada")
    assert (done.code, stage.rollout.state.phase) == (0, "A")


def test_approvals_are_void_once_what_judges_has_changed(stage: Stage, tmp_path: Path) -> None:
    stage.approve("SRE", "Dev Lead")
    stage.rollout.policy = changed_policy(tmp_path / "other", "A: 2.5, B: 2.0, C: 1.8", "A: 2.4, B: 2.0, C: 1.8")
    done = stage.run("advance", "--phase=A", "--by=Ada")
    assert done.code == 1
    assert "approval of SRE is missing" in done.err


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--role=SRE"], 0, "approved: SRE, the advance out of A; still missing: Dev Lead (record"),
        (["--role=Dev Lead"], 0, "approved: Dev Lead, the advance out of A; still missing: SRE (record"),
        (["--role=sre"], 2, "--role: 'sre' is no approver of phase A"),
        (["--role=Governance committee"], 2, "is no approver of phase A"),
        (["--role=SRE", "--phase=B"], 1, "the current phase is A; there is no advance out of B to approve"),
        (["--role=SRE", "--incident=i1"], 2, "there is no incident 'i1' (the ledger has none)"),
        (["--role=SRE", "--target=other"], 2, "the policy is of 'autosave', not 'other'"),
    ],
)
def test_approvals(stage: Stage, more: list[str], code: int, told: str) -> None:
    done = stage.run("approve", "--by=Ada", *more)
    assert done.code == code
    assert told in done.out + done.err


def test_the_same_approval_is_recorded_once(stage: Stage) -> None:
    stage.approve("SRE")
    before = stage.rollout.ledger.read_bytes()
    done = stage.run("approve", "--role=SRE", "--by=Bob")
    assert (done.code, stage.rollout.ledger.read_bytes()) == (0, before)
    assert "has approved the advance out of A already" in done.out


def test_break_glass_leaves_out_the_gate_and_nothing_else(stage: Stage) -> None:
    stage.rollout.batches("missing")
    stage.run("pause", "--by=Ada", "--reason=lunch")
    assert stage.run("advance", "--phase=A", "--by=Ada", "--without-gate").code == 2
    how = ("--phase=A", "--by=Ada", "--without-gate", "--reason=a fix must go out")
    refused = stage.run("advance", *how)
    assert refused.code == 1
    assert refused.err.splitlines()[1:] == ["  approval of SRE is missing", "  approval of Dev Lead is missing"]
    stage.approve("SRE", "Dev Lead")
    done = stage.run("advance", *how)
    assert done.code == 0
    assert "WITHOUT ITS GATE: A → B, by Ada: a fix must go out" in done.out
    assert stage.rollout.records[-1].data["without_gate"] is True


def test_break_glass_is_refused_while_an_incident_is_open(stage: Stage) -> None:
    stage.approve("SRE", "Dev Lead")
    stage.rollout.batches("violation")
    assert stage.run("check", "--phase=A", "--record").code == 1
    done = stage.run("advance", "--phase=A", "--by=Ada", "--without-gate", "--reason=hurry", at=closed(10))
    assert done.code == 1
    assert "is open" in done.err
    assert stage.rollout.state.phase == "A"


def test_a_pause_holds_until_its_time_or_a_resume(stage: Stage) -> None:
    stage.approve("SRE", "Dev Lead")
    assert stage.run("resume", "--by=Ada", "--reason=x").code == 1
    at = closed(8) + timedelta(minutes=1)
    done = stage.run("pause", "--by=Ada", "--reason=a fair", "--for=2h")
    assert f"paused until {iso(at + timedelta(hours=2))}" in done.out
    assert "paused: a fair" in stage.run("advance", "--phase=A", "--by=Ada").err
    assert stage.run("resume", "--by=Bob", "--reason=over").code == 0
    assert stage.run("advance", "--phase=A", "--by=Ada").code == 0


@pytest.mark.parametrize(
    "more",
    [
        ["--reason=x", "--for=2"],
        ["--reason=x", "--for=2h", "--until=2026-01-03T00:00:00Z"],
        ["--reason=x", "--until=2026-01-01T00:00:00Z"],
        ["--reason= "],
        ["--reason=" + "x" * 501],
    ],
)
def test_a_pause_that_makes_no_sense(stage: Stage, more: list[str]) -> None:
    before = stage.rollout.ledger.read_bytes()
    assert stage.run("pause", "--by=Ada", *more).code == 2
    assert stage.rollout.ledger.read_bytes() == before


@pytest.mark.parametrize(
    ("environment", "more", "by"),
    [
        ({"LOGNAME": "ada"}, [], "ada"),
        ({"LOGNAME": "ada", "PHASEGATE_BY": "Bob"}, [], "Bob"),
        ({"LOGNAME": "ada", "PHASEGATE_BY": "Bob"}, ["--by=Eve"], "Eve"),
    ],
)
def test_whoever_acts_is_recorded(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], more: list[str], by: str
) -> None:
    monkeypatch.delenv("PHASEGATE_BY", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert stage.run("pause", "--reason=x", *more).code == 0
    assert stage.rollout.records[-1].data["by"] == by


def test_an_incident_is_listed_noted_cancelled_and_approved(stage: Stage) -> None:
    assert stage.run("incident").out == "no incident\n"
    stage.rollout.batches("violation")
    stage.rollout.check()
    (incident,) = stage.rollout.state.incidents
    assert "OPEN" in stage.run("incident").out
    note = stage.run("incident", f"--note={incident.id}", "--step=2", "--by=Ada", "--reason=collector stopped")
    assert "step 2 of the Runbook is done" in note.out
    done = stage.run("incident", f"--cancel={incident.id}", "--by=Bob", "--reason=a load test")
    assert done.code == 0
    (notice,) = (row for row in stage.rollout.state.notices if row.notice == "autosave-recovered")
    assert (notice.state, notice.incident) == ("cancelled", incident.id)
    assert "by=Bob: a load test" in notice.text
    again = stage.run("incident", f"--cancel={incident.id}", "--by=Bob", "--reason=again")
    assert (again.code, "was closed" in again.err) == (1, True)
    assert stage.run("approve", "--role=Governance committee", "--by=Eve", f"--incident={incident.id}").code == 0
    listed = json.loads(stage.run("incident", "--format=json").out)["incidents"][0]
    assert (listed["outcome"], listed["closed_by"], listed["closed_reason"]) == ("cancelled", "Bob", "a load test")
    assert listed["notes"][0]["step"] == 2


def test_a_paged_incident_is_resolved_though_no_notice_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = changed_policy(
        tmp_path / "p",
        '    channel: "#incident-autosave"\n    outcome: violation',
        "    channel: pagerduty\n    outcome: violation",
    )
    stage = Stage(Rollout(tmp_path, "B", policy), capsys)
    stage.rollout.enter()
    stage.rollout.batches("violation")
    stage.rollout.check()
    (incident,) = stage.rollout.state.incidents
    stage.run("incident", f"--cancel={incident.id}", "--by=Bob", "--reason=a load test")
    resolving = [row for row in stage.rollout.state.notices if row.outcome == "recovered"]
    assert {(row.channel, row.incident) for row in resolving} == {
        ("#incident-autosave", incident.id),
        ("pagerduty", incident.id),
    }
