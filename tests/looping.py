"""The loop as people run it: `phasegate run` in a process of its own, on a faster clock, over its own project."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from checker.ledger.append import END_OF_TIME
from checker.ledger.records import read_ledger
from checker.ledger.state import LedgerState, fold
from checker.windows import ceil_to_window, floor_to_window, iso, parse_iso

ROOT = Path(__file__).resolve().parent.parent
GOVERNED = ("policy", "queries", "schemas")
PATIENT = (  # on a fast clock a second is many minutes: how long a seal takes is not judged
    "threshold: {A: 180, B: 120, C: 120}",
    "threshold: {A: 86400, B: 86400, C: 86400}",
)


@dataclass(frozen=True)
class Project:
    """A project in `root`, its policy AutoSave's but for the replacements that it was made with."""

    root: Path

    @property
    def policy(self) -> Path:
        """The policy."""
        return self.root / "policy" / "policy.yaml"

    @property
    def logs(self) -> Path:
        """The folder of batches."""
        return self.root / "logs" / "autosave"

    @property
    def telemetry(self) -> Path:
        """What the application appends to."""
        return self.root / "telemetry" / "app.jsonl"

    def batches(self) -> dict[str, list[dict[str, Any]]]:
        """The events of each batch, by its name."""
        return {path.name: events_of(path) for path in sorted(self.logs.glob("*.jsonl"))}

    @property
    def state(self) -> LedgerState:
        """What the ledger comes to."""
        return fold(read_ledger(self.root / "ledger" / "autosave.jsonl", END_OF_TIME).records)

    def replace(self, old: str, new: str) -> None:
        """Change the policy."""
        text = self.policy.read_text(encoding="utf-8")
        assert old in text
        self.policy.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, *events: Mapping[str, Any]) -> None:
        """The application writes events."""
        self.telemetry.parent.mkdir(exist_ok=True)
        with self.telemetry.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)


def events_of(batch: Path) -> list[dict[str, Any]]:
    """The events of a batch."""
    return [json.loads(line) for line in batch.read_text(encoding="utf-8").splitlines()]


def make_project(root: Path, *replacements: tuple[str, str]) -> Project:
    """AutoSave's governed files in `root`, with these texts of the policy replaced."""
    for name in GOVERNED:
        shutil.copytree(ROOT / name, root / name)
    project = Project(root)
    for old, new in replacements:
        project.replace(old, new)
    return project


def save(at: datetime, number: int, phase: str = "B", duration_ms: float = 500.0) -> dict[str, Any]:
    """A save that completed."""
    return {
        "schema_version": 1,
        "ts": iso(at),
        "event": "autosave.save.completed",
        "phase": phase,
        "request_id": f"r{number}",
        "duration_ms": duration_ms,
    }


@dataclass
class Loop:
    """A running loop; `lines` is what it said so far. `at` gives its time."""

    process: subprocess.Popen[str]
    begin: datetime
    speed: float
    began_s: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    has_ended: bool = False
    _news: threading.Condition = field(default_factory=threading.Condition)

    def listen(self, stream: IO[str]) -> None:
        """Take in what it says until it ends."""
        for line in stream:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self.has_ended = True
            self._news.notify_all()

    def wait_for(self, pattern: str, count: int = 1, timeout_s: float = 30.0) -> list[str]:
        """The lines that match, once there are so many. Fails after `timeout_s`."""

        def found() -> list[str]:
            return [line for line in self.lines if re.search(pattern, line)]

        with self._news:
            self._news.wait_for(lambda: len(found()) >= count or self.has_ended, timeout_s)
            if len(found()) < count:
                told = "\n".join(self.lines[-40:])
                raise AssertionError(f"no {count} lines like {pattern!r} within {timeout_s:g} s:\n{told}")
            return found()

    def now(self) -> datetime:
        """About what its clock says."""
        return self.begin + timedelta(seconds=(time.monotonic() - self.began_s) * self.speed)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 60.0) -> int:
        """Send it a signal and give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


@contextmanager
def application(
    loop: Loop, write: Callable[[datetime, datetime], None], every: timedelta = timedelta(seconds=10)
) -> Iterator[None]:
    """An application beside the loop: `write(since, until)` is called again and again, as the loop's time goes on.

    The spans lie on multiples of `every` and follow each other without a gap, whatever the machine does.
    """
    stop = threading.Event()
    since = ceil_to_window(loop.now(), every)

    def run() -> None:
        nonlocal since
        while not stop.is_set():
            until = floor_to_window(loop.now(), every)
            if until > since:
                write(since, until)
                since = until
            stop.wait(0.02)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


@contextmanager
def looping(
    project: Project, begin: datetime, speed: float, *options: str, environ: Mapping[str, str] | None = None
) -> Iterator[Loop]:
    """A loop over the project whose clock begins at `begin`; killed at the end where it still runs."""
    listen = () if any(option.startswith("--listen") for option in options) else ("--listen=none",)
    command = [sys.executable, "-m", "checker", "run", f"--policy={project.policy}", f"--as-of={iso(begin)}"]
    process = subprocess.Popen(
        [*command, f"--speed={speed}", *listen, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=project.root,
        env={**_clean(os.environ), **(environ or {})},
    )
    assert process.stdout is not None
    loop = Loop(process, begin, speed)
    reader = threading.Thread(target=loop.listen, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        (line,) = loop.wait_for("^watching ")
        begun = re.search("a rehearsal from ([^ ]+) on", line)
        assert begun is not None
        loop.begin, loop.began_s = parse_iso(begun[1]), time.monotonic()
        yield loop
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(10)
        process.stdout.close()


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without credentials that would send something somewhere."""
    return {name: value for name, value in environ.items() if not name.startswith("PHASEGATE_")}


def eventually(holds: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    """Wait until it holds; fails after `timeout_s`."""
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.05)
