"""The rollback: one phase, guarded, recorded before it runs, never run twice for the same incident."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from checker.cli import main
from checker.ledger.append import Draft
from checker.ledger.state import LedgerState
from checker.windows import iso
from tests.batches import closed
from tests.commands import Done
from tests.limits import files_of_at_most
from tests.release_tool import ReleaseTool, make_project
from tests.rollouts import Rollout

REASON = "save_latency_p95 violation"


@dataclass
class Stage:
    """A project with a release tool, and a rollout with an open incident in phase B."""

    root: Path
    tool: ReleaseTool
    policy: Path
    rollout: Rollout
    capsys: pytest.CaptureFixture[str]

    def arguments(self, *more: str, phase: str = "B", minutes: int = 1) -> list[str]:
        at = closed(len(self.rollout.kinds)) + timedelta(minutes=minutes)
        return [
            "rollback", "--target=autosave", f"--phase={phase}", f"--reason={REASON}", "--by=Ada",
            f"--policy={self.policy}", f"--ledger={self.rollout.ledger}", f"--logs={self.rollout.logs}",
            f"--as-of={iso(at)}", *more,
        ]  # fmt: skip

    def rollback(self, *more: str, phase: str = "B", minutes: int = 1) -> Done:
        """Run the command in this process."""
        self.capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["phasegate", *self.arguments(*more, phase=phase, minutes=minutes)])
            with pytest.raises(SystemExit) as ended:
                main()
        captured = self.capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    @property
    def state(self) -> LedgerState:
        return self.rollout.state

    def events(self) -> list[str]:
        """`begun 1`, `failed 1`, … with the attempts' numbers."""
        return [f"{rollback.event} {rollback.attempt}".removesuffix(" 0") for rollback in self.state.rollbacks]


def make_stage(root: Path, capsys: pytest.CaptureFixture[str], **replaced: str) -> Stage:
    """A stage below `root`; `replaced` are texts of the policy's `rollback`."""
    tool = ReleaseTool(root / "tool")
    policy = make_project(root / "project", tool, **replaced)
    rollout = Rollout(root / "run", "B", policy)
    rollout.enter()
    rollout.batches("violation")
    rollout.check()
    return Stage(root, tool, policy, rollout, capsys)


