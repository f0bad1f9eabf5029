"""Raw rows before people see them: the values of the fields that the policy's list names are blacked out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

REDACTED = "[redacted]"


def is_redacted(name: str, patterns: Sequence[str]) -> bool:
    """Whether a field's name is on the list; `*` stands for any characters, upper and lower case are one."""
    return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in patterns)


def redacted(name: str, value: Any, patterns: Sequence[str]) -> Any:
    """The value of a field, or REDACTED; inside of mappings and lists as well."""
    if is_redacted(name, patterns):
        return REDACTED
    if isinstance(value, dict):
        return {key: redacted(str(key), item, patterns) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(name, item, patterns) for item in value]
    return value
