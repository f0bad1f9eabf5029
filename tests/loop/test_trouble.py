"""The loop in trouble: people's chat hangs, a rollback and its recovery, parts and the whole killed, a soak."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from checker.ledger.append import Draft, writing
from checker.windows import parse_iso, windows_between
from tests.batches import FIRST, WINDOW
from tests.chat_server import TOKEN, ChatServer, Fault, serving
from tests.looping import PATIENT, Loop, Project, application, eventually, looping, make_project, save
from tests.release_tool import COMMAND, ReleaseTool

BEGIN = FIRST - timedelta(minutes=1)
STEP = timedelta(seconds=10)
SOAK = int(os.environ.get("PHASEGATE_SOAK", "1000"))  # cycles


def entered(project: Project, phase: str = "B") -> None:
    """Record that the phase was entered before the loop begins."""
    data = {"from": "A", "to": phase, "by": "Ada", "reason": "as planned"}
    with writing(project.root / "ledger" / "autosave.jsonl") as writer:
        writer.append([Draft("phase_change", phase, data)], BEGIN - timedelta(hours=1))


def saving(
    project: Project, phase: Callable[[], str], duration_ms: Callable[[], float]
) -> Callable[[datetime, datetime], None]:
    """An application that completes a save every 10 s."""

    def write(since: datetime, until: datetime) -> None:
        starts = [window.start for window in windows_between(since, until, STEP)]
        project.append(*(save(at, int(at.timestamp()), phase(), duration_ms()) for at in starts))

    return write


def sealed_at(loop: Loop) -> Iterator[tuple[datetime, float]]:
    """The windows that were sealed, with the seconds from each one's end to its seal."""
    for line in loop.lines:
        if match := re.match(r"sealed (\S+): .*?([0-9.]+) s", line):
            yield parse_iso(match[1]), float(match[2])


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with serving(ChatServer()) as server:
        yield server


def environment(chat: ChatServer) -> dict[str, str]:
    """Credentials for the server."""
    return {"PHASEGATE_SLACK_TOKEN": TOKEN, "PHASEGATE_SLACK_API": chat.api}


def test_a_reporter_that_hangs_stops_no_cycle_in_an_incident(tmp_path: Path, chat: ChatServer) -> None:
    """Slack takes requests and never answers; the Collector's cycles go on, each within its 5 minutes."""
    project = make_project(tmp_path, PATIENT)
    entered(project)
    chat.faults += [Fault("/api/", "hang") for _ in range(1000)]
    speed = 200.0  # a window takes 4.5 s, and 5 minutes 1.5 s
    with looping(project, BEGIN, speed, environ=environment(chat)) as loop:
        write = saving(project, lambda: "B", lambda: 9000.0)
        with application(loop, write, STEP):
            eventually(lambda: bool(chat.requests), "the reporter asks Slack", 40)
            before = len(list(sealed_at(loop)))
            loop.wait_for("^sealed ", before + 5, 60)
            assert project.state.open_incident is not None
            assert not [line for line in loop.lines if line.startswith("pass: was killed")]
        late = [(start, seconds) for start, seconds in sealed_at(loop) if seconds > 300]
        assert late == []
        loop.process.kill()  # it would wait for the reporter


