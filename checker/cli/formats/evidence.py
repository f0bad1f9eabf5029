"""Rows of the logs as a table that fits a terminal; every text from the logs escaped, no row on two lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from checker.cli.formats.layout import INDENT, Line, Span, wrapped
from checker.units import plain

_MAX_CELL = 27  # a time with microseconds
_MARGIN = INDENT * 3
_LAST = ("release", "phase", "event", "schema_version")  # every line has them, and they tell the least
_ZEROS = re.compile(r"(T\d\d:\d\d:\d\d(?:\.\d*[1-9])?)\.?0*Z")


def evidence_table(
    heads: Sequence[str], rows: Sequence[Sequence[Any]], first: Sequence[str], width: int
) -> Iterator[Line]:
    """Rows (one at least) under their heads, then what is the same in all, and the columns that there is no room for.

    Columns of `first` have the right of way, then times. Numbers stand to the right; what is wider than a cell may be
    ends in `…`.
    """
    columns = {head: [row[place] for row in rows] for place, head in enumerate(heads)}
    same = {head: column[0] for head, column in columns.items() if _is_same(column) and head not in first}
    cells = {head: [cell_text(value) for value in (head, *columns[head])] for head in heads if head not in same}
    fitting = _fitting(cells, first, width)
    yield from _grid({head: cells[head] for head in fitting}, columns)
    hidden = [head for head in cells if head not in fitting]
    if len(rows) == 1:
        same, hidden = {head: columns[head][0] for head in hidden}, []
    told = ", ".join(f"{head} {cell_text(value)}" for head, value in same.items())
    if told:
        yield from wrapped(told, width, "dim", f"{_MARGIN[:-2]}{'in every row' if len(rows) > 1 else 'also'}: ")
    if hidden:
        yield from wrapped(f"{', '.join(hidden)} (--format=json has all)", width, "dim", f"{_MARGIN[:-2]}not shown: ")


def _is_same(column: Sequence[Any]) -> bool:
    return len(column) > 1 and all(value == column[0] for value in column)


def _fitting(cells: dict[str, list[str]], first: Sequence[str], width: int) -> list[str]:
    """The columns for which there is room, the most telling first served, in their own order; one at least."""
    ranked = sorted(
        cells, key=lambda head: (head not in first, head != "ts", _LAST.index(head) if head in _LAST else -1)
    )
    taken: list[str] = []
    room = width - len(_MARGIN) + len(INDENT)
    for head in ranked:
        size = max(map(cell_len, cells[head])) + len(INDENT)
        if size <= room or not taken:
            taken.append(head)
            room -= size
    return [head for head in cells if head in taken]


def _grid(cells: dict[str, list[str]], columns: dict[str, list[Any]]) -> Iterator[Line]:
    sizes = {head: max(map(cell_len, texts)) for head, texts in cells.items()}
    numeric = {head for head in cells if all(isinstance(value, (int, float, type(None))) for value in columns[head])}
    for number, row in enumerate(zip(*cells.values(), strict=True)):
        padded = (
            " " * (sizes[head] - cell_len(cell)) + cell
            if head in numeric
            else cell + " " * (sizes[head] - cell_len(cell))
            for head, cell in zip(cells, row, strict=True)
        )
        yield (Span(_MARGIN + INDENT.join(padded), "" if number else "dim"),)


def cell_text(value: Any) -> str:
    """A value of the logs on one line, no wider than a cell; `–` for none, a time without trailing zeros."""
    match value:
        case None:
            text = "–"
        case bool():
            text = "true" if value else "false"
        case float():
            text = f"{value:.6g}"
        case _:
            text = _ZEROS.sub(r"\1Z", plain(str(value)))
    return text if cell_len(text) <= _MAX_CELL else set_cell_size(text, _MAX_CELL - 1) + "…"
