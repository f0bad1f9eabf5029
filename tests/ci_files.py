"""Readers and runners of the files that put the policy gate into CI, for their tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.deploying import BIN, DEPLOY, ran
from tests.telemetry import ROOT

WORKFLOWS = ROOT / ".github" / "workflows"
GATE_FILE = WORKFLOWS / "policy-gate.yml"
COMMENT_FILE = WORKFLOWS / "policy-gate-comment.yml"
ACTION_FILE = ROOT / "action.yml"
GITLAB_FILE = DEPLOY / "gitlab" / "policy-gate.gitlab-ci.yml"
HOOKS_FILE = ROOT / ".pre-commit-hooks.yaml"
COMMENT_SCRIPT = DEPLOY / "github" / "comment.py"
MARKER = "<!-- phasegate-review -->"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
PROGRAM = """#!{python} -I
import json, os, pathlib, sys
here = pathlib.Path(__file__).resolve().parent
call = {{"argv": sys.argv[1:], "cwd": os.getcwd()}}
with open(here / "calls.jsonl", "a") as file:
    file.write(json.dumps(call) + "\\n")
{body}
"""
STUB = """
for word in sys.argv:
    if word.startswith("--output="):
        kind, _, path = word.removeprefix("--output=").partition(":")
        marker = "<!-- phasegate-review -->\\n" if kind == "markdown" else ""
        if not (here / "silent").exists():
            pathlib.Path(path).write_text(marker + "**HOLD**: " + kind + "\\n")
if (here / "silent").exists():
    sys.stderr.write((here / "silent").read_text())
sys.exit(int((here / "code").read_text()) if (here / "code").exists() else 0)
"""


def read(path: Path) -> dict[str, Any]:
    """A YAML file; `on`, which YAML 1.1 takes for a truth, under its name."""
    loaded = yaml.safe_load(path.read_text("utf-8"))
    return {"on" if key is True else key: value for key, value in loaded.items()}


def steps_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step with the name of its job; an action's are those of `action`."""
    document = read(path)
    jobs = document["jobs"] if "jobs" in document else {"action": document["runs"]}
    for name, job in jobs.items():
        for step in job["steps"]:
            yield name, step


def step(path: Path, name: str) -> dict[str, Any]:
    """The step of that name."""
    (found,) = (step for _, step in steps_of(path) if step.get("name") == name)
    return found


def program(path: Path, body: str = "") -> Path:
    """A program at `path` that writes its calls down, into calls.jsonl beside it, and then does `body`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PROGRAM.format(python=sys.executable, body=body))
    path.chmod(0o755)
    return path


def calls_of(path: Path) -> list[dict[str, Any]]:
    """The calls of the programs beside `path`."""
    log = path.parent / "calls.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def in_bash(script: str, cwd: Path, env: Mapping[str, str], timeout: int = 60) -> subprocess.CompletedProcess[str]:
    """A step's script, as GitHub starts it."""
    call = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(call, cwd=cwd, env=dict(env), capture_output=True, text=True, timeout=timeout)


def git(folder: Path, *words: str) -> str:
    """What git says in a folder, with nobody's settings."""
    settings = ["-c", "user.name=x", "-c", "user.email=x@invalid", "-c", "commit.gpgsign=false"]
    done = ran("git", *settings, "-C", folder, *words, env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept_files() -> list[str]:
    """The files of this repository, those not yet committed among them."""
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    return [name for name in listed if name and (ROOT / name).exists()]


class Runner:
    """The machine that an action runs on: a workspace, GitHub's files and variables, and the inputs of the call."""

    def __init__(self, folder: Path, inputs: Mapping[str, str], tool: Path = ROOT) -> None:
        self.workspace, self.temp = folder / "workspace", folder / "runner"
        self.bin = folder / "bin"
        for path in (self.workspace, self.temp, self.bin):
            path.mkdir(parents=True, exist_ok=True)
        declared = read(ACTION_FILE)["inputs"]
        assert set(inputs) <= set(declared)
        self.known = {f"inputs.{name}": str(item.get("default", "")) for name, item in declared.items()}
        self.known |= {f"inputs.{name}": value for name, value in inputs.items()}
        self.known |= {"github.action_path": str(tool), "github.event.pull_request.number": "7"}
        self.known["inputs.github-token"] = "a-token"
        self.env = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(folder),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_OUTPUT": str(folder / "outputs"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "GITHUB_SERVER_URL": "https://github.invalid",
            "GITHUB_REPOSITORY": "ours/rollout",
            "GITHUB_RUN_ID": "11",
        }

    def value(self, text: str) -> str:
        """A text with its expressions filled in; only plain names are known."""
        return EXPRESSION.sub(lambda found: self.known[found[1]], text)

    def run(self, name: str, path: Path = ACTION_FILE, timeout: int = 60) -> subprocess.CompletedProcess[str]:
        """One step; what it gave out is known to the next ones."""
        found = step(path, name)
        env = {key: self.value(str(value)) for key, value in found.get("env", {}).items()}
        done = in_bash(found["run"], self.workspace, self.env | env, timeout)
        outputs = Path(self.env["GITHUB_OUTPUT"])
        for line in outputs.read_text().splitlines() if outputs.exists() and "id" in found else ():
            key, _, value = line.partition("=")
            self.known[f"steps.{found['id']}.outputs.{key}"] = value
        return done

    @property
    def summary(self) -> str:
        """What the page of the run shows."""
        return Path(self.env["GITHUB_STEP_SUMMARY"]).read_text("utf-8")

    @property
    def phasegate(self) -> Path:
        """Where the step `Install` puts it."""
        return self.temp / "phasegate" / "bin" / "phasegate"


def hostile(folder: Path, marks: Path) -> None:
    """What a change may bring in the hope that it is run: modules beside a call, and files that tools start by name."""
    marks.mkdir(exist_ok=True)
    python = f"import pathlib; pathlib.Path({str(marks)!r}).joinpath(__name__ + '.ran').touch()\n"
    for name in ("venv", "pip", "ensurepip", "json", "site", "sitecustomize", "usercustomize", "conftest", "setup"):
        (folder / f"{name}.py").write_text(python)
    for name in ("phasegate", "checker", "click"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "__init__.py").write_text(python)
    (folder / "Makefile").write_text(f"%:\n\ttouch {marks}/make.ran\nx := $(shell touch {marks}/make.ran)\n")
    (folder / ".bashrc").write_text(f"touch {marks}/bash.ran\n")
    (folder / ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    (folder / ".gitconfig").write_text(f"[core]\n\tfsmonitor = touch {marks}/git.ran\n")
    (folder / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "setup"\n')


def shellcheck(script: str) -> str:
    """What shellcheck and bash itself have against a script."""
    checks = ((BIN / "shellcheck", "--shell=bash", "--norc", "-"), ("bash", "-n"))
    return "".join((done := ran(*call, input=script)).stdout + done.stderr for call in checks)