@pytest.fixture
def stage(tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Stage:
    return make_stage(tmp_path, capsys, **getattr(request, "param", {}))


def test_proposed_it_is_shown_and_recorded_and_nothing_runs(stage: Stage) -> None:
    done = stage.rollback()
    assert done.code == 0
    assert "proposed (record" in done.out
    assert f"'--reason={REASON}'" in done.out
    assert "phasegate rollback --target=autosave --phase=B" in done.out
    assert stage.tool.calls() == []
    assert stage.events() == ["proposed"]
    assert "(recorded already)" in stage.rollback(minutes=2).out
    assert stage.events() == ["proposed"]


def test_with_yes_it_runs_once_and_enters_the_phase_before(stage: Stage) -> None:
    done = stage.rollback("--yes")
    assert (done.code, stage.tool.calls()) == (
        0,
        [["--target=autosave", "--from=B", "--to=A", f"--reason={REASON}"]],
    )
    assert stage.events() == ["begun 1", "ended 1"]
    assert stage.state.phase == "A"
    ended = stage.state.rollbacks[-1]
    assert (ended.exit_code, ended.by, ended.reason) == (0, "Ada", REASON)
    assert "setting the phase --target=autosave" in ended.output
    assert "exit 0" in ended.output
    incident = stage.state.open_incident
    assert incident is not None
    assert (incident.rollback_recorded, incident.rollback_required, incident.rollback_active) == (True, False, True)


@pytest.mark.parametrize("stage", [{"mode": "execute"}], indirect=True)
def test_in_mode_execute_it_runs_without_asking(stage: Stage) -> None:
    assert stage.rollback().code == 0
    assert len(stage.tool.calls()) == 1


def test_a_proposal_and_its_execution_share_an_id(stage: Stage) -> None:
    stage.rollback()
    stage.rollback("--yes", minutes=2)
    assert len({rollback.id for rollback in stage.state.rollbacks}) == 1
    assert [notice.state for notice in stage.state.notices if notice.notice == "autosave-rollback"] == [
        "proposed",
        "proposed",
        "begun",
        "ended",
    ]


def test_a_second_time_for_the_same_incident_is_refused(stage: Stage) -> None:
    stage.rollback("--yes")
    done = stage.rollback("--yes", phase="A", minutes=2)
    assert done.code == 1
    assert "is recorded already; to go back further, close that incident first" in done.err
    assert len(stage.tool.calls()) == 1


@pytest.mark.parametrize(
    ("phase", "told"),
    [
        ("A", "the current phase is B, not A"),
        ("C", "the current phase is B, not C"),
        ("off", "off is nothing that could be rolled back"),
        ("complete", "what comes after it is no phase"),
        ("D", "there is no phase 'D' (phases: A, B, C)"),
    ],
)
def test_only_the_current_phase_is_rolled_back(stage: Stage, phase: str, told: str) -> None:
    before = stage.rollout.ledger.read_bytes()
    for how in ((), ("--yes",), ("--done",)):
        done = stage.rollback(*how, phase=phase)
        assert done.code == 1
        assert told in done.err
    assert (stage.tool.calls(), stage.rollout.ledger.read_bytes()) == ([], before)


def test_another_target_is_a_wrong_call(stage: Stage) -> None:
    done = stage.rollback("--target=other")
    assert (done.code, stage.events()) == (2, [])
    assert "the policy is of 'autosave', not 'other'" in done.err


@pytest.mark.parametrize("stage", [{"tries": "3"}], indirect=True)
def test_a_failing_exit_is_recorded_and_tried_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checker.reporter.rollback.execute.PAUSES_S", (0.0,))
    stage.tool.plan("1", "7")
    assert stage.rollback("--yes").code == 0
    assert stage.events() == ["begun 1", "failed 1", "begun 2", "failed 2", "begun 3", "ended 3"]
    assert [rollback.exit_code for rollback in stage.state.rollbacks if rollback.event == "failed"] == [1, 7]


@pytest.mark.parametrize("stage", [{"tries": "2"}], indirect=True)
def test_after_the_last_try_it_has_failed_and_may_be_tried_later(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checker.reporter.rollback.execute.PAUSES_S", (0.0,))
    stage.tool.plan("1", "1")
    done = stage.rollback("--yes")
    assert done.code == 1
    assert "FAILED (record" in done.out
    assert "tried 2 times, at last with exit code 1; the phase is still B" in done.out
    assert stage.state.phase == "B"
    assert stage.rollback("--yes", minutes=2).code == 0
    assert len(stage.tool.calls()) == 3


@pytest.mark.parametrize("stage", [{"deadline": "1s"}], indirect=True)
def test_at_its_deadline_it_is_stopped_and_waits_for_a_person(stage: Stage) -> None:
    stage.tool.plan("hang")
    done = stage.rollback("--yes")
    assert done.code == 1
    assert "its outcome is UNKNOWN" in done.out
    assert stage.events() == ["begun 1", "timed_out 1"]
    assert stage.state.rollback_unknown is not None
    refused = stage.rollback("--yes", minutes=2)
    assert refused.code == 1
    assert "is running or its outcome is unknown" in refused.err
    assert len(stage.tool.calls()) == 1


@pytest.mark.parametrize(("how", "phase", "event"), [("--done", "A", "ended"), ("--failed", "B", "failed")])
def test_killed_while_the_command_ran_a_person_settles_it(stage: Stage, how: str, phase: str, event: str) -> None:
    """The release tool kills phasegate, and does its work: nobody may run it again before a person has looked."""
    stage.tool.plan("killparent")
    command = [sys.executable, "-m", "checker", *stage.arguments("--yes")]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert stage.events() == ["begun 1"]
    assert stage.rollback("--yes", minutes=2).code == 1
    assert stage.rollback(minutes=3).code == 1
    assert len(stage.tool.calls()) == 1
    assert stage.rollback(how, minutes=4).code == 0
    assert (stage.state.phase, stage.state.rollbacks[-1].event) == (phase, event)
    assert stage.state.rollback_unknown is None
    assert len({rollback.id for rollback in stage.state.rollbacks}) == 1


def test_there_must_be_something_to_settle(stage: Stage) -> None:
    done = stage.rollback("--failed")
    assert (done.code, stage.events()) == (1, [])
    assert "there is none" in done.err


def test_one_made_by_hand_is_recorded(stage: Stage) -> None:
    assert stage.rollback("--done").code == 0
    assert (stage.tool.calls(), stage.events(), stage.state.phase) == ([], ["ended"], "A")
    incident = stage.state.open_incident
    assert incident is not None
    assert incident.rollback_recorded


def test_without_an_incident_a_person_may_go_back_as_well(stage: Stage) -> None:
    incident = stage.state.open_incident
    assert incident is not None
    data = {"event": "cancelled", "by": "Ada", "reason": "a load test"}
    stage.rollout.record([Draft("incident", "B", data, id=incident.id)], closed(1))
    assert stage.rollback("--yes").code == 0
    assert stage.state.rollbacks[-1].incident is None
    assert stage.rollback("--yes", phase="A", minutes=2).code == 0
    assert stage.state.phase == "off"


def test_a_program_that_is_not_there_has_failed(stage: Stage) -> None:
    text = stage.policy.read_text(encoding="utf-8")
    stage.policy.write_text(text.replace(f'"{sys.executable}"', '"no-such-program"'), encoding="utf-8")
    done = stage.rollback("--yes")
    assert done.code == 1
    failed = stage.state.rollbacks[-1]
    assert (failed.event, failed.exit_code) == ("failed", 127)
    assert "no-such-program: No such file or directory" in failed.output
    assert stage.events() == ["begun 1", "failed 1"]
    assert "its program could not be started" in done.out


def test_a_long_output_keeps_its_beginning_and_its_end_and_no_control_character(stage: Stage) -> None:
    stage.tool.plan("loud")
    stage.rollback("--yes")
    output = stage.state.rollbacks[-1].output
    assert output.startswith("setting the phase")
    assert "bytes left out" in output
    assert "the end" in output
    assert "\x1b" not in output
    assert len(output) < 20_000


def test_of_two_at_once_one_runs(stage: Stage) -> None:
    command = [sys.executable, "-m", "checker", *stage.arguments("--yes")]
    running = [
        subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    told = [process.communicate(timeout=60)[1].decode() for process in running]
    assert sorted(process.returncode for process in running) == [0, 1, 1], told
    assert len(stage.tool.calls()) == 1


def test_executed_and_not_recorded_is_told_with_what_to_do(stage: Stage) -> None:
    """The disk is full once the command has run: `begun` fits, `ended` with its output does not."""
    stage.tool.plan("loud")
    size = stage.rollout.ledger.stat().st_size
    with files_of_at_most(size + 6_000):
        done = stage.rollback("--yes")
    assert done.code == 4
    assert "the rollback WAS executed" in done.err
    assert "--done" in done.err
    assert stage.events() == ["begun 1"]


def test_nothing_runs_where_it_cannot_be_recorded(stage: Stage) -> None:
    with files_of_at_most(stage.rollout.ledger.stat().st_size):
        done = stage.rollback("--yes")
    assert (done.code, stage.tool.calls(), stage.events()) == (4, [], [])


def test_a_hostile_reason_stays_one_argument(stage: Stage) -> None:
    done = stage.rollback("--yes", "--reason=--to=C {target} \x1b[31m\n; rm -rf /")
    assert done.code == 0
    assert stage.tool.calls()[0][-1] == "--reason=--to=C {target} \\x1b[31m ; rm -rf /"
