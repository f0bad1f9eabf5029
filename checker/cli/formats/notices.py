"""Rendered notices for people at a terminal: where each would go, and its text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from checker.cli.formats.layout import INDENT, Line, Span, wrapped
from checker.model import Notice
from checker.units import plain


def notice_lines(notices: Sequence[Notice], width: int) -> Iterator[Line]:
    """Each notice under its id and channel. Its lines stay whole, however long: they are meant to be copied."""
    for notice in notices:
        asked = "" if notice.automatic else " · sent only when asked"
        yield from wrapped(f"Notice {notice.id} → {notice.channel}{asked}", width, "cyan")
        for line in notice.text.splitlines():
            yield (Span(INDENT * 2 + plain(line)),)
