"""The comment of a pull request: made once, renewed after that, and what a stranger's run says is data."""

from __future__ import annotations

import html
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.ci_files import COMMENT_FILE, COMMENT_SCRIPT, MARKER, Runner, calls_of, program, step
from tests.deploying import ran

HEAD, OURS, BOT = "a" * 40, "ours/rollout", "github-actions[bot]"
GH = """
state = json.loads((here / "state.json").read_text())
method, path = sys.argv[3], sys.argv[4]
assert sys.argv[1:3] == ["api", "--method"]
path, _, query = path.partition("?")
if method == "GET":
    found = state.get(path)
    if found is None:
        sys.exit("gh: Not Found (HTTP 404)")
    if isinstance(found, list):
        page = int(query.rpartition("=")[2])
        found = found[(page - 1) * 100 : page * 100]
    print(json.dumps(found))
else:
    assert sys.argv[5:] == ["--input", "-"]
    with open(here / "written.jsonl", "a") as file:
        file.write(json.dumps([method, path, json.load(sys.stdin)["body"]]) + "\\n")
    print("{}")
"""


class Hub:
    """GitHub as `gh` shows it, and the artifact of a run."""

    def __init__(self, folder: Path) -> None:
        self.runner = Runner(folder, {})
        self.gh = program(self.runner.bin / "gh", GH)
        self.artifact = self.runner.temp / "policy-gate"
        self.artifact.mkdir()
        self.review, self.number = self.artifact / "review.md", self.artifact / "number"
        self.review.write_text(f"{MARKER}\n**NOT APPROVED** by the owners\n")
        self.number.write_text("7\n")
        self.pull: dict[str, Any] = {"state": "open", "head": {"sha": HEAD, "repo": {"full_name": OURS}}}
        self.files = [{"filename": "policy/policy.yaml"}]
        self.comments: list[dict[str, Any]] = []
        (self.runner.workspace / "tool").symlink_to(COMMENT_SCRIPT.parents[2])
        self.runner.known |= {
            "github.token": "a-token",
            "github.event.workflow_run.head_sha": HEAD,
            "github.event.workflow_run.head_repository.full_name": OURS,
            "github.event.workflow_run.html_url": "https://github.invalid/ours/rollout/actions/runs/11",
        }

    def comment(self) -> subprocess.CompletedProcess[str]:
        """The step of policy-gate-comment.yml."""
        state = {
            f"repos/{OURS}/pulls/7": self.pull,
            f"repos/{OURS}/pulls/7/files": self.files,
            f"repos/{OURS}/issues/7/comments": self.comments,
        }
        (self.gh.parent / "state.json").write_text(json.dumps(state))
        return self.runner.run("Comment", COMMENT_FILE)

    @property
    def written(self) -> list[list[str]]:
        """Method, path and body of what was written."""
        log = self.gh.parent / "written.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def body(self) -> str:
        """The one comment that was written."""
        done = self.comment()
        assert done.returncode == 0, done.stderr
        ((_, _, body),) = self.written
        return body


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


def said(login: str, identifier: int, text: str = MARKER) -> dict[str, Any]:
    return {"id": identifier, "user": {"login": login}, "body": text}


def test_the_first_one_is_made(hub: Hub) -> None:
    body = hub.body()
    assert [words[:2] for words in hub.written] == [["POST", f"repos/{OURS}/issues/7/comments"]]
    assert body.startswith(f"{MARKER}\n")
    assert "**NOT APPROVED** by the owners" in body
    assert "runs/11" in body
    assert HEAD in body


def test_it_is_renewed_wherever_it_stands(hub: Hub) -> None:
    hub.comments = [said("ada", number, "Looks good") for number in range(150)] + [said(BOT, 1234, f"{MARKER}\nold")]
    hub.body()
    assert [words[:2] for words in hub.written] == [["PATCH", f"repos/{OURS}/issues/comments/1234"]]


def test_somebody_elses_marker_is_not_written_over(hub: Hub) -> None:
    hub.comments = [said("mallory", 1), said(BOT, 2, f"> {MARKER}\nquoted by another workflow")]
    hub.body()
    assert [words[0] for words in hub.written] == ["POST"]


@pytest.mark.parametrize(
    "pull",
    [
        {"state": "closed", "head": {"sha": HEAD, "repo": {"full_name": OURS}}},
        {"state": "open", "head": {"sha": "b" * 40, "repo": {"full_name": OURS}}},
        {"state": "open", "head": {"sha": HEAD, "repo": {"full_name": "mallory/rollout"}}},
        {"state": "open", "head": {"sha": HEAD, "repo": None}},
    ],
)
def test_another_pull_request_or_an_older_head_gets_nothing(pull: dict[str, Any], hub: Hub) -> None:
    hub.pull = pull
    done = hub.comment()
    assert done.returncode == 0, done.stderr
    assert "nothing is written" in done.stdout
    assert hub.written == []


@pytest.mark.parametrize(
    "number", ["", "0\n", "-7", "7 ", "7\n8\n", "../../7", "７", "7?x=", "99999999999", "$(id)", "x" * 10_000]
)
def test_a_number_that_is_none_is_refused(number: str, hub: Hub) -> None:
    hub.number.write_text(number)
    assert hub.comment().returncode == 1
    assert calls_of(hub.gh) == []


def test_a_number_that_github_does_not_know_is_refused(hub: Hub) -> None:
    hub.number.write_text("8\n")
    assert hub.comment().returncode == 1
    assert hub.written == []


