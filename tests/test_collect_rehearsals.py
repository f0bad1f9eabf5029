"""`phasegate collect` in trouble, real and rehearsed: delays, failures, a catch-up with copies, and two at once."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.ledger.append import locked
from checker.windows import iso, stamp
from tests.batches import FIRST, WINDOW, start_of
from tests.collectors import SOON, save
from tests.commands import Done, phasegate
from tests.looping import Project, events_of, make_project

SEALED = "sealed 20260101T000000Z: 1 events, 0 copies, 0 quarantined, 3.0 s after its end"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """AutoSave's project, with an event in the first window."""
    found = make_project(tmp_path)
    found.append(save(FIRST, "a"))
    return found


class Collect:
    """Calls the command on a project, so long after its first window has ended."""

    def __init__(self, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
        self.project, self._capsys = project, capsys

    def __call__(self, *arguments: str | Path, at: datetime = FIRST + WINDOW + SOON) -> Done:
        return phasegate(
            self._capsys, "collect", f"--policy={self.project.policy}", f"--as-of={iso(at)}", "--phase=B", *arguments
        )


@pytest.fixture
def collect(project: Project, capsys: pytest.CaptureFixture[str]) -> Collect:
    return Collect(project, capsys)


def seal_of(project: Project, number: int = 0) -> dict[str, Any]:
    return events_of(project.logs / f"{stamp(start_of(number))}.jsonl")[-1]


def test_a_catch_up_gives_each_window_its_copy(collect: Collect) -> None:
    collect()
    collect.project.append(save(start_of(2), "c"), save(start_of(1), "b"))
    root = collect.project.root
    done = collect(f"--output={root}/TS.jsonl", at=start_of(3) + SOON)
    assert (done.code, [line[:23] for line in done.out.splitlines()]) == (
        0, [f"sealed {stamp(start_of(number))}" for number in (1, 2)],
    )  # fmt: skip
    copies = sorted(root.glob("2026*.jsonl"))
    assert [path.stem for path in copies] == [stamp(start_of(number)) for number in (1, 2)]
    assert [events_of(path)[0]["request_id"] for path in copies] == ["b", "c"]
    assert seal_of(collect.project, 1)["latency_ms"] == (WINDOW + SOON) / timedelta(milliseconds=1)


def test_a_window_that_cannot_be_sealed_is_told(collect: Collect) -> None:
    collect()
    theirs = collect.project.logs / f"{stamp(start_of(1))}.jsonl"
    theirs.write_bytes(b"theirs")
    done = collect(at=start_of(2) + SOON)
    assert (done.code, theirs.read_bytes()) == (3, b"theirs")
    assert "has a batch already, which the collector did not seal" in done.err


def test_a_rehearsal_of_a_delay(collect: Collect) -> None:
    collect("--simulate-latency=301s")
    (delayed, seal) = events_of(collect.project.logs / f"{stamp(FIRST)}.jsonl")[-2:]
    assert (delayed["event"], delayed["delay_ms"], seal["latency_ms"]) == ("collector.delayed", 301_000, 301_000)


def test_a_rehearsal_of_a_failure(collect: Collect) -> None:
    """To its end: tried again four times, given up, told with the next batch; then the lines come late."""
    done = collect("--simulate-failure=app")
    assert done.code == 4
    assert done.out.rstrip().endswith("3.0 s after its end, WITHOUT app")
    assert "source app: pretended to fail, for a rehearsal; its lines come with a later batch" in done.err
    assert seal_of(collect.project)["incomplete"] == ["app"]
    told = []
    for seconds in (30, 90, 210, 450):
        done = collect("--simulate-failure=app", at=FIRST + WINDOW + SOON + timedelta(seconds=seconds))
        assert done.code == 0
        told += [line for line in done.err.splitlines() if "given up" in line]
    assert told == ["source app: given up after 4 retries: pretended to fail, for a rehearsal"]
    done = collect(at=start_of(2) + SOON)
    events = events_of(collect.project.logs / f"{stamp(start_of(1))}.jsonl")
    assert [event["event"] for event in events] == [
        "collector.retry_exhausted", "autosave.save.completed", "collector.latency",
    ]  # fmt: skip
    failures = collect.project.root / "reports" / "monitoring" / "retry_failures.jsonl"
    assert len(failures.read_text().splitlines()) == 1


def test_two_at_once(project: Project) -> None:
    """Started together, while the lock is held: one seals, the other finds it done."""
    command = [sys.executable, "-m", "checker", "collect", f"--policy={project.policy}", "--phase=B",
               f"--as-of={iso(FIRST + WINDOW + SOON)}"]  # fmt: skip
    with locked(project.logs / "collector" / "lock", "a test"):
        both = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=project.root)
            for _ in range(2)
        ]
    done = [(*process.communicate(timeout=30), process.returncode) for process in both]
    assert [code for *_, code in done] == [0, 0]
    assert sorted(out for out, *_ in done) == ["", SEALED + "\n"]
    assert [("nothing to seal" in err) for _, err, _ in done] == [not out for out, *_ in done]
    assert [event.get("request_id") for event in events_of(project.logs / f"{stamp(FIRST)}.jsonl")] == ["a", None]
