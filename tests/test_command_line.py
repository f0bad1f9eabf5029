"""The command line as scripts meet it: exit codes, what goes to which stream, and how little `--help` loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from checker.cli.app import COMMANDS, cli

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "tests" / "samples" / "autosave"
POLICY = ["--policy", str(ROOT / "policy" / "policy.yaml")]
NEWEST = "2026-01-02T12:05:00Z"


def phasegate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, with the exit codes that scripts see."""
    command = [sys.executable, "-m", "checker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def check_sample(*arguments: str, logs: Path = SAMPLE / "logs") -> Result:
    return CliRunner().invoke(cli, ["check", *POLICY, "--logs", str(logs), "--no-cache", *arguments])


def test_help_loads_nothing_heavy() -> None:
    heavy = "duckdb jinja2 jsonschema jsonschema_rs yaml rich orjson sqlite3"
    code = (
        "import sys; sys.argv = ['phasegate', '--help']\n"
        "from checker.cli import main\n"
        "try: main()\n"
        f"finally: print(sorted(set(sys.modules) & set('{heavy}'.split())), file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert told.stderr.strip() == "[]"
    assert all(name in told.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_explains_itself(name: str) -> None:
    told = CliRunner().invoke(cli, [name, "-h"])
    assert told.exit_code == 0
    assert "Usage:" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--phase", "B", "--as-of", NEWEST), 0, ""),
        (("--phase", "B", "--as-of", NEWEST, "--fail-on-warn"), 1, ""),
        (("--phase", "B", "--as-of", "2026-01-01T10:50:00Z"), 1, ""),  # the violated window
        (("--phase", "B", "--as-of", "2026-01-02T01:50:00Z"), 3, "a batch is missing"),
        (("--phase", "B", "--as-of", "2026-03-01T00:00:00Z"), 3, "stale logs: the newest before the judged window is"),
        (
            ("--phase", "B", "--as-of", "2025-12-31T00:00:00Z"),
            3,
            "no logs by 2025-12-31T00:00:00Z: the earliest of 107",
        ),
    ],
)
def test_exit_code_and_what_stderr_says(arguments: tuple[str, ...], code: int, said: str) -> None:
    result = check_sample(*arguments, "--format", "json")
    assert result.exit_code == code
    assert result.stderr.startswith(said)
    assert bool(result.stderr) is bool(said)
    assert json.loads(result.stdout)["schema_version"] == 1  # one document, whatever came of it


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("check", "--phase", "X"), 2, "there is no phase 'X'; the policy has A, B, C"),
        (("check",), 2, "Missing option '--phase'"),
        (("check", "--phase", "B", "--policy", "nowhere/policy.yaml"), 2, "does not exist"),
        (("check", "--phase", "B", "--as-of", "yesterday"), 2, "is not a time such as 2026-01-02T11:45:00Z"),
        (("check", "--phase", "B", "--as-of", "2026-01-02T11:45:00"), 2, "names no zone"),
        (("check", "--phase", "B", "--logs", "README.md"), 2, "is a file"),
        (("check", "--phase", "B", "--fixture", "nowhere.jsonl"), 2, "No such file"),
        (("check", "--phase", "B", "--ledger", "nowhere.jsonl"), 2, "there is no such file"),
        (("chekc",), 2, "No such command 'chekc'"),
        (("replay", "--phase", "B", "--since", NEWEST, "--until", NEWEST), 2, "is not after --since"),
    ],
)
def test_a_wrong_call_is_told_in_words(arguments: tuple[str, ...], code: int, said: str) -> None:
    told = phasegate(*arguments)
    assert (told.returncode, told.stdout) == (code, "")
    assert said in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_traceback_is_shown_with_debug_wherever_it_stands(place: int) -> None:
    arguments = ["check", "--phase", "X"]
    told = phasegate(*arguments[:place], "--debug", *arguments[place:])
    assert "Traceback" in told.stderr
    assert told.returncode == 2


def test_no_path_of_the_machine_is_in_the_document() -> None:
    result = check_sample("--phase", "B", "--as-of", NEWEST, "--format", "json")
    assert str(ROOT) not in result.stdout
    assert str(SAMPLE.relative_to(ROOT)) not in result.stdout
