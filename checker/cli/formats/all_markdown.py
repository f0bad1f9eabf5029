"""Many targets as Markdown, for the summary of a CI job: a table, the worst first, and what is not met in full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from checker.cli.formats.all_words import HEADS, cells, command_of, counts_text, story, verdict_text
from checker.cli.formats.markdown import code, table
from checker.targets.model import Checked
from checker.windows import iso

_MOST_TOLD = 50


def to_markdown(checked: Checked, folder: Path) -> str:
    """Heading, table and stories in GitHub's Markdown; it ends in a line break. Values stand in code."""
    rows = [tuple(map(code, cells(target, checked.as_of))) for target in checked.worst_first]
    blocks = [
        [f"## {verdict_text(checked)}"],
        [f"{code(counts_text(checked))} as of {iso(checked.as_of)}"],
        list(table(HEADS, rows)),
        *_stories(checked, folder),
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _stories(checked: Checked, folder: Path) -> Iterator[list[str]]:
    for target in checked.not_met[:_MOST_TOLD]:
        told = [*story(target), *filter(None, [command_of(target, folder)])]
        yield [f"### {code(target.title)}", "", *(f"- {code(line)}" for line in told)]
    if (more := len(checked.not_met) - _MOST_TOLD) > 0:
        yield [f"… and {more:,} more that are not met"]
