"""The policy gate in CI: linters are content with its files, and the facts that keep a stranger's change data hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from checker.cli.app import cli
from checker.cli.formats import review_markdown
from tests.ci_files import (
    ACTION_FILE,
    COMMENT_FILE,
    COMMENT_SCRIPT,
    EXPRESSION,
    GATE_FILE,
    GITLAB_FILE,
    HOOKS_FILE,
    MARKER,
    WORKFLOWS,
    read,
    shellcheck,
    step,
    steps_of,
)
from tests.deploying import BIN, WORKFLOW_FILE, ran
from tests.telemetry import ROOT

ZIZMOR = ("zizmor", "--offline", "--no-progress", "--quiet", "--persona=auditor")
SCHEMA = ("check-jsonschema", "--builtin-schema")
LINTED: dict[str, tuple[tuple[str, ...], Path]] = {
    "zizmor gate": (ZIZMOR, GATE_FILE),
    "zizmor comment": (ZIZMOR, COMMENT_FILE),
    "zizmor action": (ZIZMOR, ACTION_FILE),
    "schema gate": ((*SCHEMA, "vendor.github-workflows"), GATE_FILE),
    "schema comment": ((*SCHEMA, "vendor.github-workflows"), COMMENT_FILE),
    "timeout gate": ((*SCHEMA, "custom.github-workflows-require-timeout"), GATE_FILE),
    "timeout comment": ((*SCHEMA, "custom.github-workflows-require-timeout"), COMMENT_FILE),
    "schema action": ((*SCHEMA, "vendor.github-actions"), ACTION_FILE),
    "schema gitlab": ((*SCHEMA, "vendor.gitlab-ci", "--data-transform", "gitlab-ci"), GITLAB_FILE),
    "hooks": (("pre-commit", "validate-manifest"), HOOKS_FILE),
}
ON_GITHUB = (ACTION_FILE, GATE_FILE, COMMENT_FILE)
PINNED = re.compile(r"^\s*(?:- )?uses: ([\w./-]+)@([0-9a-f]{40}) # v(\d+\.\d+\.\d+)$", re.MULTILINE)


def test_every_workflow_is_among_them() -> None:
    assert set(WORKFLOWS.iterdir()) == {path for _, path in LINTED.values()} & set(WORKFLOWS.iterdir())


@pytest.mark.parametrize("kind", LINTED)
def test_a_linter_is_content(kind: str) -> None:
    (name, *options), path = LINTED[kind]
    done = ran(BIN / name, *options, path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "told"),
    [
        ("zizmor gate", "run: |", "run: |\n          echo ${{ github.head_ref }}", "template-injection"),
        ("zizmor gate", "@08c6903cd8c0fde910a37f88322edcfb5dd907a8", "@v5", "unpinned-uses"),
        ("zizmor gate", "  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
        ("zizmor gate", "permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("zizmor gate", "persist-credentials: false", "persist-credentials: true", "artipacked"),
        ("zizmor action", "set -euo pipefail", "echo ${{ inputs.base }}", "template-injection"),
        ("schema gate", "runs-on:", "runs_on:", "runs_on"),
        ("timeout comment", "    timeout-minutes: 5\n", "", "timeout-minutes"),
        ("schema action", "using: composite", "using: composed", "composed"),
        ("schema gitlab", "expire_in", "expires", "expires"),
        ("hooks", "language: python", "language: pithon", "pithon"),
    ],
)
def test_a_linter_would_say_so(kind: str, right: str, wrong: str, told: str, tmp_path: Path) -> None:
    (name, *options), path = LINTED[kind]
    text = path.read_text("utf-8")
    assert right in text
    # zizmor knows a workflow by its folder
    changed = tmp_path / path.relative_to(ROOT)
    changed.parent.mkdir(parents=True, exist_ok=True)
    changed.write_text(text.replace(right, wrong), "utf-8")
    done = ran(BIN / name, *options, changed)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr


def test_every_action_is_pinned_and_each_to_one_commit() -> None:
    pins: dict[str, set[tuple[str, str]]] = {}
    for path in (*ON_GITHUB, WORKFLOW_FILE):
        text = path.read_text("utf-8")
        used = [item["uses"] for _, item in steps_of(path) if "uses" in item]
        found = PINNED.findall(text)
        assert [f"{name}@{commit}" for name, commit, _ in found] == [item for item in used if item != "./tool"]
        for name, commit, version in found:
            pins.setdefault(name, set()).add((commit, version))
    assert {name: len(found) for name, found in pins.items()} == dict.fromkeys(pins, 1)


SCRIPTS = [
    *((path.name, item["name"], item["run"]) for path in ON_GITHUB for _, item in steps_of(path) if "run" in item),
    *(("gitlab", str(number), text) for number, text in enumerate(read(GITLAB_FILE)["policy-gate"]["script"])),
]


@pytest.mark.parametrize(("where", "name", "script"), SCRIPTS)
def test_a_script_is_sound_and_takes_what_it_gets_from_its_environment(where: str, name: str, script: str) -> None:
    del where, name
    assert script.startswith("set -euo pipefail\n")
    assert not EXPRESSION.search(script)
    assert shellcheck(script) == ""


def test_shellcheck_would_say_so() -> None:
    assert "SC2086" in shellcheck("set -euo pipefail\ncat $HOME\n")
    assert "syntax error" in shellcheck("if true\n")


@pytest.mark.parametrize("path", ON_GITHUB)
def test_an_expression_is_a_plain_value(path: Path) -> None:
    for _, item in steps_of(path):
        for value in item.get("env", {}).values():
            assert re.fullmatch(r"\$\{\{ (inputs|github|steps)\.[\w.-]+ \}\}", str(value))
    assert "secrets." not in path.read_text("utf-8")


PERMISSIONS = {
    (GATE_FILE, "review"): {"contents": "read"},
    (GATE_FILE, "scanning"): {"security-events": "write", "actions": "read", "contents": "read"},
    (COMMENT_FILE, "comment"): {"actions": "read", "contents": "read", "pull-requests": "write"},
}


def test_a_job_may_do_what_it_must() -> None:
    found = {}
    for path in (GATE_FILE, COMMENT_FILE):
        assert read(path)["permissions"] == {}
        found |= {(path, name): job["permissions"] for name, job in read(path)["jobs"].items()}
    assert found == PERMISSIONS


def test_they_start_without_more_rights_than_they_say() -> None:
    assert set(read(GATE_FILE)["on"]) == {"pull_request"}
    assert set(read(COMMENT_FILE)["on"]) == {"workflow_run"}
    assert read(COMMENT_FILE)["on"]["workflow_run"]["workflows"] == [read(GATE_FILE)["name"]]
    concurrency = read(GATE_FILE)["concurrency"]
    assert concurrency["cancel-in-progress"] is True
    assert "github.event.pull_request.number" in concurrency["group"]


def checkouts(path: Path) -> list[dict[str, Any]]:
    return [item["with"] for _, item in steps_of(path) if item.get("uses", "").startswith("actions/checkout@")]


def test_the_tool_is_the_bases_and_the_change_is_data() -> None:
    tool, change = checkouts(GATE_FILE)
    assert tool == {"ref": "${{ github.event.pull_request.base.sha }}", "path": "tool", "persist-credentials": False}
    assert change["path"] == "change"
    assert change["persist-credentials"] is False
    assert {"submodules", "lfs", "token", "ssh-key"}.isdisjoint(tool.keys() | change.keys())
    # what names the change: the checkout, and the policy that phasegate reads
    naming = {
        item["name"]
        for _, item in steps_of(GATE_FILE)
        if re.search(r"\bchange\b", yaml.safe_dump(item.get("with", {})) + item.get("run", ""))
    }
    assert naming == {"Check out the change, as data", "Review"}
    assert not any("working-directory" in item for _, item in steps_of(GATE_FILE))
    review = step(GATE_FILE, "Review")
    assert review["uses"] == "./tool"
    assert {key for key, value in review["with"].items() if "change" in value} == {"policy"}
    assert review["with"]["logs"].startswith("tool/")


def test_the_comment_takes_nothing_from_the_pull_request() -> None:
    (script,) = checkouts(COMMENT_FILE)
    assert "ref" not in script  # the default branch's, as the trigger is
    assert "repository" not in script
    assert script["persist-credentials"] is False
    fetched = step(COMMENT_FILE, "Fetch the review, as data")["with"]
    assert fetched["path"].startswith("${{ runner.temp }}/")  # it cannot write over the script
    (kept,) = [item["with"] for _, item in steps_of(GATE_FILE) if "upload-artifact" in item.get("uses", "")]
    assert kept["name"] == fetched["name"]


def test_the_marker_is_one() -> None:
    assert review_markdown.MARKER == MARKER
    assert MARKER in COMMENT_SCRIPT.read_text("utf-8")
    assert MARKER in ACTION_FILE.read_text("utf-8")


HOOKS = {hook["id"]: hook for hook in yaml.safe_load(HOOKS_FILE.read_text("utf-8"))}


def test_there_are_three_hooks() -> None:
    assert set(HOOKS) == {"phasegate-validate", "phasegate-test", "phasegate-docs"}
    for hook in HOOKS.values():
        assert hook["language"] == "python"
        assert hook["pass_filenames"] is False
        assert hook["minimum_pre_commit_version"]
        program, name, *options = hook["entry"].split()
        assert program == "phasegate"
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        command.make_context(name, options, parent=click.Context(cli, **cli.context_settings))


@pytest.mark.parametrize(
    ("name", "hooks"),
    [
        ("policy/policy.yaml", {"validate", "test", "docs"}),
        ("policy/templates/ok.j2", {"validate", "test"}),
        ("queries/slo/failure_rate.sql", {"validate", "test"}),
        ("schemas/event.schema.json", {"validate", "test"}),
        ("tests/queries/slo/failure_rate.yaml", {"test"}),
        ("docs/design/autosave-merge-rollout.md", {"validate", "docs"}),
        ("docs/ci.md", set()),
        ("checker/policy/load.py", set()),
    ],
)
def test_a_hook_runs_for_what_it_reads(name: str, hooks: set[str]) -> None:
    assert {key.removeprefix("phasegate-") for key, hook in HOOKS.items() if re.search(hook["files"], name)} == hooks


def test_gitlab_gets_its_reports_and_only_for_merge_requests() -> None:
    job = read(GITLAB_FILE)["policy-gate"]
    assert [rule["if"] for rule in job["rules"]] == ['$CI_PIPELINE_SOURCE == "merge_request_event"']
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"] == {"junit": "policy-gate/review.xml"}
    (script,) = job["script"]
    assert '--base "origin/$CI_MERGE_REQUEST_TARGET_BRANCH_NAME"' in script


PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")


def test_the_page_names_every_file_and_every_input_and_hook() -> None:
    for path in (ACTION_FILE, GATE_FILE, COMMENT_FILE, COMMENT_SCRIPT, GITLAB_FILE, HOOKS_FILE):
        assert f"`{path.relative_to(ROOT)}`" in PAGE
    for name in (*read(ACTION_FILE)["inputs"], *HOOKS):
        assert f"`{name}`" in PAGE
    for hook in HOOKS.values():
        assert f"`{hook['entry']}`" in PAGE
    assert f"`{read(GATE_FILE)['jobs']['review']['name']}`" in PAGE


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", PAGE))))
def test_what_the_page_links_to_is_there(target: str) -> None:
    assert (ROOT / "docs" / target).exists()
