"""Many targets for people at a terminal: a row each, the worst first; what is not met in full; counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from checker.cli.formats.all_words import HEADS, cells, command_of, counts_text, story, verdict_text
from checker.cli.formats.layout import Line, Span, ends, fitted_columns, paint, wrapped
from checker.cli.formats.table import VERDICT_STYLES
from checker.cli.formats.wording import STATUS_STYLES
from checker.model import Status
from checker.targets.model import Checked, Judged, Target, word_of
from checker.units import plain

_LEAST_WIDTH = 60
_MOST_TOLD = 20
_MOST_LINES = 20


def render_table(checked: Checked, folder: Path, *, colour: bool, width: int) -> str:
    """The targets as text of at most `width` columns, 60 at least, that ends in a line break.

    Only a command to run may be longer: it stays in one piece, so that it can be copied.
    """
    width = max(width, _LEAST_WIDTH)
    head = f"{plain(folder.name or str(folder))} · as of {checked.as_of:%Y-%m-%d %H:%M} UTC"
    lines = [*ends(head, verdict_text(checked), width, STATUS_STYLES[checked.outcome]), (), *_rows(checked, width)]
    for target in checked.not_met[:_MOST_TOLD]:
        lines += [(), *_story(target, folder, width)]
    if (more := len(checked.not_met) - _MOST_TOLD) > 0:
        lines += [(), *wrapped(f"… and {more:,} more that are not met; --format json tells all of each", width, "dim")]
    return paint([*lines, (), *wrapped(counts_text(checked), width, "bold")], colour=colour)


def _rows(checked: Checked, width: int) -> Iterator[Line]:
    targets = checked.worst_first
    rows = [HEADS, *(cells(target, checked.as_of) for target in targets)]
    yield from fitted_columns(rows, [("dim",) * len(HEADS), *map(_styles, targets)], width)


def _styles(target: Target) -> tuple[str, ...]:
    if isinstance(target, Judged):
        style = STATUS_STYLES[target.outcome]
        verdict = VERDICT_STYLES[target.result.decision.verdict]
    else:
        style, verdict = STATUS_STYLES[Status.OK if target.exit_code == 0 else Status.ERROR], ""
    return ("", "", "", style, verdict, "" if style == STATUS_STYLES[Status.OK] else style)


def _story(target: Target, folder: Path, width: int) -> Iterator[Line]:
    yield from ends(
        f"{target.title} ({target.path})", word_of(target), width, STATUS_STYLES[target.outcome or Status.NO_DATA]
    )
    told = list(story(target))
    for text in told[:_MOST_LINES]:
        yield from wrapped(text, width)
    if len(told) > _MOST_LINES:
        yield (Span(f"  … and {len(told) - _MOST_LINES:,} more lines", "dim"),)
    if command := command_of(target, folder):
        yield (Span(f"  {command}"),)
