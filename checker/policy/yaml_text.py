"""The text of a governed file: read whole, UTF-8, and free of characters that hide or reorder what a reader sees."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NamedTuple

from checker.errors import Problem

MAX_BYTES = 1 << 18
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_BYTE_ORDER_MARK = "\ufeff"
STAND_IN = "\N{REPLACEMENT CHARACTER}"
_NO_CHARACTERS = frozenset({"\ufffe", "\uffff", STAND_IN})


class GovernedText(NamedTuple):
    """A file's text, with a stand-in for each refused character; None where it cannot be read at all."""

    text: str | None
    problems: tuple[Problem, ...]


def read_text(path: Path, shown_as: str) -> GovernedText:
    """The text of `path`, at most 256 KiB of UTF-8; what is wrong with it is in `problems`."""
    try:
        if path.exists() and not path.is_file():
            return _unreadable(shown_as, "is no regular file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return _unreadable(shown_as, "does not exist")
    except OSError as error:
        return _unreadable(shown_as, f"cannot be read: {error.strerror}")
    if len(content) > MAX_BYTES:
        return _unreadable(shown_as, f"is larger than {MAX_BYTES} bytes, the most that is read")
    return decode(content, shown_as)


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
        hidden = [column for column, character in enumerate(line) if character != "\t" and is_hidden(character)]
        if hidden and line.endswith("\r") and not is_last:
            hidden.pop()
        if hidden:
            message = f"{name_of(line[hidden[0]])} is not allowed; remove it"
            problems.append(Problem(shown_as, index + 1, hidden[0] + 1, message))
            lines[index] = _with_stand_ins(line, hidden)
    cleaned = "\n".join(lines)
    return GovernedText(cleaned[1:] if text.startswith(_BYTE_ORDER_MARK) else cleaned, tuple(problems))


def _with_stand_ins(line: str, columns: list[int]) -> str:
    characters = list(line)
    for column in columns:
        characters[column] = STAND_IN
    return "".join(characters)


def is_hidden(character: str) -> bool:
    """Whether it is a control, bidirectional, zero-width or other character that is not seen for what it is."""
    return unicodedata.category(character) in _HIDDEN_CATEGORIES or character in _NO_CHARACTERS


def name_of(character: str) -> str:
    """`U+202E (RIGHT-TO-LEFT OVERRIDE)`."""
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'no name')})"


def _unreadable(shown_as: str, message: str) -> GovernedText:
    return GovernedText(None, (Problem(shown_as, 0, 0, message),))
