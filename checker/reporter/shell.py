"""Argument lists as one line of shell that can be pasted: in a terminal, and inside a code span. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def command_line(arguments: Iterable[str]) -> str:
    """One line that a POSIX shell reads back as exactly `arguments`, without a backtick or an unprintable character.

    What needs them is written as `$'…'` with octal bytes (POSIX.1-2024). No argument can hold NUL: it becomes U+FFFD.
    """
    return " ".join(_word(argument.replace("\0", "\ufffd")) for argument in arguments)


def _word(argument: str) -> str:
    if argument.isprintable() and "`" not in argument:
        return shlex.quote(argument)
    return "$'" + "".join(_character(character) for character in argument) + "'"


def _character(character: str) -> str:
    if character.isprintable() and character not in "`'\\":
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "replace"))
