"""A part of a review: a heading, lines of cells and a table of cells. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from checker.cli.formats.review_words import Cell, Cells

Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """`lines` stand above the table of `rows`; `is_alarm` marks what nobody may miss, `marked` the row that is so now.

    `name` is for programs and anchors; `title` and `heads` are ours.
    """

    name: str
    title: str
    lines: tuple[Cells, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    is_alarm: bool = False
    marked: int | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A difference in full: what it is of, its lines of meaning, and a unified diff."""

    title: Cells
    notes: tuple[str, ...]
    diff: str
