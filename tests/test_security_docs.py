"""The page on security says the numbers that the code holds, names what is there, and its commands run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from checker.analyzer import fixture, header, ingest, lines, results, sandbox, typed, unpack
from checker.child import allowance, wire
from checker.ledger import lines as ledger_lines
from checker.policy import governed_schema, model, yaml_builder, yaml_text
from checker.reporter import render, template_bounds
from tests.telemetry import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
TEXT = " ".join(PAGE.split())
DEFAULTS = model.Limits()


@pytest.mark.parametrize(
    "said",
    [
        f"{allowance.MORE_MEMORY_BYTES >> 20} MiB",
        f"the query's deadline and {allowance.CPU_GRACE_S} s",
        f"`limits.query_deadline`, {DEFAULTS.query_deadline.total_seconds():.0f} s",
        f"`limits.measuring_deadline`, {DEFAULTS.measuring_deadline.total_seconds() / 60:.0f} min",
        f"at most {wire.MAX_ANSWER_BYTES >> 20} MiB and {sandbox.MAX_RESULT_ROWS:,} rows",
        f"{yaml_builder.MAX_DEPTH} levels, {yaml_builder.MAX_NODES:,} values or {yaml_text.MAX_BYTES >> 10} KiB",
        f"{model.MAX_QUERY_DEADLINE.total_seconds() / 60:.0f} minutes for a query",
        f"{model.MAX_MEASURING_DEADLINE.total_seconds() / 3600:.0f} hour for all",
        f"more than {governed_schema.MAX_STEPS:,} steps",
        f"has at most {lines.MAX_LINE_BYTES >> 20} MiB and {lines.MAX_DEPTH} levels",
        f"at most {results.MAX_EVIDENCE_CHARACTERS:,} characters a window",
        f"a lookback at most {header.MAX_LOOKBACK_WINDOWS:,} windows",
        f"{ledger_lines.MAX_LEDGER_BYTES >> 20} MiB, {ledger_lines.MAX_RECORDS:,} records",
        f"{unpack.MAX_PLAIN_BYTES >> 30} GiB",
        f"{unpack.MAX_RATIO} times its size",
        f"{typed.MAX_BROKEN_LINES:,} broken lines",
        f"{ingest.MAX_INDEXED:,} releases and alerts",
        f"{fixture.MAX_FIXTURE_BYTES >> 20} MiB",
        f"{template_bounds.MAX_SOURCE:,} characters of source",
        f"{render.MAX_TEXT:,} of text",
    ],
)
def test_a_number(said: str) -> None:
    assert said in TEXT


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:docs|tests|checker)/[\w/.-]+\.\w+)`", PAGE))))
def test_a_file_that_is_named(path: str) -> None:
    assert (ROOT / path).is_file()


def commands() -> list[str]:
    """What the workflow of the page runs, once phasegate is installed."""
    (workflow,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    runs = re.findall(r"- run: (.*(?:\n {13}.*)*)", workflow)
    return [" ".join(run.split()) for run in runs if run.startswith("venv/bin/phasegate")]


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_workflow(command: str, tmp_path: Path) -> None:
    """The base has the tool and the logs; the head has governed files, and nothing else that could be run."""
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(ROOT / folder, tmp_path / "head" / folder)
    (tmp_path / "base").symlink_to(ROOT)
    script = command.replace("venv/bin/phasegate", f"{shlex.quote(sys.executable)} -m checker", 1)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_workflow_has_its_commands() -> None:
    assert [command.split()[1] for command in commands()] == ["validate", "check"]
