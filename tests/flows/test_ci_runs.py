"""What the action, GitLab's job and `make review` do when they run: the calls that they make, and that nothing of the
change under review is run. `make hooks` runs the action's installation as well."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import click
import pytest

from checker.cli.app import cli
from tests.ci_files import (
    GATE_FILE,
    GITLAB_FILE,
    MARKER,
    STUB,
    Runner,
    calls_of,
    git,
    hostile,
    in_bash,
    kept_files,
    program,
    read,
    shellcheck,
    step,
)
from tests.deploying import BIN, ran
from tests.telemetry import ROOT

NASTY = 'x"; touch pwned; $(touch pwned) `touch pwned`'
SAMPLE = ROOT / "tests" / "samples" / "autosave"


def value_of(argv: list[str], option: str) -> list[str]:
    return [word.partition("=")[2] for word in argv if word.startswith(f"{option}=")]


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner with a phasegate that only writes down how it was called."""
    made = Runner(tmp_path, {"base": "HEAD^1", "policy": "change/policy/policy.yaml"})
    program(made.phasegate, STUB)
    return made


def reviewed(runner: Runner) -> list[str]:
    done = runner.run("Review")
    assert done.returncode == 0, done.stderr
    (call,) = calls_of(runner.phasegate)
    argv: list[str] = call["argv"]
    assert argv[0] == "review"
    return argv


def test_the_action_asks_for_what_is_given_and_no_more(runner: Runner) -> None:
    argv = reviewed(runner)
    assert set(argv[1:]) == {
        "--base=HEAD^1",
        "--policy=change/policy/policy.yaml",
        "--page-url=https://github.invalid/ours/rollout/actions/runs/11",
        "--format=github",
        "--output=markdown:policy-gate/review.md",
        "--output=html:policy-gate/review.html",
        "--output=json:policy-gate/review.json",
        "--output=sarif:policy-gate/review.sarif",
        "--output=junit:policy-gate/review.xml",
    }


def test_the_action_hands_every_input_on_and_none_is_a_command(tmp_path: Path) -> None:
    one = ("logs", "as-of", "since", "until", "events-of", "incidents", "sweep", "page-url")
    inputs = {name: f"{name} {NASTY}" for name in one}
    inputs |= {"base": NASTY, "policy": f"-{NASTY}", "phases": "B\n\nC", "authors": f"ada\n{NASTY}\n"}
    runner = Runner(tmp_path, inputs)
    program(runner.phasegate, STUB)
    argv = reviewed(runner)
    assert {name: value_of(argv, f"--{name}") for name in one} == {name: [inputs[name]] for name in one}
    assert value_of(argv, "--base") == [NASTY]
    assert value_of(argv, "--policy") == [f"-{NASTY}"]
    assert value_of(argv, "--phase") == ["B", "C"]
    assert value_of(argv, "--author") == ["ada", NASTY]
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_action_shows_the_review_and_ends_as_it_did(code: int, runner: Runner) -> None:
    (runner.phasegate.parent / "code").write_text(str(code))
    reviewed(runner)
    assert runner.run("Show the review").returncode == 0
    assert runner.summary == f"{MARKER}\n**HOLD**: markdown\n"
    assert runner.run("Judge").returncode == code


def test_an_older_review_does_not_stand_for_one_that_was_not_made(runner: Runner) -> None:
    reviewed(runner)
    (runner.phasegate.parent / "silent").write_text("policy/policy.yaml:3:1: ```\n@ada <b>\n")
    (runner.phasegate.parent / "code").write_text("2")
    done = runner.run("Review")
    assert done.returncode == 0
    assert "policy.yaml:3:1" in done.stderr
    assert {path.name for path in (runner.workspace / "policy-gate").iterdir()} == {"review.md", "problems.txt"}
    text = (runner.workspace / "policy-gate" / "review.md").read_text()
    assert text.startswith(f"{MARKER}\n")
    assert "exit code 2" in text
    assert text.endswith("\n\n    policy/policy.yaml:3:1: ```\n    @ada <b>\n")  # code, whatever it holds
    assert runner.run("Judge").returncode == 2


def test_the_change_says_nothing_of_what_it_lays_where_the_review_goes(runner: Runner, tmp_path: Path) -> None:
    """A step of a workflow of one's own may have the change checked out where `output` lies."""
    (runner.phasegate.parent / "silent").write_text("what the review said")
    secret, folder = tmp_path / "secret", runner.workspace / "policy-gate"
    secret.write_text("kept")
    folder.mkdir()
    for name in ("problems.txt", "review.md", "review.json"):
        (folder / name).symlink_to(secret)
    assert runner.run("Review").returncode == 0
    assert {path.name for path in folder.iterdir() if not path.is_symlink()} == {"problems.txt", "review.md"}
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path)
    assert runner.run("Review").returncode == 0
    assert not folder.is_symlink()
    assert secret.read_text() == "kept"
    assert not (tmp_path / "problems.txt").exists()