def test_a_rollback_its_recovery_and_what_is_left(tmp_path: Path, chat: ChatServer) -> None:
    """In mode execute the loop rolls back by itself, turns to 5-minute cycles, and ends the incident."""
    tool = ReleaseTool(tmp_path / "tool")
    command = f'command: [{sys.executable}, {tool.path}, "--from={{phase}}", "--to={{rollback_to}}"]'
    project = make_project(
        tmp_path / "project", PATIENT, (f"command: {COMMAND}", command), ("mode: propose", "mode: execute")
    )
    entered(project)

    def phase() -> str:
        return "A" if tool.calls() else "B"

    with looping(project, BEGIN, 90.0, environ=environment(chat)) as loop:
        with application(loop, saving(project, phase, lambda: 9000.0 if phase() == "B" else 400.0), STEP):
            loop.wait_for("^judged .*ROLLBACK REQUIRED", 1, 60)
            eventually(lambda: bool(tool.calls()), "it rolls back", 30)
            loop.wait_for("^sealed for the recovery ", 7, 90)
            eventually(lambda: project.state.open_incident is None, "the incident has ended", 60)
        assert loop.stop() == 0
    assert len(tool.calls()) == 1
    state = project.state
    (incident,) = state.incidents
    assert (state.phase, incident.outcome) == ("A", "ended")
    assert [check.met for check in incident.recovery][-6:] == [True] * 6
    slices = sorted((project.logs / "recovery").glob("*.jsonl"))
    starts = [path.stem for path in slices]
    assert len(starts) >= 7
    assert len(set(starts)) == len(starts)
    told = {notice.notice for notice in state.notices if notice.delivered_at}
    assert {"autosave-incident", "autosave-rollback", "autosave-recovered"} <= told
    assert len(chat.ids()) == len(set(chat.ids()))  # nobody was told twice
    ids = [event["request_id"] for events in project.batches().values() for event in events if "request_id" in event]
    assert len(ids) == len(set(ids))  # a slice takes nothing from the batches


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_parts_that_are_killed_are_started_again(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT)
    written: list[int] = []
    inner = saving(project, lambda: "B", lambda: 400.0)

    def write(since: datetime, until: datetime) -> None:
        inner(since, until)
        written.extend(int(window.start.timestamp()) for window in windows_between(since, until, STEP))

    with looping(project, BEGIN, 450.0, "--phase=B") as loop, application(loop, write, STEP):
        for count in range(1, 4):
            loop.wait_for("^sealed ", 2 * count, 60)
            for pid in children_of(loop.process.pid):
                os.kill(pid, signal.SIGKILL)
        ends = loop.wait_for("ended by itself \\(signal 9\\), and is started again", 3, 60)
        assert {line.split(":")[0] for line in ends} == {"collector", "pages"}
        loop.wait_for("^sealed ", len(list(sealed_at(loop))) + 3, 60)
        assert loop.stop() == 0
    ids = [event["request_id"] for events in project.batches().values() for event in events if "request_id" in event]
    assert len(ids) == len(set(ids))
    newest = max(int(name[1:]) for name in ids)
    assert set(ids) == {f"r{at}" for at in written if at <= newest}


def test_nothing_is_left_of_a_loop_that_is_killed(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT)
    project.append(save(BEGIN, 1))
    with looping(project, BEGIN, 450.0, "--phase=B") as loop:
        loop.wait_for("^sealed ")
        parts = children_of(loop.process.pid)
        assert len(parts) >= 2
        loop.process.kill()
        loop.process.wait()
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in parts), "its parts are gone", 10)
    with looping(project, BEGIN + 3 * WINDOW, 450.0, "--phase=B") as loop:
        loop.wait_for("^sealed ", 3)
        assert loop.stop() == 0


def usage(pid: int) -> tuple[int, int]:
    """Resident memory in kB, and open files, of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) if found else 0, len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


@pytest.mark.skipif(SOAK == 0, reason="PHASEGATE_SOAK=0")
def test_a_soak(tmp_path: Path) -> None:
    """Memory and open files are as flat after SOAK cycles as after a tenth of them."""
    project = make_project(tmp_path, PATIENT)
    write = saving(project, lambda: "B", lambda: 400.0)
    samples: list[dict[str, tuple[int, int]]] = []
    with looping(project, BEGIN, 4000.0, "--phase=B") as loop, application(loop, write, timedelta(minutes=1)):
        for share in (0.1, 0.55, 1.0):
            loop.wait_for("^sealed ", int(SOAK * share), 60 + SOAK)
            collector, pages, *_ = children_of(loop.process.pid)
            named = {"loop": loop.process.pid, "collector": collector, "pages": pages}
            samples.append({name: usage(pid) for name, pid in named.items()})
        assert loop.stop() == 0
    print(json.dumps(samples))  # noqa: T201  for people: pytest -s
    first, *others = samples
    for name, (memory_kb, files) in first.items():
        for sample in others:
            assert sample[name][0] <= memory_kb * 1.15 + 8_000, (name, samples)
            assert sample[name][1] <= files + 3, (name, samples)
    assert not [line for line in loop.lines if "internal error" in line or "ended by itself" in line]
