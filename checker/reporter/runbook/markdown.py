"""Values in the Runbook's Markdown: nothing from policy, logs or ledger is read as markup. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from checker.reporter.escape import MARKDOWN, marked, placed
from checker.units import plain, shortened

LONGEST_CELL = 300


def md(value: object, *, most: int = LONGEST_CELL) -> str:
    """A value in running text or in a table's cell."""
    return placed(marked(shortened(str(value), most)), MARKDOWN)


def code(value: str) -> str:
    """A value in a code span."""
    return f"`{plain(value).replace('`', chr(39))}`" if value else "–"


def fenced(text: str, kind: str = "") -> str:
    """Text in a block of code that nothing in it can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{kind}", *(plain(line) for line in text.splitlines()), fence])


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def clock(instant: datetime) -> str:
    """`2026-01-02 11:45:13 UTC`, without seconds where there are none."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC" if instant.second else f"{instant:%Y-%m-%d %H:%M} UTC"


def step(number: int, is_done: bool, text: str) -> str:
    """A step of the Runbook as an item of a task list."""
    return f"- [{'x' if is_done else ' '}] **{number}.** {text}"


def indented(text: str) -> str:
    """Text inside of a list's item."""
    return "\n".join(f"  {line}" if line else "" for line in text.split("\n"))
