"""The text of a governed file: read whole, UTF-8, and free of characters that hide or reorder what a reader sees."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from checker.errors import Problem

MAX_BYTES = 1 << 18
STAND_IN = "\N{REPLACEMENT CHARACTER}"
_BYTE_ORDER_MARK = "\ufeff"
_AS_EMOJI = "\ufe0f"
_SUSPECT = re.compile(r"[^\t\x20-\x7e]")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NO_CHARACTERS = frozenset({"\ufffe", "\uffff", STAND_IN})
# What Unicode says may be left undisplayed, beyond those categories: joiners, fillers, selectors of variants, tags.
_UNDISPLAYED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


class GovernedText(NamedTuple):
    """A file's text, with a stand-in for each refused character; None where it cannot be read at all."""

    text: str | None
    problems: tuple[Problem, ...]


def decode(content: bytes, shown_as: str) -> GovernedText:
    """`content` as text, with the place of its first byte that is not UTF-8."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        found = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        return GovernedText(None, (Problem(shown_as, line, column, found),))
    return replace_hidden(text, shown_as)


def replace_hidden(text: str, shown_as: str) -> GovernedText:
    """`text` with a stand-in for each hidden character, and a problem for the first of each line."""
    problems: list[Problem] = []
    lines = text.split("\n")
    for index, line in enumerate(lines):
        is_last = index == len(lines) - 1
        hidden = hidden_columns(line)
        if hidden and line.endswith("\r") and not is_last:
            hidden.pop()
        if hidden:
            message = f"{name_of(line[hidden[0]])} is not allowed; remove it"
            problems.append(Problem(shown_as, index + 1, hidden[0] + 1, message))
            lines[index] = with_stand_ins(line, hidden)
    cleaned = "\n".join(lines)
    return GovernedText(cleaned[1:] if text.startswith(_BYTE_ORDER_MARK) else cleaned, tuple(problems))


def with_stand_ins(line: str, columns: list[int]) -> str:
    """`line` with the stand-in at these columns."""
    characters = list(line)
    for column in columns:
        characters[column] = STAND_IN
    return "".join(characters)


def hidden_columns(text: str) -> list[int]:
    """Where `text` holds characters that are hidden, from 0; a selector that makes a symbol an emoji (⚠️) is none."""
    found = [match.start() for match in _SUSPECT.finditer(text) if is_hidden(match[0])]
    return [column for column in found if not (text[column] == _AS_EMOJI and column and _is_symbol(text[column - 1]))]


def _is_symbol(character: str) -> bool:
    return unicodedata.category(character) in ("So", "Sm")


def is_hidden(character: str) -> bool:
    """Whether it is a control, bidirectional, zero-width or other character that is not seen for what it is."""
    return (
        unicodedata.category(character) in _HIDDEN_CATEGORIES
        or character in _NO_CHARACTERS
        or _UNDISPLAYED.match(character) is not None
    )


def name_of(character: str) -> str:
    """`U+202E (RIGHT-TO-LEFT OVERRIDE)`."""
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'no name')})"
