"""Raw rows before people see them: the values of the fields that the policy's list names are blacked out. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

REDACTED = "[redacted]"
_JSON = re.compile(r'\s*["{\[]')
_NAMED = re.compile(r'"\s*:')


def is_redacted(name: str, patterns: Sequence[str]) -> bool:
    """Whether a field's name is on the list; `*` stands for any characters, upper and lower case are one."""
    return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in patterns)


def redacted(name: str, value: Any, patterns: Sequence[str]) -> Any:
    """The value of a field, or REDACTED; inside of mappings, lists and JSON written as text as well.

    A text that begins as JSON does, names fields and cannot be read is REDACTED: nobody knows which ones it holds.
    """
    if not patterns:
        return value
    try:
        return _redacted(name, value, patterns)
    except RecursionError:
        return REDACTED


def _redacted(name: str, value: Any, patterns: Sequence[str]) -> Any:
    if is_redacted(name, patterns):
        return REDACTED
    if isinstance(value, dict):
        return {key: _redacted(str(key), item, patterns) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(name, item, patterns) for item in value]
    if isinstance(value, str) and _JSON.match(value):
        return _text(name, value, patterns)
    return value


def _text(name: str, text: str, patterns: Sequence[str]) -> str:
    """JSON as text, itself where nothing in it is on the list."""
    try:
        told = json.loads(text, object_pairs_hook=_every_pair)
    except ValueError:
        return REDACTED if _NAMED.search(text) else text
    shown = _redacted(name, told, patterns)
    return text if shown == told else json.dumps(shown, ensure_ascii=False)


def _every_pair(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises ValueError where a name is in it twice: one of the values would be lost."""
    told = dict(pairs)
    if len(told) != len(pairs):
        raise ValueError("a name is given twice")
    return told
