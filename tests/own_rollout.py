"""The rollout that docs/own-rollout.md walks through: its files and its commands, as the page gives them.

`python -m tests.own_rollout` renews the outputs that the page shows.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from checker.cli.app import cli
from checker.errors import PhasegateError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "own-rollout.md"
LEDGER = "ledger/checkout.jsonl"
_FILE = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OUTPUT = re.compile(
    r"^<!-- output: (\d)(, with the ledger)? -->\n```console\n\$ phasegate ([^\n]*)\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_RECORD = re.compile(r'^\{"schema_version":1,"seq":.*$', re.MULTILINE)


class Shown(NamedTuple):
    """A command of the page, the exit code and the output that the page gives for it."""

    command: str
    code: int
    output: str
    with_ledger: bool


def files(page: str) -> dict[str, str]:
    """The files of the page by their paths."""
    return dict(_FILE.findall(page))


def records(page: str) -> list[str]:
    """The ledger's records that the page shows, oldest first."""
    return _RECORD.findall(page)


def commands(page: str) -> list[Shown]:
    """The commands of the page, in its order."""
    return [Shown(command, int(code), output, bool(ledger)) for code, ledger, command, output in _OUTPUT.findall(page)]


def write_project(page: str, root: Path, *, with_ledger: bool = False) -> None:
    """Write the page's files below `root`, with the ledger's first record where that is asked for."""
    first = {LEDGER: records(page)[0] + "\n"} if with_ledger else {}
    for path, text in (files(page) | first).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def run(root: Path, command: str) -> tuple[int, str]:
    """The exit code and the standard output of `phasegate <command>`, typed in `root` on a terminal of 80 columns.

    An error has its own code, and its text stands for the output.
    """
    environment = {"COLUMNS": "80", "PHASEGATE_CACHE": os.fspath(root / ".phasegate" / "cache")}
    with chdir(root):
        result = CliRunner().invoke(cli, shlex.split(command), env=environment)
    if isinstance(result.exception, PhasegateError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def renewed(page: str) -> str:
    """The page with the outputs that its commands have now; exit codes stay, as the prose speaks of them."""
    for shown in commands(page):
        with tempfile.TemporaryDirectory() as folder:
            write_project(page, Path(folder), with_ledger=shown.with_ledger)
            output = run(Path(folder), shown.command)[1]
        page = page.replace(f"$ phasegate {shown.command}\n{shown.output}", f"$ phasegate {shown.command}\n{output}")
    return page


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
