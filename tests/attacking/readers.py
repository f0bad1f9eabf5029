"""Who reads the output besides people, as small models: CI runners, a terminal, XML and Markdown readers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, fromstring

from markdown_it import MarkdownIt
from markdown_it.token import Token

_ANYWHERE = re.compile(r"##(\w*)\[([^\]\s]*)[^\]]*\]")
_SECTION = re.compile(r"section_(?:start|end):\d+:[\w.-]+[^\r]*\r\x1b\[0K")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_NESTED = ("heading", "paragraph", "table", "thead", "tbody", "tr", "th", "td", "bullet_list", "list_item")
_OURS = {
    *("inline", "text", "softbreak", "code_inline", "fence"),
    *(f"{name}_{end}" for name in _NESTED for end in ("open", "close")),
}


def commands_taken(output: str) -> list[str]:
    """The lines that a runner acts on.

    GitHub's takes `::name …::` at the start of a line, after blanks; it and Azure's take `##[name]` and `##vso[name]`
    anywhere in one, TeamCity `##teamcity[name`; GitLab folds sections. It reads a line up to CR, LF or both.
    """
    return [line for line in re.split(r"\r\n|\r|\n", output) if _is_taken(line)] + _SECTION.findall(output)


def _is_taken(line: str) -> bool:
    start = _STYLE.sub("", line).lstrip()
    return (start.startswith("::") and "::" in start[2:]) or _ANYWHERE.search(line) is not None


def acted_on(output: str, *, styled: bool = False) -> list[str]:
    """The characters that do something to a terminal, but for line breaks and, where `styled`, the colours of text."""
    text = _STYLE.sub("", output) if styled else output
    return [each for each in text if each != "\n" and not each.isprintable() and unicodedata.category(each) != "Zs"]


def xml_of(output: str) -> Element | None:
    """The document, as a conforming reader has it; None where it is none."""
    try:
        return fromstring(output.encode())
    except (ParseError, UnicodeEncodeError):
        return None


def made_of_markdown(output: str) -> list[str]:
    """What a page would hold besides headings, tables, lists, text and code: links, images, HTML."""
    return [token.type for token in _tokens(output) if token.type not in _OURS]


def text_of_markdown(output: str) -> str:
    """The text outside of code, where a mention, an address or an issue's number is made a link after rendering."""
    return " ".join(token.content for token in _tokens(output) if token.type == "text")


def rows_of_markdown(output: str) -> list[int]:
    """How many cells each row of the tables has."""
    rows: list[int] = []
    for token in _tokens(output):
        if token.type == "tr_open":
            rows.append(0)
        elif token.type in ("td_open", "th_open"):
            rows[-1] += 1
    return rows


def _tokens(output: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(output):
        yield token
        yield from token.children or ()
