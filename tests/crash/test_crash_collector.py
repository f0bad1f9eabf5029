"""The collector, killed at every point at which it writes, and run again: no line is lost, and none is double.

The story: a window with broken lines, copies and lines of the next window; one in which a source fails and a file is
rotated; the last retry of the source; a window in which it is back, with its late lines.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer.governed import load_governed
from checker.pipeline import Past, Request, replay
from checker.windows import iso
from tests.batches import FIRST, closed, start_of
from tests.collectors import save
from tests.crash.stage import Worker, working
from tests.crashing import Ended
from tests.looping import make_project

EVERY = int(os.environ.get("PHASEGATE_CRASH", "1"))
SOURCES = (
    "      paths: [telemetry/*.jsonl]\n",
    "      paths: [telemetry/*.jsonl]\n    - {name: gw, kind: files, paths: [gw/*.jsonl]}\n",
)
SOON = timedelta(seconds=3)
SEALED = start_of(2) + SOON
STEPS = {  # when each is run, and what happens before it
    "first": start_of(1) + SOON,
    "failing": SEALED,
    "retry": SEALED + timedelta(seconds=450),
    "back": start_of(3) + SOON,
}
LATER = timedelta(seconds=20)  # when it is run again


def write(path: Path, *events: Mapping[str, Any] | bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.writelines(event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n" for event in events)


def happens(step: str, root: Path) -> None:
    """What the product does before a step."""
    app, gateway = root / "telemetry" / "app.jsonl", root / "gw" / "1.jsonl"
    match step:
        case "first":
            write(app, *(save(FIRST + timedelta(seconds=each), f"0-{each}") for each in range(30)))
            write(app, b"broken\n", b"{}\n", save(FIRST, "0-1"), save(start_of(1), "ahead"))
            write(gateway, save(FIRST, "gw-0"))
        case "failing":
            write(app, save(start_of(1), "before"))
            app.rename(app.with_name("app-1.jsonl"))
            write(app, save(start_of(1), "after"))
            write(gateway, save(start_of(1), "gw-1", duration_ms=9000))
            gateway.parent.rename(root / "away")
        case "back":
            (root / "away").rename(gateway.parent)
            write(gateway, save(start_of(2), "gw-2"))
            write(app, save(start_of(2), "2"))


@dataclass
class Stage:
    """The project in `root`, as it was before each step in `kept`, and what an undisturbed run came to."""

    root: Path
    kept: Path
    worker: Worker
    points: dict[str, tuple[str, ...]] = field(default_factory=dict)
    whole: dict[str, Any] = field(default_factory=dict)

    def run(self, step: str, at: datetime, kill_at: int | None = None) -> Ended:
        arguments = ["collect", f"--policy={self.root / 'policy' / 'policy.yaml'}", f"--as-of={iso(at)}", "--phase=B"]
        return self.worker.run(
            arguments=arguments, folder=str(self.root), environment={}, scratch=str(self.kept / f"scratch-{step}"),
            kill_at=kill_at,
        )  # fmt: skip

    def keep(self, step: str) -> None:
        shutil.copytree(self.root, self.kept / step)

    def restore(self, step: str) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.kept / step, self.root)

    def batches(self) -> dict[str, list[dict[str, Any]]]:
        """The lines of every batch."""
        return {path.name: _lines(path) for path in sorted((self.root / "logs" / "autosave").glob("*.jsonl"))}

    def found(self) -> dict[str, Any]:
        """All that the collector left, but for how long it took."""
        logs = self.root / "logs" / "autosave"
        more = [*logs.glob("quarantine/*"), *logs.glob("collector/carried/*"), *logs.glob("collector/*.jsonl")]
        more += (self.root / "reports").rglob("*.jsonl")
        states = {path.name: _state(json.loads(path.read_text())) for path in logs.glob("collector/state/*")}
        failures = logs / "collector" / "failures.json"
        known = json.loads(failures.read_text()) if failures.exists() else {}
        return {
            "batches": self.batches(),
            "more": {path.name: path.read_text().count("\n") for path in sorted(more)},
            "states": states,
            "failing": {name: (row["retries"], row["is_told"]) for name, row in known.get("sources", {}).items()},
        }


def _lines(path: Path) -> list[dict[str, Any]]:
    aside = ("ts", "latency_ms")
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {key: value for key, value in event.items() if key not in aside} if _is_own(event) else event
        for event in events
    ]


def _is_own(event: Mapping[str, Any]) -> bool:
    return str(event["event"]).startswith("collector.")


def _state(state: dict[str, Any]) -> dict[str, Any]:
    """How far each source was read: what the file system calls a file is the copy's own."""
    read = {
        name: sorted((Path(mark["path"]).name, mark["offset"], mark["size"]) for mark in position["files"])
        for name, position in state["sources"].items()
    }
    return {"window": state["window_start"], "carried": state["carried"], "read": read}


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("collector")
    project = make_project(folder / "project", SOURCES)
    with working() as worker:
        stage = Stage(project.root, folder / "kept", worker)
        stage.kept.mkdir()
        for step, at in STEPS.items():
            happens(step, project.root)
            if step == "retry":
                for seconds in (30, 90, 210):
                    assert stage.run(step, SEALED + timedelta(seconds=seconds)).code in (0, 4)
            stage.keep(step)
            ended = stage.run(step, at)
            assert ended.code == (4 if step == "failing" else 0), (step, ended.code, ended.out, ended.err)
            stage.points[step], stage.whole[step] = ended.points, stage.found()
        yield stage


def test_the_story_itself(stage: Stage) -> None:
    """What is compared with below."""
    whole = stage.whole["back"]
    batches = list(whole["batches"].values())
    ids = [[line["request_id"] for line in batch if "request_id" in line] for batch in batches]
    assert ids == [
        [f"0-{each}" for each in range(30)] + ["gw-0"],
        ["ahead", "before", "after"],
        ["2", "gw-1", "gw-2"],
    ] or (sorted(ids[1]) == ["after", "ahead", "before"] and sorted(ids[2]) == ["2", "gw-1", "gw-2"])
    assert [line["event"] for line in batches[2] if _is_own(line)] == ["collector.retry_exhausted", "collector.latency"]
    assert batches[1][-1]["incomplete"] == ["gw"]
    assert whole["failing"] == {}
    assert min(map(len, stage.points.values())) >= 10
    governed = load_governed(stage.root / "policy" / "policy.yaml")
    request = Request("B", closed(3), stage.root / "logs" / "autosave")
    rows = list(replay(governed, request, Past(), FIRST, start_of(3)))
    assert [row.outcome.value for row in rows] == ["ok", "violation", "ok"]  # with the late line


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_and_run_again(stage: Stage, step: str) -> None:
    count = len(stage.points[step])
    for point in [1, *range(1 + EVERY, count, EVERY), count]:
        stage.restore(step)
        killed = stage.run(step, STEPS[step], kill_at=point)
        where = f"{step}, point {point} of {count}: {killed.points[-1] if killed.points else '?'}"
        assert killed.was_killed, (where, killed.code, killed.err)
        whole = stage.whole[step]["batches"]
        for name, lines in stage.batches().items():
            assert lines == whole[name], where  # no batch, or a whole one
        again = stage.run(step, STEPS[step] + LATER)
        assert again.code in (0, 4), (where, again.err)
        assert stage.found() == stage.whole[step], where
        assert not list((stage.root / "logs").rglob("*.pending")), where
