"""Lines of a terminal: columns by the width of their characters, wrapped text, and styles where colour is wanted."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells, set_cell_size

from checker.units import plain, shortened

GAP = "   "
INDENT = "  "
_MIN_FLEXIBLE = 8
_MAX_FIXED = 26


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line and its style, in rich's words (`bold red`); empty for none."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


def colour_wanted(is_terminal: bool, environ: Mapping[str, str]) -> bool:
    """Whether to colour: on a terminal that can, unless NO_COLOR is set to anything."""
    return is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def paint(lines: Iterable[Line], *, colour: bool) -> str:
    """The lines as text, without trailing blanks, with ANSI styles only where `colour`.

    No text has a style of its own: control characters are escaped, and rich's markup is shown as it is written.
    """
    if not colour:
        return "".join("".join(map(_shown, line)).rstrip() + "\n" for line in lines)
    from rich.console import Console
    from rich.text import Text

    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system="standard", width=10_000, _environ={})
    for line in lines:
        text = Text.assemble(*((_shown(span), span.style) for span in line))  # knows no markup
        text.rstrip()
        console.print(text, soft_wrap=True, highlight=False)
    return stream.getvalue()


def _shown(span: Span) -> str:
    return plain(span.text)


def wrapped(text: str, width: int, style: str = "", label: str = "") -> Iterator[Line]:
    """`text` after `label`, in lines of at most `width`, those after the first indented under its beginning.

    Control characters are escaped. A word longer than a line is broken, a text longer than LONGEST_TEXT cut.
    """
    head = INDENT + label
    room = max(width - cell_len(head), _MIN_FLEXIBLE)
    for number, line in enumerate(folded(plain(shortened(text)), room)):
        yield Span(head if number == 0 else " " * cell_len(head)), Span(line, style)


def folded(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken at blanks, and inside a word only where it fills a line."""
    lines = [""]
    for piece in (piece for word in text.split(" ") if word for piece in chop_cells(word, width)):
        longer = f"{lines[-1]} {piece}" if lines[-1] else piece
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(piece)
    return lines


def ends(left: str, right: str, width: int, right_style: str) -> Iterator[Line]:
    """`left` and, at the right edge, `right`; on a line of its own where both do not fit."""
    left = plain(shortened(left))
    space = width - cell_len(left) - cell_len(right)
    if space >= 2:
        yield Span(left, "bold"), Span(" " * space), Span(right, right_style)
        return
    yield from ((Span(line, "bold"),) for line in folded(left, width))
    yield (Span(" " * max(0, width - cell_len(right))), Span(right, right_style))


def columns(
    rows: Sequence[Sequence[str]], styles: Sequence[Sequence[str]], width: int, *, right: frozenset[int], least: int
) -> Iterator[Line]:
    """A table, its first row the heads. The first column gives way (…) so that the rest fits into `width`.

    `right` are the columns set to the right; the second is at least `least` wide.
    """
    cells = [[plain(cell) for cell in row] for row in rows]
    widest, second, *others = (max(map(cell_len, column)) for column in zip(*cells, strict=True))
    sizes = [min(size, _MAX_FIXED) for size in (max(second, least), *others)]
    room = width - len(INDENT) - sum(len(GAP) + size for size in sizes)
    widths = (min(widest, max(room, _MIN_FLEXIBLE)), *sizes)
    for row, row_styles in zip(cells, styles, strict=True):
        yield tuple(_cells(row, row_styles, widths, right))


def fitted_columns(rows: Sequence[Sequence[str]], styles: Sequence[Sequence[str]], width: int) -> Iterator[Line]:
    """A table, its first row the heads, in which every column gives way (…), the widest first, until all fit."""
    cells = [[plain(shortened(cell)) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    room = width - len(INDENT) - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    for row, row_styles in zip(cells, styles, strict=True):
        yield tuple(_cells(row, row_styles, widths, frozenset()))


def _cells(row: Sequence[str], styles: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> Iterator[Span]:
    for index, (cell, style, size) in enumerate(zip(row, styles, widths, strict=True)):
        yield Span(GAP if index else INDENT)
        shown = _fitted(cell, size)
        padding = Span(" " * (size - cell_len(shown)))
        yield from (padding, Span(shown, style)) if index in right else (Span(shown, style), padding)


def _fitted(cell: str, size: int) -> str:
    if cell_len(cell) <= size:
        return cell
    return set_cell_size(cell, size - 1).rstrip() + "…"
