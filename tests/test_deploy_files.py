"""What is under deploy/: linters are content, the workflow keeps its state, the image is what it should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser
from pathspec import GitIgnoreSpec

from tests.deploying import BIN, DEPLOY, WORKFLOW_FILE, dockerfile, last, ran, secret_names, step
from tests.telemetry import ROOT

LINTED: dict[str, tuple[tuple[str, ...], Path]] = {
    "hadolint": (("hadolint", "--no-color"), DEPLOY / "docker" / "Dockerfile"),
    "zizmor": (("zizmor", "--offline", "--no-progress", "--quiet", "--persona=pedantic"), WORKFLOW_FILE),
    "workflow": (("check-jsonschema", "--builtin-schema", "vendor.github-workflows"), WORKFLOW_FILE),
    "compose": (
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec"),
        DEPLOY / "docker" / "compose.yaml",
    ),
}


@pytest.mark.parametrize("kind", LINTED)
def test_a_linter_is_content(kind: str) -> None:
    (program, *options), path = LINTED[kind]
    done = ran(BIN / program, *options, path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "told"),
    [
        ("hadolint", 'ENTRYPOINT ["tini", "--", "phasegate"]', "ENTRYPOINT tini -- phasegate", "DL3025"),
        ("hadolint", "--no-install-recommends tini", "tini", "DL3015"),
        ("zizmor", "run: phasegate run --once", "run: phasegate run ${{ github.head_ref }}", "template-injection"),
        ("zizmor", "@08c6903cd8c0fde910a37f88322edcfb5dd907a8", "@v5", "unpinned-uses"),
        ("zizmor", "permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("workflow", "runs-on:", "runs_on:", "runs_on"),
        ("compose", "stop_grace_period", "stop_period", "stop_period"),
    ],
)
def test_a_linter_would_say_so(kind: str, right: str, wrong: str, told: str, tmp_path: Path) -> None:
    (program, *options), path = LINTED[kind]
    text = path.read_text("utf-8")
    assert right in text
    changed = tmp_path / path.name
    changed.write_text(text.replace(right, wrong), "utf-8")
    done = ran(BIN / program, *options, changed)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr


def git(folder: Path, *words: str) -> str:
    done = ran("git", "-c", "user.name=x", "-c", "user.email=x@invalid", "-C", folder, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A runner's folder: a policy, and in `state` a clone of the branch phasegate-state, which has one ledger."""
    origin, seed, folder = tmp_path / "origin", tmp_path / "seed", tmp_path / "work"
    git(tmp_path, "init", "--quiet", "--bare", str(origin))
    git(tmp_path, "init", "--quiet", "--initial-branch=phasegate-state", str(seed))
    (seed / "ledger").mkdir()
    (seed / "ledger" / "autosave.jsonl").write_text("1\n")
    git(seed, "add", ".")
    git(seed, "commit", "--quiet", "-m", "Begin")
    git(seed, "push", "--quiet", str(origin), "HEAD:phasegate-state")
    for name in ("policy", "queries", "schemas"):
        (folder / name).mkdir(parents=True)
        (folder / name / "x").touch()
    git(folder, "clone", "--quiet", "--branch=phasegate-state", str(origin), "state")
    return folder


def keep_state(checkout: Path, bin_folder: Path) -> subprocess.CompletedProcess[str]:
    """The step that keeps the state, as GitHub runs it."""
    (bin_folder / "gh").write_text("#!/bin/sh\nexit 0\n")
    (bin_folder / "gh").chmod(0o755)
    environment = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "GITHUB_RUN_ID": "7", "HOME": str(bin_folder)}
    return ran("bash", "-e", "-c", step("Keep the state"), cwd=checkout / "state", env=environment)


def test_the_state_is_kept_and_nothing_else(checkout: Path, tmp_path: Path) -> None:
    assert ran("bash", "-e", "-c", step("Put the policy beside the state"), cwd=checkout).returncode == 0
    state = checkout / "state"
    (state / "ledger" / "autosave.jsonl").write_text("1\n2\n")
    (state / "logs" / "autosave").mkdir(parents=True)
    (state / "logs" / "autosave" / "batch.jsonl").touch()
    (state / ".phasegate").mkdir()
    (state / ".phasegate" / "cache").touch()
    done = keep_state(checkout, tmp_path)
    assert done.returncode == 0, done.stderr
    kept = git(tmp_path / "origin", "ls-tree", "-r", "--name-only", "phasegate-state").split()
    assert kept == ["ledger/autosave.jsonl", "logs/autosave/batch.jsonl"]
    assert git(tmp_path / "origin", "show", "phasegate-state:ledger/autosave.jsonl") == "1\n2\n"


def test_a_run_does_not_write_over_what_another_one_recorded(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "seed"
    (other / "ledger" / "autosave.jsonl").write_text("1\nadvanced by hand\n")
    git(other, "commit", "--quiet", "--all", "-m", "By hand")
    git(other, "push", "--quiet", str(tmp_path / "origin"), "HEAD:phasegate-state")
    (checkout / "state" / "ledger" / "autosave.jsonl").write_text("1\n2\n")
    assert keep_state(checkout, tmp_path).returncode != 0
    assert "by hand" in git(tmp_path / "origin", "show", "phasegate-state:ledger/autosave.jsonl")


@pytest.fixture(scope="module")
def image() -> DockerfileParser:
    return dockerfile()


def test_the_image_runs_as_nobody_in_particular_and_stops_when_told_to(image: DockerfileParser) -> None:
    assert last(image, "USER").split(":")[0].isdigit()
    assert int(last(image, "USER").split(":")[0]) > 0
    assert last(image, "STOPSIGNAL") == "SIGTERM"
    assert json.loads(last(image, "ENTRYPOINT"))[0] == "tini"
    assert {Path(place).name for place in json.loads(last(image, "VOLUME"))} == {"logs", "ledger", "reports"}
    assert image.parent_images[0] == image.parent_images[-1]
    assert not any(name in image.content for name in secret_names())


def test_the_image_is_built_from_what_is_there(image: DockerfileParser) -> None:
    """Everything that is copied is in the repository, and is not kept back by the list beside the Dockerfile."""
    ignored = GitIgnoreSpec.from_lines((DEPLOY / "docker" / "Dockerfile.dockerignore").read_text("utf-8").splitlines())
    copied = [
        name
        for item in image.structure
        if item["instruction"] == "COPY" and "--from" not in item["value"]
        for name in item["value"].split()[:-1]
    ]
    assert {"checker", "schemas", "constraints.txt"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists(), name
        assert not ignored.match_file(name), name
    assert ignored.match_file("tests/test_deploy.py")
    assert ignored.match_file(".git/config")


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on loopback that answers /healthz; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *told: object) -> None:
            del told

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
def test_the_image_is_as_healthy_as_its_loop(status: int, code: int, image: DockerfileParser) -> None:
    arguments = json.loads(last(image, "HEALTHCHECK").partition(" CMD ")[2])
    assert arguments[0] == "python"
    port = last(image, "CMD").rpartition(":")[2].strip('"]')
    with answering(status) as own_port:
        script = arguments[2].replace(port, str(own_port))
        assert script != arguments[2]
        assert ran(sys.executable, "-c", script).returncode == code
