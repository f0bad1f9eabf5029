"""A review as one HTML page that asks nothing of any other host. Pure but for its own template files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from checker.cli.formats.review_page.drawings import drawings
from checker.cli.formats.review_page.strips import strip_rows
from checker.cli.formats.review_section import Attachment, Section
from checker.cli.formats.review_sights import STATUSES
from checker.cli.formats.review_story import attachments, sections
from checker.cli.formats.review_words import (
    Cell,
    Cells,
    ReviewOptions,
    WindowRef,
    Word,
    bare,
    status_word,
    totals_text,
    verdict,
)
from checker.governance.reviewed import Review
from checker.units import plain, shortened

if TYPE_CHECKING:
    from jinja2 import Template

_LONGEST = 1_000
_MOST_ROWS = 3_000
_DIFF_KINDS = {"+": "add", "-": "del", "@": "hunk"}


def render_page(review: Review, options: ReviewOptions) -> str:
    """The page; the same for the same review. Without a charting library it says so."""
    from markupsafe import Markup

    drawn, no_charts = drawings(review)
    style = _own("checker.reporter.dashboard") + _own(__package__)
    return _template().render(
        page=_words(review, options),
        charts=[(_told(title), Markup(svg)) for title, svg in drawn],
        no_charts=no_charts,
        style=Markup(style),
        style_hash=f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}",
    )


def _words(review: Review, options: ReviewOptions) -> dict[str, Any]:
    """Every text of the page, by the names that its template uses; none holds a character that acts."""
    anchors: set[str] = set()
    replays = review.consequences.replays if review.consequences else ()
    sides = (review.base, review.head)
    return {
        "title": _plain(review.title),
        "headline": _plain(f"{review.title}: {bare(verdict(review))}"),
        "verdict": _plain(bare(verdict(review))),
        "verdict_class": _verdict_class(review),
        "totals": _plain(totals_text(review)),
        "sides": [_plain(f"{row.name}{f' ({row.commit[:12]})' if row.commit else ''}") for row in sides],
        "engine": _plain(review.engine),
        "digests": [_plain(row.governed_digest) for row in sides],
        "legend": [{"cls": status.value, "word": status_word(status)} for status in STATUSES],
        "sections": [_section(row, place, options, anchors) for place, row in enumerate(sections(review))],
        "phases": [{"name": _plain(row.phase), "rows": list(strip_rows(row))} for row in replays],
        "attachments": [_attachment(row) for row in attachments(review)],
    }


def _verdict_class(review: Review) -> str:
    if not review.passed:
        return "violation"
    return "warn" if review.direction.needs_approval else "ok"


def _plain(text: str) -> str:
    return plain(shortened(text, _LONGEST))


def _told(cells: Cells) -> str:
    return _plain(bare(cells))


def _section(section: Section, place: int, options: ReviewOptions, anchors: set[str]) -> dict[str, Any]:
    rows = section.rows[:_MOST_ROWS]
    windows = (cell for row in rows for cell in row if isinstance(cell, WindowRef))
    first = next(windows, None)
    return {
        "id": f"{section.name}-{place}",
        "name": section.name,
        "title": section.title,
        "is_alarm": section.is_alarm,
        "lines": [[_cell(cell) for cell in line] for line in section.lines],
        "heads": section.heads,
        "rows": [_row(row, anchors) for row in rows],
        "marked": section.marked,
        "more": len(section.rows) - len(rows),
        "command": _plain(first.command(options.source)) if first else "",
    }


def _row(row: Cells, anchors: set[str]) -> dict[str, Any]:
    """The cells, and the window's anchor where it is the first row of that window."""
    anchor = next((cell.anchor for cell in row if isinstance(cell, WindowRef)), "")
    is_first = bool(anchor) and anchor not in anchors
    anchors.add(anchor)
    return {"anchor": anchor if is_first else "", "cells": [_cell(cell) for cell in row]}


def _cell(cell: Cell) -> dict[str, str]:
    if isinstance(cell, WindowRef):
        return {"kind": "window", "text": cell.text}
    return {"kind": "word" if isinstance(cell, Word) else "data", "text": _plain(cell)}


def _attachment(row: Attachment) -> dict[str, Any]:
    return {"title": _told(row.title), "notes": [*map(_plain, row.notes)], "lines": [*_diff(row.diff)]}


def _diff(diff: str) -> Iterator[dict[str, str]]:
    for line in diff.splitlines():
        yield {"cls": _DIFF_KINDS.get(line[:1], ""), "text": _plain(line)}


@cache
def _own(package: str) -> str:
    return files(package).joinpath("page.css").read_text(encoding="utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8"))
