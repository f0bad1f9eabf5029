"""What the commands of people tell besides what they record: a torn ledger, a clock behind, a pause replaced."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import pytest

from checker.cli import main
from checker.windows import parse_iso
from tests.commands import Done
from tests.flows.test_record import changed_policy
from tests.rollouts import Rollout

ENTERED = parse_iso("2026-01-01T00:00:00Z")
LONG_AGO, FAR_AWAY = "2020-01-01T00:00:00Z", parse_iso("2900-01-01T00:00:00Z")
LATER = "--as-of=2026-01-01T00:10:00Z"
PERSON = ("--by=Ada", "--reason=seen")
ACTS: dict[str, tuple[str, ...]] = {
    "advance": ("--phase=A", "--by=Ada"),
    "approve": ("--role=SRE", "--by=Ada"),
    "incident": (),
    "pause": PERSON,
    "resume": PERSON,
    "rollback": ("--phase=A", *PERSON),
}


def act(rollout: Rollout, capsys: pytest.CaptureFixture[str], command: str, *arguments: str) -> Done:
    """Run the command on the rollout's ledger, at the machine's time where no other is given."""
    logs = [f"--logs={rollout.logs}"] if command in ("advance", "incident", "rollback") else []
    typed = ["phasegate", command, f"--policy={rollout.policy}", f"--ledger={rollout.ledger}", *logs, *arguments]
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", typed)
        with pytest.raises(SystemExit) as ended:
            main()
    captured = capsys.readouterr()
    return Done(int(ended.value.code or 0), captured.out, captured.err)


def entered(root: Path, at: datetime = ENTERED) -> Rollout:
    rollout = Rollout(root, "A")
    rollout.enter(at)
    return rollout


@pytest.mark.parametrize(("command", "arguments"), ACTS.items())
def test_a_torn_ledger_is_told_of(
    command: str, arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = entered(tmp_path)
    assert "ledger:" not in act(rollout, capsys, command, *arguments, LATER).err
    with rollout.ledger.open("ab") as ledger:
        ledger.write(b'{"schema_version":1,"seq":')
    assert act(rollout, capsys, command, *arguments, LATER).err.startswith("ledger: ")


@pytest.mark.parametrize(("command", "arguments"), [(name, ACTS[name]) for name in ("approve", "pause", "rollback")])
def test_nothing_is_recorded_into_the_past(
    command: str, arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = entered(tmp_path)
    before = rollout.ledger.read_bytes()
    done = act(rollout, capsys, command, *arguments, f"--as-of={LONG_AGO}")
    assert (done.code, rollout.ledger.read_bytes()) == (4, before)
    assert "nothing is recorded into the past" in done.err
    assert "2026-01-01T00:00:00Z" in done.err


def test_a_clock_that_is_behind_holds_up_everything_but_a_rollback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = entered(tmp_path, FAR_AWAY)
    paused = act(rollout, capsys, "pause", *PERSON)
    assert (paused.code, "but the newest record" in paused.err) == (4, True)
    done = act(rollout, capsys, "rollback", "--phase=A", *PERSON, "--done")
    assert (done.code, rollout.state.phase, rollout.records[-1].at) == (0, "off", FAR_AWAY)
    assert "the ledger's newest record is of 2900-01-01T00:00:00Z" in done.err


def test_a_second_pause_replaces_the_first_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollout = entered(tmp_path)
    first = act(rollout, capsys, "pause", "--by=Ada", "--reason=a fair", "--for=1h", LATER)
    assert "it replaces" not in first.out
    second = act(rollout, capsys, "pause", "--by=Bob", "--reason=a holiday", LATER)
    assert "it replaces the pause by Ada of 2026-01-01T00:10:00Z: a fair" in second.out
    paused = rollout.state.paused
    assert (paused and paused.by, paused and paused.until) == ("Bob", None)


def test_a_pause_that_is_over_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollout = entered(tmp_path)
    act(rollout, capsys, "pause", "--by=Ada", "--reason=a fair", "--for=1h", LATER)
    later = "--as-of=2026-01-01T01:10:00Z"
    assert act(rollout, capsys, "resume", *PERSON, later).code == 1
    assert "it replaces" not in act(rollout, capsys, "pause", *PERSON, later).out


@pytest.mark.parametrize(("command", "arguments"), [(name, ACTS[name]) for name in ("approve", "pause")])
def test_a_ledger_is_begun_where_there_is_none(
    command: str, arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = Rollout(tmp_path, "A")
    more = ("--phase=A",) if command == "approve" else ()
    assert act(rollout, capsys, command, *arguments, *more, LATER).code == 0
    assert [record.seq for record in rollout.records] == [1]


@pytest.mark.parametrize("command", ["approve", "pause", "resume", "rollback", "advance"])
def test_a_name_of_control_characters_alone_is_shown_as_what_it_is(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = entered(tmp_path)
    before = rollout.ledger.read_bytes()
    for value in ("", " \n\t ", "x" * 501, "\x1b" * 200):
        done = act(rollout, capsys, command, *ACTS[command], f"--by={value}", LATER)
        assert (done.code, rollout.ledger.read_bytes()) == (2, before)
        assert "expected a text of 1 to 500 characters" in done.err


def test_the_last_advance_leaves_nothing_to_wait_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollout = Rollout(tmp_path, "C", changed_policy(tmp_path / "p", "signed_phases: [C]", "signed_phases: []"))
    rollout.enter()
    assert act(rollout, capsys, "approve", "--role=Governance committee", "--by=Eve", LATER).code == 0
    how = ("--phase=C", "--by=Ada", "--without-gate", "--reason=it has run for a month", LATER)
    done = act(rollout, capsys, "advance", *how)
    assert (done.code, rollout.state.phase) == (0, "complete")
    assert "WITHOUT ITS GATE: C → complete, by Ada: it has run for a month" in done.out
    assert "no gate is left" in done.out
    assert act(rollout, capsys, "advance", *how).code == 1


def test_what_is_overridden_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollout = entered(tmp_path)
    rollout.batches("met", "met")
    at = "--as-of=2026-01-01T00:40:00Z"
    for role in ("SRE", "Dev Lead"):
        assert act(rollout, capsys, "approve", f"--role={role}", "--by=Ada", at).code == 0
    assert act(rollout, capsys, "pause", *PERSON, at).code == 0
    done = act(rollout, capsys, "advance", "--phase=A", *PERSON, "--without-gate", at)
    assert done.code == 0
    assert [line.rsplit(": ", 1)[-1] for line in done.out.splitlines() if "overridden" in line] == ["seen", "2 of 8"]
