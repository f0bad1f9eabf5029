"""A rollout's story, a command at a time: a violation, its notices and its rollback, the recovery, its end.

Before each command the whole state is kept, so that the command can be killed at any of its points and run again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from checker.ledger.append import END_OF_TIME
from checker.ledger.records import read_ledger
from checker.ledger.state import LedgerState, fold
from checker.windows import iso
from tests.batches import closed
from tests.chat_server import TOKEN, ChatServer, serving
from tests.crashing import Ended
from tests.flows.test_recovery import FIRST_CHECK, STEP, write_steps
from tests.release_tool import ReleaseTool, make_project
from tests.rollouts import Rollout

ROOT = Path(__file__).resolve().parent.parent.parent
CHECKED, REPORTED = closed(1) + timedelta(minutes=1), closed(1) + timedelta(minutes=2)
RECOVERED, TOLD = FIRST_CHECK + STEP * 5, FIRST_CHECK + STEP * 5 + timedelta(minutes=1)


@dataclass
class Worker:
    """A process that forks a child for each command."""

    process: subprocess.Popen[str]

    def run(self, **job: Any) -> Ended:
        """Run one command to its end, or to its point."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        told = json.loads(_line(self.process.stdout))
        return Ended(told["code"], tuple(told["points"]), told["out"], told["err"])


def _line(stream: IO[str] | None) -> str:
    line = stream.readline() if stream else ""
    if not line:
        raise RuntimeError("the worker is gone")
    return line


@contextmanager
def working(module: str = "tests.crash.worker", *arguments: str) -> Iterator[Worker]:
    """A worker, which `module` is, as long as the block runs."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        _line(process.stdout)
        yield Worker(process)
        assert process.stdin is not None
        process.stdin.close()


@dataclass
class Stage:
    """The story's state below `root`, and what it was before each command, below `kept`."""

    root: Path
    kept: Path
    worker: Worker
    chat: ChatServer
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    points: dict[str, tuple[str, ...]] = field(default_factory=dict)
    whole: dict[str, LedgerState] = field(default_factory=dict)

    @property
    def ledger(self) -> Path:
        return self.root / "ledger" / "autosave.jsonl"

    @property
    def state(self) -> LedgerState:
        """What the ledger comes to; it must be whole."""
        ledger = read_ledger(self.ledger, END_OF_TIME)
        assert ledger.torn is None
        return fold(ledger.records)

    def arguments(self, command: str) -> list[str]:
        """The command line of a step of the story."""
        policy = f"--policy={self.root / 'project' / 'policy' / 'policy.yaml'}"
        common = [policy, f"--ledger={self.ledger}", f"--logs={self.root / 'logs' / 'autosave'}"]
        report = ["report", *common, f"--reports={self.root / 'reports'}"]
        return {
            "check": ["check", "--record", "--phase=B", *common, f"--as-of={iso(CHECKED)}"],
            "report": [*report, f"--as-of={iso(REPORTED)}"],
            "recover": ["check", "--record", "--phase=A", *common, f"--as-of={iso(RECOVERED)}"],
            "tell": [*report, f"--as-of={iso(TOLD)}"],
        }[command]

    def run(self, command: str, kill_at: int | None = None, *, watched: bool = True) -> Ended:
        """Run a step of the story; its points are told where it is `watched`."""
        environment = {
            "PHASEGATE_SLACK_TOKEN": TOKEN,
            "PHASEGATE_SLACK_API": self.chat.api,
            "PHASEGATE_CACHE": str(self.root / "cache"),
            "TMPDIR": str(self.root / "tmp"),
        }
        return self.worker.run(
            arguments=self.arguments(command),
            folder=str(self.root),
            environment=environment,
            scratch=str(self.kept / "scratch"),
            kill_at=kill_at,
            watched=watched,
        )

    def keep(self, command: str) -> None:
        """Keep the state as it is before `command`."""
        shutil.copytree(self.root, self.kept / command, symlinks=True)
        self.messages[command] = list(self.chat.messages)

    def restore(self, command: str) -> None:
        """Put everything back to what it was before `command`."""
        shutil.rmtree(self.root)
        shutil.copytree(self.kept / command, self.root, symlinks=True)
        self.chat.messages[:] = self.messages[command]

    def calls(self) -> int:
        """How often the release tool was called."""
        return len(ReleaseTool(self.root / "tool").calls())


COMMANDS = {"check": 1, "report": 0, "recover": 3, "tell": 0}  # with the exit code of each


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """The story, run once to its end; the points of each command are known then."""
    root = folder / "state"
    rollout = Rollout(root, "B", make_project(root / "project", ReleaseTool(root / "tool"), mode="execute"))
    rollout.enter()
    rollout.batches("violation")
    write_steps(rollout, range(7))
    (root / "tmp").mkdir()
    with serving(ChatServer()) as chat, working() as worker:
        stage = Stage(root, folder / "kept", worker, chat)
        stage.run("report")  # the cache is warm from here on, and the first proof is made
        for command, code in COMMANDS.items():
            stage.keep(command)
            ended = stage.run(command)
            assert ended.code == code, (command, ended.code, ended.out, ended.err)
            stage.points[command], stage.whole[command] = ended.points, stage.state
        yield stage
