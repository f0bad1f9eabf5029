"""The collector's story, told: what was left of it after each run, so that another one can be held against it.

What the collector wrote is kept before each run, and the product's files are put back as they were, inodes included.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from checker.analyzer.governed import Governed, load_governed
from checker.pipeline import Past, Request, replay
from checker.windows import iso, parse_iso, stamp
from tests.batches import FIRST, closed, start_of
from tests.crash.collecting import COMMAND, LAST, SOURCES, STEPS, happens
from tests.crash.stage import Worker, working
from tests.crashing import Ended
from tests.looping import make_project

LATER = timedelta(seconds=20)  # when a run that was killed is made again
WRITTEN = ("logs", "reports")  # what the collector writes to
READ = ("telemetry/*", "gw/*", "away/*", "logs/autosave/collector/said.jsonl")  # what is known by its inode
ASIDE = ("ts", "latency_ms")  # fields of its own events that say when it ran


@dataclass(frozen=True)
class Files:
    """The product's files as they were: by name, what `holder` calls the inode, the content, the time of change."""

    holder: Path
    there: Mapping[str, tuple[str, bytes, int]]

    @classmethod
    def kept(cls, root: Path, holder: Path) -> Files:
        """Keep them."""
        holder.mkdir(exist_ok=True)
        there = {}
        for path in [path for pattern in READ for path in root.glob(pattern)]:
            state = path.stat()
            held = holder / str(state.st_ino)
            if not held.exists():
                os.link(path, held)
            there[path.relative_to(root).as_posix()] = (held.name, path.read_bytes(), state.st_mtime_ns)
        return cls(holder, there)

    def put_back(self, root: Path) -> None:
        """Have them as they were: what was appended since goes, what was renamed gets its name again."""
        for folder in ("telemetry", "gw", "away"):
            shutil.rmtree(root / folder, ignore_errors=True)
        for name, (held, content, mtime_ns) in self.there.items():
            path = root / name
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            os.link(self.holder / held, path)
            if path.read_bytes() != content:
                path.write_bytes(content)
            os.utime(path, ns=(mtime_ns, mtime_ns))


