"""A rollback whose command is still running: stopped by a signal, settled by a person, and what it answers then."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from checker.ledger.append import Draft
from tests.batches import closed
from tests.flows.test_rollback import Stage, make_stage
from tests.limits import files_of_at_most

WAIT_S = 60
WAITING = """
import os, sys
from pathlib import Path

here = Path(__file__).parent
reading, writing = os.pipe()
if os.fork() == 0:
    os.close(writing)
    os.open(here / "answer", os.O_RDONLY | os.O_NONBLOCK)
    os.write(1, b"child")
    os.read(reading, 1)
    os._exit(0)
(here / "started").write_text("started")
sys.exit(int((here / "answer").read_text()))
"""
BINARY = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 400)"


@pytest.fixture
def stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Stage:
    """One whose release tool says that it has started, with a child that lives as long, and ends as it is told."""
    made = make_stage(tmp_path, capsys, tries="1")
    for name in ("started", "answer"):
        os.mkfifo(made.tool.root / name)
    made.tool.path.write_text(WAITING, encoding="utf-8")
    return made


def start(stage: Stage) -> subprocess.Popen[str]:
    """`rollback --yes` in a process of its own; its command has started when this returns."""
    command = [sys.executable, "-m", "checker", *stage.arguments("--yes")]
    started = os.open(stage.tool.root / "started", os.O_RDONLY | os.O_NONBLOCK)
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    ready, _, _ = select.select([started], [], [], WAIT_S)
    os.close(started)
    assert ready, "the command was not started"
    return process


def answer(stage: Stage, process: subprocess.Popen[str], code: int) -> tuple[int, str]:
    """Let the command end with `code`; gives the exit code of `rollback` and what it said."""
    (stage.tool.root / "answer").write_text(str(code), encoding="utf-8")
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out + err


def assert_nobody_reads(path: Path) -> None:
    """A named pipe cannot be opened for writing once everybody who read it is gone."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as fault:
            if fault.errno == errno.ENXIO:
                return
            raise
        os.sched_yield()
    raise AssertionError(f"{path.name} is still read")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_by_a_signal_nothing_goes_on_and_a_person_is_told(
    stage: Stage, number: signal.Signals, code: int
) -> None:
    process = start(stage)
    process.send_signal(number)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == code
    assert "its outcome is UNKNOWN" in err
    assert "--done, or --failed" in err
    assert_nobody_reads(stage.tool.root / "answer")
    assert stage.events() == ["begun 1"]
    assert stage.rollback("--yes", minutes=2).code == 1


def cancel_and_go_back_further(stage: Stage) -> None:
    incident = stage.state.open_incident
    assert incident is not None
    cancelled = {"event": "cancelled", "by": "Bob", "reason": "a load test"}
    stage.rollout.record([Draft("incident", "B", cancelled, id=incident.id)], closed(4))
    assert stage.rollback("--done", phase="A", minutes=60).code == 0


@pytest.mark.parametrize(
    ("settled", "exit_code", "code", "told", "events", "phase"),
    [
        ("--done", 0, 0, "ended (recorded already)", ["begun 1", "ended"], "A"),
        ("--done", 3, 1, "was recorded as ended by Ada while its command ran", ["begun 1", "ended"], "A"),
        ("--failed", 3, 1, "FAILED", ["begun 1", "failed"], "B"),
        ("--failed", 0, 0, "ended (record", ["begun 1", "failed", "ended 1"], "A"),
    ],
)
def test_settled_while_it_runs_its_answer_changes_nothing_that_is_known_better(
    stage: Stage, settled: str, exit_code: int, code: int, told: str, events: list[str], phase: str
) -> None:
    process = start(stage)
    assert stage.rollback(settled, minutes=2).code == 0
    ended, said = answer(stage, process, exit_code)
    assert (ended, told in said) == (code, True), said
    assert (stage.events(), stage.state.phase) == (events, phase)


def test_a_late_answer_does_not_enter_a_phase_that_was_left_since(stage: Stage) -> None:
    process = start(stage)
    assert stage.rollback("--done", minutes=2).code == 0
    cancel_and_go_back_further(stage)
    assert answer(stage, process, 0)[0] == 0
    assert (stage.events(), stage.state.phase) == (["begun 1", "ended", "ended"], "off")


