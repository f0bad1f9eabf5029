"""The README keeps its word: its verdict is what a run prints, its files are there, its commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from checker.cli.app import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
SAMPLE = ROOT / "tests" / "samples" / "autosave"


def test_the_verdict_is_what_a_run_prints() -> None:
    pasted = re.search(r"<!-- verdict: .*? -->\n```\n(.*?)```\n<!-- /verdict -->", README, re.DOTALL)
    assert pasted is not None
    as_of = (SAMPLE / "as-of").read_text().strip()
    policy = ["--policy", str(ROOT / "policy" / "policy.yaml")]
    logs = ["--logs", str(SAMPLE / "logs"), "--as-of", as_of, "--no-cache"]
    result = CliRunner().invoke(cli, ["check", "--phase", "B", *policy, *logs], env={"COLUMNS": "80"})
    assert result.stdout == pasted[1]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_what_it_links_to_is_there(target: str) -> None:
    assert list(ROOT.glob(target.replace("**", "**/*"))) if "*" in target else (ROOT / target).exists()


COMMANDS = [
    line.split("  #")[0] for line in re.sub(r"\\\n\s*", "", README).splitlines() if line.startswith("$ phasegate ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_run(line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PHASEGATE_CACHE", str(tmp_path))
    result = CliRunner().invoke(cli, shlex.split(line)[2:])
    expected = {"check": 1, "replay": 3}.get(shlex.split(line)[2], 0)  # the rehearsal is violated; a batch is missing
    assert result.exit_code == expected, result.output
    assert result.stdout
