"""A project whose rollback's command is a real program: it logs each call, and ends as the test tells it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = '[autosave-release, set-phase, "--target={target}", "--from={phase}", "--to={rollback_to}"]'
TOOL = """
import json, os, signal, sys, time
from pathlib import Path

here = Path(__file__).parent
with (here / "calls.jsonl").open("a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
plan = here / "plan"
steps = plan.read_text().split() if plan.exists() else []
if steps:
    plan.write_text(" ".join(steps[1:]))
step = steps[0] if steps else "0"
print("setting the phase", *sys.argv[1:], flush=True)
if step == "hang":
    time.sleep(60)
if step == "loud":
    print("x" * 100_000 + "\\x1b[31m\\nthe end", flush=True)
    step = "0"
if step == "killparent":
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(0.2)
    step = "0"
print("exit", step, file=sys.stderr)
sys.exit(int(step))
"""


class ReleaseTool:
    """The program below `root`, and the calls it got."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.path = root / "autosave-release.py"
        self.path.write_text(TOOL, encoding="utf-8")

    def plan(self, *steps: str) -> None:
        """How the next calls end: an exit code, `hang`, `loud` or `killparent`; those after them with 0."""
        (self.root / "plan").write_text(" ".join(steps), encoding="utf-8")

    def calls(self) -> list[list[str]]:
        """The arguments of every call so far."""
        log = self.root / "calls.jsonl"
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


def make_project(root: Path, tool: ReleaseTool, **replaced: str) -> Path:
    """A copy of the project's governed files whose command is the tool; gives the policy.

    `replaced` are texts of the policy's `rollback`: `mode`, `deadline`, `tries`; others are refused.
    """
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(ROOT / folder, root / folder)
    policy = root / "policy" / "policy.yaml"
    text = policy.read_text(encoding="utf-8")
    program = json.dumps([sys.executable, str(tool.path)])[1:-1]
    arguments = '"--target={target}", "--from={phase}", "--to={rollback_to}", "--reason={reason}"'
    changes = {f"command: {COMMAND}": f"command: [{program}, {arguments}]"}
    for key, value in replaced.items():
        line = next(line for line in text.splitlines() if line.startswith(f"  {key}: "))
        changes[line] = f"  {key}: {value}"
    for old, new in changes.items():
        if text.count(old) != 1:
            raise ValueError(f"the policy has {old!r} {text.count(old)} times")
        text = text.replace(old, new)
    policy.write_text(text, encoding="utf-8")
    return policy