def test_a_late_answer_to_what_was_recorded_as_failed_is_not_mixed_up_with_another(stage: Stage) -> None:
    process = start(stage)
    assert stage.rollback("--failed", minutes=2).code == 0
    stage.rollout.record(
        [Draft("rollback", "B", {**_begun(stage), "event": "begun", "by": "Bob"}, id="rollback-other")], closed(4)
    )
    code, said = answer(stage, process, 0)
    assert (code, "while its command ran, which ended with exit code 0" in said) == (1, True), said
    unknown = stage.state.rollback_unknown
    assert (unknown and unknown.id, stage.state.phase) == ("rollback-other", "B")


def _begun(stage: Stage) -> dict[str, object]:
    newest = stage.state.rollbacks[-1]
    return {"from": newest.phase_from, "to": newest.phase_to, "incident": newest.incident, "reason": newest.reason}


def test_a_binary_output_is_recorded_without_harm(stage: Stage) -> None:
    stage.tool.path.write_text(BINARY, encoding="utf-8")
    done = stage.rollback("--yes")
    assert done.code == 0, done.err
    output = stage.state.rollbacks[-1].output
    assert "\\x1b" in output
    assert all(line.isprintable() for line in output.split("\n"))


Named = Callable[[str], str]


@pytest.mark.parametrize(
    ("named", "told", "how"),
    [
        (lambda _: "incident-1", "there is no incident 'incident-1'", ("--done",)),
        (lambda _: "incident-1", "there is no incident 'incident-1'", ()),
        (lambda name: f"{name[:-2]}Y", "did you mean", ("--yes",)),
    ],
)
def test_another_incident_than_the_open_one_is_refused(
    stage: Stage, named: Named, told: str, how: tuple[str, ...]
) -> None:
    incident = stage.state.open_incident
    assert incident is not None
    done = stage.rollback(*how, f"--incident={named(incident.id)}")
    assert (done.code, stage.events()) == (1, [])
    assert told in done.err
    assert f"{incident.id} is open" in done.err


def test_the_open_incident_may_be_named_and_a_closed_one_may_not(stage: Stage) -> None:
    incident = stage.state.open_incident
    assert incident is not None
    assert stage.rollback("--done", f"--incident={incident.id}").code == 0
    assert stage.state.rollbacks[-1].incident == incident.id
    cancelled = {"event": "cancelled", "by": "Bob", "reason": "a load test"}
    stage.rollout.record([Draft("incident", "B", cancelled, id=incident.id)], closed(4))
    done = stage.rollback("--done", f"--incident={incident.id}", phase="A", minutes=60)
    assert done.code == 1
    assert f"{incident.id} was closed 2026-01-01T01:05:00Z; none is open" in done.err


def test_an_unknown_one_is_settled_for_its_own_incident(stage: Stage) -> None:
    stage.rollout.record([Draft("rollback", "B", {**_unknown(stage), "event": "begun"}, id="rollback-1")], closed(1))
    done = stage.rollback("--done", "--incident=incident-1", minutes=2)
    assert (done.code, stage.events()) == (1, ["begun"])
    assert "rollback-1, whose outcome is unknown, is for incident-2026" in done.err


def _unknown(stage: Stage) -> dict[str, object]:
    incident = stage.state.open_incident
    return {"from": "B", "to": "A", "incident": incident.id if incident else None, "by": "Ada", "reason": "seen"}


def test_a_deadline_that_cannot_be_recorded_leaves_both_ways_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = make_stage(tmp_path, capsys, deadline="1s")
    stage.tool.path.write_text(f"print('x' * 100_000, flush=True)\n{BINARY}\nimport time; time.sleep(60)", "utf-8")
    with files_of_at_most(stage.rollout.ledger.stat().st_size + 6_000):
        done = stage.rollback("--yes")
    assert (done.code, stage.events()) == (4, ["begun 1"])
    assert "its outcome is unknown" in done.err
    assert "--by=Ada --done (or --failed, as you find it)" in done.err
