"""pre-commit installs our hooks from this repository and runs them, and the action installs phasegate: `make hooks`.

Both ask the package registry, and take a minute; so they are no part of the suite.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.ci_files import HOOKS_FILE, Runner, git, hostile, kept_files
from tests.deploying import BIN
from tests.telemetry import ROOT

HOOKS = [hook["id"] for hook in yaml.safe_load(HOOKS_FILE.read_text("utf-8"))]
PROJECT = ("policy", "queries", "schemas", "docs/design", "tests/queries")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository as it lies here, committed: pre-commit clones."""
    folder = tmp_path_factory.mktemp("repository")
    for name in kept_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--force", ".")
    git(folder, "commit", "--quiet", "-m", "As it is")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A rollout in a repository of its own."""
    folder = tmp_path / "project"
    for name in PROJECT:
        shutil.copytree(ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pre-commit installed."""
    return tmp_path_factory.mktemp("pre-commit")


def pre_commit(project: Path, home: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "pre-commit", *words, "--color=never"],
        cwd=project,
        env={**os.environ, "PRE_COMMIT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=540,
    )


def verdicts(text: str) -> dict[str, str]:
    """Passed, Failed or Skipped, for each hook."""
    return {
        f"phasegate-{name}": verdict
        for name, verdict in re.findall(r"^phasegate (\w+)\.+.*?(\w+)$", text, re.MULTILINE)
    }


def run_hooks(project: Path, home: Path, repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The hooks as a repository has them."""
    revision = git(repository, "rev-parse", "HEAD").strip()
    used = {"repo": str(repository), "rev": revision, "hooks": [{"id": name} for name in HOOKS]}
    (project / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [used]}))
    git(project, "add", ".pre-commit-config.yaml")
    return pre_commit(project, home, "run", *words)


def test_pre_commit_tries_them(repository: Path, project: Path, home: Path) -> None:
    done = pre_commit(project, home, "try-repo", repository, "--all-files")
    assert verdicts(done.stdout) == dict.fromkeys(HOOKS, "Passed"), done.stdout + done.stderr
    assert done.returncode == 0


def test_they_fail_where_something_is_wrong(repository: Path, project: Path, home: Path) -> None:
    done = run_hooks(project, home, repository, "--all-files")
    assert verdicts(done.stdout) == dict.fromkeys(HOOKS, "Passed"), done.stdout + done.stderr

    policy = project / "policy" / "policy.yaml"
    text = policy.read_text("utf-8")
    assert "B: 0.5" in text
    policy.write_text(text.replace("B: 0.5", "B: 0.4", 1), "utf-8")
    git(project, "add", ".")
    done = run_hooks(project, home, repository, "--all-files")
    assert verdicts(done.stdout)["phasegate-docs"] == "Failed", done.stdout
    assert verdicts(done.stdout)["phasegate-validate"] == "Failed"
    assert "docs/design/autosave-merge-rollout.md" in done.stdout
    policy.write_text(text, "utf-8")

    query = project / "queries" / "slo" / "failure_rate.sql"
    sql = query.read_text("utf-8")
    assert "100 * (" in sql
    query.write_text(sql.replace("100 * (", "90 * ("), "utf-8")
    git(project, "add", ".")
    done = run_hooks(project, home, repository, "--all-files")
    assert verdicts(done.stdout)["phasegate-test"] == "Failed", done.stdout
    assert done.returncode == 1


def test_they_are_left_out_where_nothing_of_theirs_is_committed(repository: Path, project: Path, home: Path) -> None:
    git(project, "commit", "--quiet", "--no-verify", "-m", "All")
    (project / "notes.md").write_text("x\n")
    git(project, "add", "notes.md")
    done = run_hooks(project, home, repository)
    assert verdicts(done.stdout) == dict.fromkeys(HOOKS, "Skipped"), done.stdout + done.stderr


def test_the_action_installs_itself_and_nothing_of_the_change(repository: Path, tmp_path: Path) -> None:
    runner = Runner(tmp_path, {"base": "HEAD^1"}, tool=repository)
    hostile(runner.workspace, tmp_path / "marks")
    if "SSL_CERT_FILE" in os.environ:
        runner.env["SSL_CERT_FILE"] = os.environ["SSL_CERT_FILE"]
    runner.env |= {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    done = runner.run("Install phasegate", timeout=540)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([runner.phasegate, "--version"], cwd=runner.workspace, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip()
    assert list((tmp_path / "marks").iterdir()) == []
