"""A review for people at a terminal: the verdict, then each section, in columns where they fit and else in lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from checker.cli.formats.layout import GAP, INDENT, Line, Span, ends, paint, wrapped
from checker.cli.formats.review_section import Attachment, Row, Section
from checker.cli.formats.review_story import attachments, sections
from checker.cli.formats.review_words import (
    FULL_PAGE,
    NONE,
    Cell,
    ReviewOptions,
    WindowRef,
    Word,
    bare,
    totals_text,
    verdict,
)
from checker.governance.direction import Direction
from checker.governance.reviewed import Review
from checker.units import counted, plain, shortened

_LEAST_WIDTH = 60
_DOT = " · "
_PROSE = ("why", "reason")
_MOST_ROWS = 20
_MOST_LINES = 60
_LONGEST_CELL = 500
_STYLES = {
    Direction.NEUTRAL: "green",
    Direction.TIGHTENING: "green",
    Direction.LOOSENING: "yellow",
    Direction.UNKNOWN: "magenta",
}
_WORD_STYLES = {direction.value: style for direction, style in _STYLES.items()} | {"added": "bold red"}


def render_table(review: Review, options: ReviewOptions) -> str:
    """The review as text of at most `options.width` columns, 60 at least, that ends in a line break.

    Only a line of a difference and a command may be longer.
    """
    width = max(options.width, _LEAST_WIDTH)
    lines = [*_head(review, width)]
    told = sections(review)
    for section in told:
        if section.name != "sights":
            lines += [(), *_section(section, width, options)]
    differences = attachments(review)
    for row in differences[:_MOST_ROWS]:
        lines += [(), *_attachment(row, width)]
    lines += _more(len(differences) - _MOST_ROWS, width)
    for section in told:  # what gates can see stands last: it holds with and without the change
        if section.name == "sights":
            lines += [(), *_section(section, width, options)]
    return paint(lines, colour=options.colour)


def _head(review: Review, width: int) -> Iterator[Line]:
    style = "bold green" if review.passed else "bold red"
    told = f"{review.title}: {review.base.name} → {review.head.name}"
    yield from ends(told, "passed" if review.passed else "NOT APPROVED", width, style)
    yield from wrapped(bare(verdict(review)), width, style)
    yield from wrapped(totals_text(review), width)


def _section(section: Section, width: int, options: ReviewOptions) -> Iterator[Line]:
    yield (Span(section.title, "bold red" if section.is_alarm else "bold"),)
    for line in section.lines[:_MOST_ROWS]:
        yield from wrapped(bare(line), width, "red" if section.is_alarm else "", "- ")
    yield from _more(len(section.lines) - _MOST_ROWS, width)
    shown = section.rows[:_MOST_ROWS]
    if shown:
        yield from _rows(section.heads, shown, width)
    yield from _more(len(section.rows) - _MOST_ROWS, width)
    first = next((cell for row in shown for cell in row if isinstance(cell, WindowRef)), None)
    if first is not None:
        yield (Span(f"{INDENT * 2}{first.command(options.source)}", "dim"),)


def _more(count: int, width: int) -> Iterator[Line]:
    if count > 0:
        yield from wrapped(f"… and {count:,} more; all of them: {FULL_PAGE}", width, "dim")


def _cell(cell: Cell) -> str:
    return cell.text if isinstance(cell, WindowRef) else shortened(cell, _LONGEST_CELL)


def _rows(heads: tuple[str, ...], rows: Sequence[Row], width: int) -> Iterator[Line]:
    cells = [heads, *([plain(_cell(cell)) for cell in row] for row in rows)]
    sizes = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    if len(INDENT) + sum(sizes) + len(GAP) * (len(sizes) - 1) <= width:
        yield from _columns(cells, rows, sizes)
    elif heads[-1] in _PROSE:
        for row in rows:
            yield from _block(heads, row, width)
    else:
        for texts, style in zip(cells, ("dim", *("" for _ in rows)), strict=True):
            yield from wrapped(_DOT.join(filter(None, texts)), width, style)


def _columns(cells: Sequence[Sequence[str]], rows: Sequence[Row], sizes: Sequence[int]) -> Iterator[Line]:
    styles = [("dim",) * len(sizes), *(tuple(map(_style, row)) for row in rows)]
    for texts, row_styles in zip(cells, styles, strict=True):
        line = [Span(INDENT)]
        for text, style, size in zip(texts, row_styles, sizes, strict=True):
            line += [Span(text, style), Span(" " * (size - cell_len(text)) + GAP)]
        yield tuple(line)


def _style(cell: Cell) -> str:
    return _WORD_STYLES.get(cell, "") if isinstance(cell, Word) else ""


def _block(heads: tuple[str, ...], row: Row, width: int) -> Iterator[Line]:
    """A row that ends in a sentence: what it is, and below it each other cell after its head."""
    first = 2 if isinstance(row[0], Word) else 1
    yield from wrapped(_DOT.join(map(_cell, row[:first])), width, _style(row[0]))
    size = max(map(cell_len, heads[first:]), default=0)
    for head, cell in zip(heads[first:], row[first:], strict=True):
        if _cell(cell) not in ("", NONE):
            yield from wrapped(_cell(cell), width, "", f"{INDENT}{head:<{size}}{INDENT}")


def _attachment(row: Attachment, width: int) -> Iterator[Line]:
    yield from wrapped(bare(row.title), width, "bold")
    for note in row.notes[:_MOST_LINES]:
        yield from wrapped(note, width, "", "- ")
    yield from _more(len(row.notes) - _MOST_LINES, width)
    lines = row.diff.splitlines()
    for line in lines[:_MOST_LINES]:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        yield Span(INDENT * 2), Span(shortened(line, _LONGEST_CELL), style)
    if len(lines) > _MOST_LINES:
        yield from wrapped(f"… {counted(len(lines) - _MOST_LINES, 'more line')}: {FULL_PAGE}", width, "dim")
