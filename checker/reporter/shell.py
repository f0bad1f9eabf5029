"""Argument lists as one line of shell that can be pasted: in a terminal, and inside a code span. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

_NOTHING = re.compile(r"(?!)")
_NEVER_BARE = "`'\\\"!%$"


def command_line(arguments: Iterable[str], also: re.Pattern[str] = _NOTHING) -> str:
    """One line that a POSIX shell reads back as exactly `arguments`, without a backtick or an unprintable character.

    What holds one of these, or a character that `also` finds, is written with octal bytes for printf, which
    every shell has; only where it ends in a line break, which `$(…)` would drop, as `$'…'` (POSIX.1-2024). Bytes that
    are no UTF-8 (surrogates, as Python reads them) stay what they were. No argument can hold NUL: it becomes U+FFFD.
    """
    return " ".join(_word(_without_nul(argument), also) for argument in arguments)


def _without_nul(argument: str) -> str:
    return argument.replace("\0", "\ufffd")


def _word(argument: str, also: re.Pattern[str]) -> str:
    live = {found.start() for found in also.finditer(argument)}
    if not live and _can_be_shown(argument):
        return _quoted(argument)
    written = "".join(_octal(text, is_live=index in live) for index, text in enumerate(argument))
    return f"$'{written}'" if argument.endswith("\n") else f"\"$(printf -- '{written}')\""


def _can_be_shown(argument: str) -> bool:
    return argument.isprintable() and "`" not in argument


def _quoted(argument: str) -> str:
    return shlex.quote(argument)


def _octal(character: str, *, is_live: bool) -> str:
    if not is_live and character.isprintable() and character not in _NEVER_BARE:
        return character
    return "".join(f"\\{byte:03o}" for byte in _bytes_of(character))


def _bytes_of(character: str) -> bytes:
    try:
        return character.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "\ufffd".encode()