@dataclass
class Story:
    """The project in `root`, as it was before each step in `kept`, and what an undisturbed run came to."""

    root: Path
    kept: Path
    worker: Worker
    governed: Governed
    points: dict[str, tuple[str, ...]] = field(default_factory=dict)
    whole: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Files] = field(default_factory=dict)
    verdicts: list[Any] = field(default_factory=list)
    known: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def logs(self) -> Path:
        return self.root / "logs" / "autosave"

    def run(
        self, step: str, after: timedelta = timedelta(), kill_at: int | None = None, watched: bool = False
    ) -> Ended:
        """Make the run of a step, or be killed in it."""
        at, way = STEPS[step]
        policy = f"--policy={self.root / 'policy' / 'policy.yaml'}"
        arguments = ["collect", policy, f"--as-of={iso(at + after)}"] if way == COMMAND else [iso(at + after)]
        return self.worker.run(
            way=way, arguments=arguments, folder=str(self.root), environment={}, scratch=str(self.kept / "scratch"),
            kill_at=kill_at, watched=watched or kill_at is not None,
        )  # fmt: skip

    def keep(self, step: str) -> None:
        for name in WRITTEN:
            (self.root / name).mkdir(exist_ok=True)
            shutil.copytree(self.root / name, self.kept / step / name)
        shutil.copytree(self.root / "ledger", self.kept / step / "ledger")
        self.files[step] = Files.kept(self.root, self.kept / "files")

    def restore(self, step: str) -> None:
        for name in (*WRITTEN, "ledger"):
            shutil.rmtree(self.root / name)
            shutil.copytree(self.kept / step / name, self.root / name)
        self.files[step].put_back(self.root)

    def go_on(self, step: str, seen: set[tuple[str, str]]) -> bool:
        """Tell the rest of the story, after `step`; false where it comes to a state that was `seen` before."""
        names = list(STEPS)
        for name in names[names.index(step) + 1 :]:
            happens(name, self.root)
            ended = self.run(name)
            assert ended.code in (0, 4), (step, name, ended.out, ended.err)
            if not self.is_new(name, seen):
                return False
        return True

    def is_new(self, step: str, seen: set[tuple[str, str]]) -> bool:
        """Whether what lies there after `step` was not `seen` before; now it is."""
        state = (step, self.fingerprint())
        is_new = state not in seen
        seen.add(state)
        return is_new

    def batches(self) -> dict[str, list[dict[str, Any]]]:
        """The lines of every batch, of every file of the recovery, and of what was set aside."""
        found = sorted(
            [*self.logs.glob("*.jsonl"), *self.logs.glob("recovery/*.jsonl"), *self.logs.rglob("quarantine/*")]
        )
        return {path.relative_to(self.logs).as_posix(): lines_of(path) for path in found}

    def found(self) -> dict[str, Any]:
        """All that the collector left that counts, but for when it ran."""
        return {
            "batches": self.batches(),
            "where": self.where(),
            "where in the recovery": self.where("recovery"),
            "said": self.said(),
            "state": self.state(),
            "state of the recovery": self.state("recovery"),
            "failing": self.failing(),
        }

    def state(self, folder: str = "") -> dict[str, Any]:
        """The newest state, with how far each file was read: inodes and digests are each telling's own."""
        path = max((self.logs / folder).glob("collector/state/*.json"), default=None)
        state: dict[str, Any] = json.loads(path.read_text()) if path else {"sources": {}, "carried": False}
        read = [
            (name, Path(mark["path"]).name, mark["offset"], mark["size"], mark["is_gone"])
            for name, position in sorted(state["sources"].items()) for mark in position["files"]
        ]  # fmt: skip
        return {key: value for key, value in state.items() if key not in ("sha256", "sealed_at")} | {"sources": read}

    def said(self) -> dict[str, list[dict[str, Any]]]:
        """That sources were given up: as it is told to the next batch, and to people."""
        paths = (self.logs / "collector" / "said.jsonl", self.root / "reports" / "monitoring" / "retry_failures.jsonl")
        return {path.name: lines_of(path) if path.exists() else [] for path in paths}

    def failing(self) -> dict[str, Any]:
        """The sources that are being tried again: how often they were, and whether they were given up."""
        path = self.logs / "collector" / "failures.json"
        known = json.loads(path.read_text())["sources"] if path.exists() else {}
        return {name: (row["retries"], row["is_exhausted"], row["is_told"]) for name, row in known.items()}

    def where(self, folder: str = "") -> Counter[str]:
        """How often each of the product's lines is in a batch, set aside, or carried on from the newest seal."""
        logs, state = self.logs / folder, self.state(folder)
        paths = [*logs.glob("*.jsonl"), *logs.glob("quarantine/*")]
        if state["carried"]:
            paths.append(logs / "collector" / "carried" / f"{stamp(parse_iso(state['window_start']))}.jsonl")
        return Counter(name for path in paths for line in lines_of(path) if (name := _name(line)))

    def leftovers(self) -> list[str]:
        """Files that were being put together, and states that wait: a next run has to take them away, or make use of
        them. What a cycle puts together in its work folder lies there until the next one empties it.
        """
        there = [path for name in WRITTEN for path in (self.root / name).rglob("*")]
        left = [path for path in there if path.name.startswith(".") or path.suffix == ".pending"]
        return [path.relative_to(self.root).as_posix() for path in left]

    def work(self) -> list[Path]:
        """What lies in the work folder."""
        return list((self.logs / "collector" / "work").iterdir())

    def fingerprint(self) -> str:
        """What lies there, byte by byte, but for what a cycle that was cut off put together, and what is each
        telling's own: inodes, times of change, and names of files that have none yet.
        """
        written = sorted(path for name in WRITTEN for path in (self.root / name).rglob("*") if path.is_file())
        there = sha256()
        for path in written:
            if path.parent.name != "work":
                content = re.sub(rb'"(inode|mtime_ns)": \d+', b"", path.read_bytes())
                there.update(f"{re.sub(r'[.][a-z0-9_]{8}$', '', str(path))} {len(content)}\n".encode() + content)
        return there.hexdigest()

    def judged(self) -> list[Any]:
        """What is judged of every window, but for the collector's latency: once for each difference in the batches."""
        key = repr({name: lines for name, lines in self.batches().items() if "/" not in name})
        if key not in self.known:
            rows = replay(self.governed, Request("B", closed(LAST), self.logs), Past(), FIRST, start_of(LAST))
            self.known[key] = [
                (row.window.start, item.slo, item.value, item.samples, item.status, item.reason)
                for row in rows for item in row.judgements if item.slo != "collector_latency"
            ]  # fmt: skip
        return self.known[key]


def _name(line: Mapping[str, Any]) -> str | None:
    if "reason" in line:
        return f"{line['reason']} at {line['source']}:{line['offset']}"
    return line.get("request_id")


def lines_of(path: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in event.items() if not _is_time(key, event)} for event in events]


def _is_time(key: str, event: Mapping[str, Any]) -> bool:
    if str(event.get("event", "")).startswith("collector."):
        return key in ASIDE
    return key in ("at", "failing_since") and "attempts" in event


@contextmanager
def told(folder: Path) -> Iterator[Story]:
    """The story, told once to its end; the points of each step are known then."""
    root = make_project(folder / "project", SOURCES).root
    policy = root / "policy" / "policy.yaml"
    with working("tests.crash.collecting", str(policy)) as worker:
        story = Story(root, folder / "kept", worker, load_governed(policy))
        story.kept.mkdir()
        for step in STEPS:
            happens(step, root)
            story.keep(step)
            ended = story.run(step, watched=True)
            assert ended.code in (0, 4), (step, ended.code, ended.out, ended.err)
            story.points[step], story.whole[step] = ended.points, story.found()
        story.verdicts = story.judged()
        yield story
