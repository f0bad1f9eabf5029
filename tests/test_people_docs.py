"""docs/people.md keeps its word: its commands, run one after the other, print what it shows.

`python -m tests.test_people_docs` renews the outputs that the page shows.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from checker.cli.app import COMMANDS, cli
from checker.errors import PhasegateError
from tests.batches import MISSING, write_batches

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "people.md"
_BLOCK = re.compile(
    r"<!-- at: (?P<at>\S+), exit: (?P<code>\d) -->\n```console\n\$ phasegate (?P<command>[^\n]*)\n(?P<output>.*?)^```$"
    r"|<!-- at: (?P<hidden_at>\S+), (?P<hidden_code>\d) from: phasegate (?P<hidden>[^\n]*) -->",
    re.MULTILINE | re.DOTALL,
)


class Shown(NamedTuple):
    """A command of the page with its time, and its exit code and output; what is not shown has no output."""

    at: str
    command: str
    code: int
    output: str | None


def shown(page: str) -> list[Shown]:
    """The commands of the page, in its order."""
    return [
        Shown(found["at"], found["command"], int(found["code"]), found["output"])
        if found["command"]
        else Shown(found["hidden_at"], found["hidden"], int(found["hidden_code"]), None)
        for found in _BLOCK.finditer(page)
    ]


def run_all(page: str, root: Path) -> list[Shown]:
    """What the page's commands come to in a project below `root`, which met eight windows in A, and then none in B."""
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(ROOT / folder, root / folder)
    write_batches(root / "logs" / "autosave", "A", ["met"] * 8)
    write_batches(root / "logs" / "autosave", "B", [MISSING] * 9 + ["violation"])
    with chdir(root):
        return [_run(each) for each in shown(page)]


def _run(each: Shown) -> Shown:
    arguments = [*shlex.split(each.command), f"--as-of={each.at}"]
    result = CliRunner().invoke(cli, arguments, env={"COLUMNS": "80", "PHASEGATE_BY": None})
    code, output = result.exit_code, result.output
    if isinstance(result.exception, PhasegateError):
        code, output = result.exception.exit_code, f"{output}{result.exception}\n"
    return Shown(each.at, each.command, code, output if each.output is not None else None)


def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert run_all(page, tmp_path) == shown(page)


def test_every_command_of_people_is_shown() -> None:
    typed = {each.command.split()[0] for each in shown(PAGE.read_text(encoding="utf-8"))}
    assert {"advance", "approve", "incident", "pause", "resume", "rollback"} <= typed <= set(COMMANDS)


def renewed(page: str) -> str:
    """The page with the outputs and exit codes of today."""
    with tempfile.TemporaryDirectory() as folder:
        ran = iter(run_all(page, Path(folder)))

    def renew(_: re.Match[str]) -> str:
        each = next(ran)
        if each.output is None:
            return f"<!-- at: {each.at}, {each.code} from: phasegate {each.command} -->"
        head = f"<!-- at: {each.at}, exit: {each.code} -->\n```console\n$ phasegate {each.command}\n"
        return f"{head}{each.output}```"

    return _BLOCK.sub(renew, page)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
