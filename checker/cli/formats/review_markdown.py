"""A review as one comment in GitHub's Markdown: the most important first, and no longer than a comment may be."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from checker.cli import say
from checker.cli.formats.markdown import code, fence_of
from checker.cli.formats.review_section import Attachment, Row, Section
from checker.cli.formats.review_story import attachments, sections
from checker.cli.formats.review_words import (
    FULL_PAGE,
    Cell,
    Cells,
    ReviewOptions,
    WindowRef,
    Word,
    bare,
    totals,
    verdict,
)
from checker.governance.reviewed import Review
from checker.units import counted, plain, shortened

MARKER = "<!-- phasegate-review -->"
MOST = 65_536  # characters that GitHub takes, in UTF-16 code units
_ROOM = 1_500  # of these, for what is left out and for whatever posts the comment
_SHARE = 10_000  # of these, for one part that could be shorter
_BREAK = len("\n\n")
_ROWS = (100, 25, 5)
_NAMED = 8
_CELL, _TITLE = 200, 80
_URL_SAFE = ":/?&=%#@!$'*+,;~[]"


def render_markdown(review: Review, options: ReviewOptions) -> str:
    """The comment: marker, verdict, sections and differences; what does not fit is left out whole, and named."""
    parts, left_out = [_head(review, options)], []
    room = MOST - _ROOM - units(parts[0])
    for name, versions in _offers(review, options):
        fitting = _fitting(versions, room)
        if fitting is None:
            left_out.append(name)
        else:
            parts.append(fitting)
            room -= units(fitting) + _BREAK
    return "\n\n".join([*parts, *_left_out(left_out, options)]) + "\n"


def _fitting(versions: list[str], room: int) -> str | None:
    """The longest version that leaves room for others, or the shortest where it fits at all."""
    sizes = [units(text) + _BREAK for text in versions]
    fair = next((text for text, size in zip(versions, sizes, strict=True) if size <= min(room, _SHARE)), None)
    return fair or (versions[-1] if sizes[-1] <= room else None)


def units(text: str) -> int:
    """The length of `text` in UTF-16 code units, as GitHub is sent it."""
    return len(say.for_people(text).encode("utf-16-le", "surrogatepass")) // 2


def _offers(review: Review, options: ReviewOptions) -> Iterator[tuple[str, list[str]]]:
    """Each part by its name, in versions that grow shorter."""
    for section in sections(review):
        whole = max(len(section.lines), len(section.rows))
        cuts = [min(whole, _ROWS[0]), *(most for most in _ROWS[1:] if most < whole)]
        yield section.title, [_section(section, most, options) for most in cuts]
    for row in attachments(review):
        yield f"the difference of {bare(row.title)}", [_attachment(row)]


def _head(review: Review, options: ReviewOptions) -> str:
    told = " · ".join(_words(row, options) for row in totals(review))
    base, head = (f"{code(side.name)}{_commit(side.commit)}" for side in (review.base, review.head))
    page = f" · {_link('the whole page', options.page_url)}" if options.page_url else ""
    subject = f"{code(_cut(review.title))}: {base} → {head} · engine {code(review.engine)}{page}"
    return f"{MARKER}\n**{_words(verdict(review), options)}** · {told}\n\n{subject}"


def _commit(commit: str | None) -> str:
    return f" ({code(commit[:12])})" if commit else ""


def _section(section: Section, most: int, options: ReviewOptions) -> str:
    """The section with at most so many lines, and so many rows; how many more there are is said."""
    blocks = [[f"### {'🚨 ' * section.is_alarm}{section.title}"]]
    blocks.append([f"- {_words(line, options)}" for line in section.lines[:most]])
    blocks.append(_more(len(section.lines) - most, "line", options))
    if section.rows:
        blocks.append(list(_table(section, section.rows[:most], options)))
    blocks.append(_more(len(section.rows) - most, "row", options))
    blocks.append(_look_into(section.rows[:most], options))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _look_into(rows: Sequence[Row], options: ReviewOptions) -> list[str]:
    """How to look into the first window of the rows, where no page can be linked to."""
    first = next((cell for row in rows for cell in row if isinstance(cell, WindowRef)), None)
    if first is None or options.page_url:
        return []
    return [f"Look into a window with {code(first.command(options.source))}"]


def _more(count: int, noun: str, options: ReviewOptions) -> list[str]:
    return [f"… and {counted(count, f'more {noun}')}: {_elsewhere(options)}"] if count > 0 else []


def _table(section: Section, rows: Sequence[Row], options: ReviewOptions) -> Iterator[str]:
    yield _row(section.heads)
    yield _row(["---"] * len(section.heads))
    for row in rows:
        yield _row([_cell(cell, options) for cell in row])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(line: Cells, options: ReviewOptions) -> str:
    return "".join(_cell(cell, options) for cell in line)


def _cell(cell: Cell, options: ReviewOptions) -> str:
    if isinstance(cell, WindowRef):
        if options.page_url:
            return _link(cell.text, f"{options.page_url.partition('#')[0]}#{cell.anchor}")
        return cell.text
    return cell if isinstance(cell, Word) else code(_cut(cell))


def _cut(text: str, most: int = _CELL) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _link(text: str, url: str) -> str:
    return f"[{text}](<{quote(url, safe=_URL_SAFE)}>)"


def _attachment(row: Attachment) -> str:
    """A difference that is opened by a click; its title is HTML, in which no mention is read inside `code`."""
    title = html.escape(plain(_cut(bare(row.title))))
    blocks = [f"<details>\n<summary><code>{title}</code></summary>"]
    if row.notes:
        blocks.append("\n".join(f"- {code(_cut(note))}" for note in row.notes))
    if row.diff:
        lines = [plain(shortened(line)) for line in row.diff.splitlines()]
        fence = fence_of(lines)
        blocks.append("\n".join((f"{fence}diff", *lines, fence)))
    return "\n\n".join((*blocks, "</details>"))


def _left_out(names: list[str], options: ReviewOptions) -> Iterator[str]:
    if names:
        told = ", ".join(code(_cut(name, _TITLE)) for name in names[:_NAMED])
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        yield f"**Left out here, for a comment's length:** {told}{more}. All of it: {_elsewhere(options)}"


def _elsewhere(options: ReviewOptions) -> str:
    return _link("the whole page", options.page_url) if options.page_url else code(FULL_PAGE)