@pytest.mark.parametrize(
    "file",
    [
        {"filename": ".github/workflows/policy-gate.yml"},
        {"filename": "x.yml", "previous_filename": ".github/workflows/policy-gate.yml"},
    ],
)
def test_a_change_of_the_gate_itself_is_not_believed(file: dict[str, str], hub: Hub) -> None:
    hub.files = [{"filename": f"queries/{number}.sql"} for number in range(120)] + [file]
    body = hub.body()
    assert body.startswith(f"{MARKER}\n")
    assert "NOT APPROVED" not in body
    assert ".github/" in body


def test_more_files_than_can_be_looked_through_are_refused(hub: Hub) -> None:
    hub.files = [{"filename": "x"}] * 3000
    assert hub.comment().returncode == 1
    assert hub.written == []


@pytest.mark.parametrize("text", ["", "hello\n", f"\n{MARKER}\n", f"{MARKER} and more\n", f" {MARKER}\n"])
def test_what_is_no_review_is_refused(text: str, hub: Hub) -> None:
    hub.review.write_text(text)
    assert hub.comment().returncode == 1
    assert hub.written == []


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "missing"])
@pytest.mark.parametrize("which", ["review", "number"])
def test_what_is_no_file_is_refused(which: str, kind: str, hub: Hub, tmp_path: Path) -> None:
    path: Path = getattr(hub, which)
    (tmp_path / "secret").write_text(path.read_text())
    path.unlink()
    if kind == "link":
        path.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    assert hub.comment().returncode == 1
    assert hub.written == []


def test_a_long_one_is_cut_at_a_lines_end(hub: Hub) -> None:
    hub.review.write_text(f"{MARKER}\n" + "".join(f"line {number} é\n" for number in range(200_000)), "utf-8")
    body = hub.body()
    assert 50_000 < len(body) < 65_536
    assert "the whole is kept with the run" in body
    assert body.endswith("é")


def test_one_line_that_is_too_long_is_cut_as_well(hub: Hub) -> None:
    hub.review.write_text(f"{MARKER}\n" + "x" * 100_000)
    assert len(hub.body()) < 65_536


@pytest.mark.parametrize("letter", ["@", "@a", "😀", "&#64;"])
def test_whatever_it_holds_github_takes_it(letter: str, hub: Hub) -> None:
    """What is refused leaves an older comment standing. GitHub counts UTF-16 code units."""
    hub.review.write_text(f"{MARKER}\n" + f"{letter * 20}\n" * 3_000, "utf-8")
    body = hub.body()
    assert "the whole is kept with the run" in body
    assert 50_000 < len(body.encode("utf-16-le")) // 2 < 65_536


def test_mentions_reach_nobody_and_control_characters_are_left_out(hub: Hub) -> None:
    hub.review.write_bytes(f"{MARKER}\nping @ada and @org/team \x00\x1b[31m \u202eevil\r\n".encode() + b"\xff\n")
    body = hub.body()
    assert "@ada" not in body
    assert "@org" not in body
    assert "ada" in body
    assert not {"\x00", "\x1b", "\u202e", "\r"} & set(body)


@pytest.mark.parametrize(
    "mention",
    [
        "@ada",
        "&#64;ada",
        "&#0064;ada",
        "&#x40;ada",
        "&#X40ada",
        "&commat;ada",
        "@&#97;da",
        "@\u00a0ada",
        "\\@ada",
        "&#\x0064;ada",
    ],
)
def test_no_spelling_of_a_mention_reaches_anybody(mention: str, hub: Hub) -> None:
    hub.review.write_text(f"{MARKER}\nping {mention} <b>{mention}</b>\n", "utf-8")
    read = html.unescape(hub.body())
    assert not re.search(r"@(?!\u200b)", read)


def test_a_comment_whose_author_is_gone_is_somebody_elses(hub: Hub) -> None:
    hub.comments = [{"id": 1, "user": None, "body": MARKER}, {"id": 2, "user": {"login": BOT}, "body": None}]
    hub.body()
    assert [words[0] for words in hub.written] == ["POST"]


def test_a_review_of_the_same_job_is_written_as_it_is(hub: Hub) -> None:
    (hub.gh.parent / "state.json").write_text(json.dumps({f"repos/{OURS}/issues/7/comments": []}))
    hub.review.write_text(f"{MARKER}\n@ada must approve\n")
    done = ran(sys.executable, "-I", COMMENT_SCRIPT, hub.review, "--number", "7", env=hub.runner.env)
    assert done.returncode == 0, done.stderr
    assert hub.written == [["POST", f"repos/{OURS}/issues/7/comments", f"{MARKER}\n@ada must approve\n"]]


def test_a_number_out_of_a_file_needs_the_head_that_it_is_held_against(hub: Hub) -> None:
    done = ran(sys.executable, "-I", COMMENT_SCRIPT, hub.review, "--number-from", hub.number, env=hub.runner.env)
    assert done.returncode == 2
    assert "--head-sha" in done.stderr


def test_it_needs_nothing_but_python() -> None:
    module = script()
    used = {getattr(value, "__name__", "") for value in vars(module).values() if isinstance(value, ModuleType)}
    assert used <= set(sys.stdlib_module_names)
    assert "python3 -I tool/deploy/github/comment.py" in step(COMMENT_FILE, "Comment")["run"]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("comment", COMMENT_SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