def test_a_review_that_could_not_be_started_is_not_green(runner: Runner) -> None:
    runner.phasegate.unlink()
    assert runner.run("Review").returncode == 0
    assert runner.run("Judge").returncode == 127
    runner.known["steps.review.outputs.code"] = ""
    assert runner.run("Judge").returncode != 0


def test_the_action_comments_with_the_token_in_the_environment_alone(runner: Runner) -> None:
    body = 'sys.stdout.write("[]" if "GET" in sys.argv else "{}"); (here / "token").write_text(os.environ["GH_TOKEN"])'
    gh = program(runner.bin / "gh", body)
    hostile(runner.workspace, runner.temp / "marks")
    reviewed(runner)
    done = runner.run("Comment")
    assert done.returncode == 0, done.stderr
    argv = [call["argv"] for call in calls_of(gh)]
    assert [words[2] for words in argv] == ["GET", "POST"]
    assert argv[1][3] == "repos/ours/rollout/issues/7/comments"
    assert not any("a-token" in word for words in argv for word in words)
    assert (runner.bin / "token").read_text() == "a-token"
    assert list((runner.temp / "marks").iterdir()) == []


@pytest.fixture
def change(tmp_path: Path) -> Path:
    """A pull request's merge: the head loosens a threshold of this project, and brings what it hopes is run."""
    folder = tmp_path / "workspace" / "change"
    for name in ("policy", "queries", "schemas", "docs/design"):
        shutil.copytree(ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Base")
    git(folder, "switch", "--quiet", "--create", "head")
    policy = folder / "policy" / "policy.yaml"
    text = policy.read_text("utf-8")
    assert "B: 0.5" in text
    policy.write_text(text.replace("B: 0.5", "B: 0.8", 1), "utf-8")
    assert ran(BIN / "phasegate", "docs", cwd=folder).returncode == 0
    hostile(folder, tmp_path / "marks")
    git(folder, "add", "--force", ".")
    git(folder, "commit", "--quiet", "-m", "Loosen")
    git(folder, "switch", "--quiet", "main")
    git(folder, "merge", "--quiet", "--no-ff", "-m", "Merge", "head")
    return folder


def gate(tmp_path: Path) -> Runner:
    """A runner with the inputs of policy-gate.yml, its logs and its clock at the paths of this repository."""
    inputs: dict[str, Any] = step(GATE_FILE, "Review")["with"]
    assert inputs["logs"].removeprefix("tool/") == SAMPLE.relative_to(ROOT).joinpath("logs").as_posix()
    given = inputs | {"logs": str(SAMPLE / "logs"), "until": (SAMPLE / "as-of").read_text().strip(), "authors": "ada"}
    return Runner(tmp_path, given | {"since": "2026-01-02T06:00:00Z"})  # hours, not a week: the suite has others to run


def test_the_clock_is_the_samples(tmp_path: Path) -> None:
    runner = Runner(tmp_path, {})
    (runner.workspace / "tool").symlink_to(ROOT)
    assert runner.run("Find the logs", GATE_FILE).returncode == 0
    assert runner.known["steps.logs.outputs.until"] == (SAMPLE / "as-of").read_text().strip()
    runner.known["github.event.pull_request.number"] = "12"
    assert runner.run("Say which pull request it was", GATE_FILE).returncode == 0
    assert (runner.workspace / "policy-gate" / "number").read_text() == "12\n"


def test_a_loosening_is_red_and_nothing_of_the_change_is_run(tmp_path: Path, change: Path) -> None:
    runner = gate(tmp_path)
    runner.phasegate.parent.mkdir(parents=True)
    runner.phasegate.symlink_to(BIN / "phasegate")
    hostile(runner.workspace, tmp_path / "marks")
    runner.env["PHASEGATE_CACHE"] = str(tmp_path / "cache")
    done = runner.run("Review")
    assert done.returncode == 0, done.stderr
    assert runner.known["steps.review.outputs.code"] == "1", done.stdout + done.stderr
    assert runner.run("Judge").returncode == 1
    kept = runner.workspace / "policy-gate"
    assert {path.suffix for path in kept.iterdir()} == {".md", ".html", ".json", ".sarif", ".xml", ".txt"}
    assert (kept / "review.md").read_text("utf-8").startswith(f"{MARKER}\n")
    assert git(change, "status", "--porcelain", "--untracked-files=no") == ""
    assert list((tmp_path / "marks").iterdir()) == []


@pytest.mark.parametrize("where", ["action", "gitlab", "make"])
def test_the_calls_can_be_made(where: str, tmp_path: Path) -> None:
    if where == "action":
        inputs = dict.fromkeys(("base", "policy", "logs", "incidents", "page-url"), "x")
        times = {"as-of": "2026-01-02T12:05:00Z", "since": "2026-01-02T00:00:00Z", "until": "2026-01-02T06:00:00Z"}
        more = {"phases": "B\nC", "events-of": "B", "sweep": "failure_rate", "authors": "ada\nbob"}
        runner = Runner(tmp_path, inputs | times | more)
        program(runner.phasegate, STUB)
        argv = reviewed(runner)
    elif where == "gitlab":
        argv = gitlab_calls(tmp_path, "main")[-1]["argv"]
    else:
        argv = make_review("HEAD").split()
    command = cli.get_command(None, "review")  # type: ignore[arg-type]
    assert command is not None
    command.make_context("review", argv[1:], parent=click.Context(cli, **cli.context_settings))


def make_review(base: str) -> str:
    """The call of `make review`, as make would make it."""
    done = ran(
        "make", "--no-print-directory", "--dry-run", "--old-file=.venv/ready", "review", f"BASE={base}", cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert shellcheck(done.stdout) == ""
    return done.stdout.replace("\\\n", "").split(".venv/bin/phasegate ")[1].strip().replace("'", "")


def test_make_reviews_the_working_tree_with_the_logs_that_there_are() -> None:
    words = make_review("origin/main").split()
    assert words[:5] == ["review", "--base", "origin/main", "--policy", "policy/policy.yaml"]
    assert "--head" not in words
    if not (ROOT / "logs" / "autosave").exists():
        assert words[5:7] == ["--logs", "tests/samples/autosave/logs"]


def gitlab_calls(tmp_path: Path, target: str) -> list[dict[str, Any]]:
    """What GitLab's script calls for a merge request to `target`, and from where."""
    origin, folder, made = tmp_path / "origin", tmp_path / "builds", tmp_path / "programs"
    seed = tmp_path / "seed"
    seed.mkdir()
    git(seed, "init", "--quiet", "--initial-branch=main")
    shutil.copytree(SAMPLE, seed / "tests" / "samples" / "autosave")
    (seed / "constraints.txt").write_text("the default branch's\n")
    git(seed, "add", "--force", ".")
    git(seed, "commit", "--quiet", "-m", "Base")
    if target != "main":
        git(seed, "branch", target)
    git(seed, "switch", "--quiet", "--create", "feature")
    (seed / "constraints.txt").write_text("the change's\n")
    (seed / "policy-gate").mkdir()
    (seed / "policy-gate" / "review.html").write_text("approved by all")
    git(seed, "add", "--force", ".")
    git(seed, "commit", "--quiet", "-m", "Change")
    git(tmp_path, "clone", "--quiet", "--bare", str(seed), str(origin))
    git(tmp_path, "clone", "--quiet", "--branch=feature", "--single-branch", f"file://{origin}", str(folder))
    phasegate = program(made / "phasegate")
    venv = f"""
if "venv" in sys.argv:
    made = pathlib.Path(sys.argv[-1]) / "bin"
    made.mkdir(parents=True)
    (made / "python").symlink_to({str(made / "installer")!r})
    (made / "phasegate").symlink_to({str(phasegate)!r})
"""
    program(made / "python3", venv)
    program(made / "installer", "sys.stderr.write(pathlib.Path(sys.argv[-2]).read_text())")
    job = read(GITLAB_FILE)["policy-gate"]
    given = {
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": target,
        "CI_DEFAULT_BRANCH": "main",
        "CI_JOB_URL": "https://gitlab.invalid/jobs/1",
        "GITLAB_USER_LOGIN": "ada",
        "PATH": f"{made}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }
    done = in_bash(job["script"][0], folder, job["variables"] | given)
    assert done.returncode == 0, done.stderr
    assert "the default branch's" in done.stderr
    assert "the change's" not in done.stderr
    assert git(folder, "rev-parse", f"origin/{target}") == git(seed, "rev-parse", "main")
    return calls_of(phasegate)


@pytest.mark.parametrize("target", ["main", "release/$(touch${IFS}pwned)`touch${IFS}pwned`;touch${IFS}pwned"])
def test_gitlab_installs_the_default_branch_and_reviews_the_change(target: str, tmp_path: Path) -> None:
    venv, pip, review = gitlab_calls(tmp_path, target)
    assert venv["argv"][:3] == ["-I", "-m", "venv"]
    assert pip["argv"][:4] == ["-I", "-m", "pip", "install"]
    assert review["argv"][:3] == ["review", "--base", f"origin/{target}"]
    assert Path(review["cwd"]) == tmp_path / "builds"
    assert list((tmp_path / "builds" / "policy-gate").iterdir()) == []  # the change's own review is not shown
    assert not list(tmp_path.rglob("pwned*"))


def test_what_this_repository_holds_is_listed_for_the_hooks() -> None:
    assert {"action.yml", ".pre-commit-hooks.yaml", "checker/cli/app.py"} <= set(kept_files())
