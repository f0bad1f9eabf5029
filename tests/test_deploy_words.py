"""What is under deploy/ calls phasegate as it can be called, and names what there is; so does docs/deploy.md."""

from __future__ import annotations

import json
import re
import shlex

import click
import pytest

from checker.cli.app import cli
from tests.deploying import COLLECT_LINE, DEPLOY, PASS_LINE, WORKFLOW, dockerfile, last, secret_names, unit
from tests.telemetry import ROOT

PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
COMMAND = re.compile(r"(?:^|\$\(|&& |; |\) |bin/|exec phasegate )[ ]*phasegate ([a-z][^`|;&>#)\n]*)", re.MULTILINE)


def texts() -> dict[str, str]:
    """Every text that calls phasegate, by where it stands."""
    found = {
        path.name: "\n".join(unit(path.name)["ExecStart"]) for path in sorted((DEPLOY / "systemd").glob("*.service"))
    }
    found["cron"] = f"{COLLECT_LINE[3]}\n{PASS_LINE[3]}"
    found["workflow"] = "\n".join(step.get("run", "") for step in WORKFLOW["jobs"]["pass"]["steps"])
    image = dockerfile()
    (*_, name), arguments = json.loads(last(image, "ENTRYPOINT")), json.loads(last(image, "CMD"))
    found["Dockerfile"] = shlex.join([name, *arguments])
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))
    found["page"] = "\n".join([*blocks, *(" ".join(span.split()) for span in spans)])
    return found


CALLS = [
    (where, re.sub(r" \d$", "", call.strip())) for where, text in texts().items() for call in COMMAND.findall(text)
]


def test_all_of_them_call_it() -> None:
    assert {where for where, _ in CALLS} == set(texts())


@pytest.mark.parametrize(("where", "call"), CALLS)
def test_the_command_line_is_one(where: str, call: str) -> None:
    del where
    name, *arguments = shlex.split(call)
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    command.make_context(name, arguments, parent=click.Context(cli, **cli.context_settings))


def named() -> set[str]:
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    text = PAGE + "".join(path.read_text("utf-8") for path in files)
    return {name.rstrip("_") for name in re.findall(r"PHASEGATE_[A-Z_]+", text)}


@pytest.mark.parametrize("name", sorted(named()))
def test_a_variable_that_is_named_is_one(name: str) -> None:
    assert any(f'"{name}"' in path.read_text("utf-8") for path in (ROOT / "checker").rglob("*.py"))


def test_the_page_names_every_credential_and_every_file() -> None:
    assert secret_names() - {"SLACK_BOT_TOKEN"} <= named()
    for path in DEPLOY.rglob("*"):
        if path.is_file() and "dockerignore" not in path.name:
            assert path.relative_to(ROOT).as_posix().replace("@.timer", "@.service") in PAGE, path.name


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", PAGE))))
def test_what_the_page_links_to_is_there(target: str) -> None:
    assert (ROOT / "docs" / target).exists()
