"""What a plain (unquoted) YAML scalar means. Where YAML's versions or readers disagree, the answer is a complaint."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

Value = str | int | float | bool | None

_MAX_NUMBER_LENGTH = 40
_MAX_INTEGER = 2**63 - 1
_KEYWORDS: dict[str, Value] = {"": None, "~": None, "null": None, "true": True, "false": False}
_LOOKALIKES: dict[str, Value] = {
    variant: value
    for words, value in (("y yes on true", True), ("n no off false", False), ("null", None))
    for word in words.split()
    for variant in (word, word.title(), word.upper())
    if variant not in _KEYWORDS
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")


class Scalar(NamedTuple):
    """The value of a plain scalar, and what to write instead where it can be misread."""

    value: Value
    complaint: str | None = None


def read_plain(text: str) -> Scalar:
    """The value of the plain scalar `text`: nothing, true, false, a finite number, or text."""
    if text in _KEYWORDS:
        return Scalar(_KEYWORDS[text])
    if text in _LOOKALIKES:
        return _lookalike(text)
    if text[0] not in "+-.0123456789":
        return Scalar(text)
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    return _surprise(text)


def _lookalike(text: str) -> Scalar:
    value = _LOOKALIKES[text]
    word = "null" if value is None else str(value).lower()
    return Scalar(value, f"{text!r} is read as {word} by YAML 1.1; write {word} or {_quoted(text)}")


def _integer(text: str) -> Scalar:
    if len(text) > _MAX_NUMBER_LENGTH or abs(int(text)) > _MAX_INTEGER:
        return Scalar(0, f"{_cut(text)} is too large a number; the largest is {_MAX_INTEGER}")
    return Scalar(int(text))


def _float(text: str) -> Scalar:
    value = float(text)
    if not math.isfinite(value):
        return Scalar(0.0, f"{_cut(text)} is no finite number; write a number that fits 64-bit floating point")
    return Scalar(value)


def _surprise(text: str) -> Scalar:
    if _NOT_FINITE.fullmatch(text):
        return Scalar(0.0, f"{text!r} is no finite number; write a number, or {_quoted(text)} for text")
    if _DATE.fullmatch(text):
        return Scalar(text, f"{_cut(text)} is read as a date by YAML 1.1; write {_quoted(text)}")
    for pattern, read in _READ_DIFFERENTLY:
        if pattern.fullmatch(text):
            return _number_read_differently(text, read)
    return Scalar(text)


def _number_read_differently(text: str, read: Callable[[str], int | float]) -> Scalar:
    if len(text) > _MAX_NUMBER_LENGTH:
        return Scalar(0, f"{_cut(text)} is no number that every YAML reader reads alike; write digits")
    value = read(text)
    if not math.isfinite(value):
        return Scalar(0.0, f"{text!r} is no finite number; write a number that fits 64-bit floating point")
    return Scalar(value, f"{text!r} is not read alike by every YAML reader; write {value} or {_quoted(text)}")


def _sexagesimal(text: str) -> int | float:
    *parts, last = text.lstrip("+-").replace("_", "").split(":")
    head = 0
    for part in parts:
        head = (head + int(part)) * 60
    total = head + (float(last) if "." in last else int(last))
    return -total if text.startswith("-") else total


def _prefixed(text: str) -> int:
    return int(text.replace("_", ""), 0)


def _digits(text: str) -> int | float:
    plain = text.replace("_", "")
    return float(plain) if set(plain) & set(".eE") else int(plain)


_READ_DIFFERENTLY: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9]*)?"), _sexagesimal),
    (re.compile(r"[-+]?0(x[0-9a-fA-F](_?[0-9a-fA-F])*|o[0-7](_?[0-7])*|b[01](_?[01])*)"), _prefixed),
    (re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"), _digits),
)


def _cut(text: str) -> str:
    return repr(text) if len(text) <= _MAX_NUMBER_LENGTH else f"{text[:_MAX_NUMBER_LENGTH]!r}…"


def _quoted(text: str) -> str:
    return f'"{text[:_MAX_NUMBER_LENGTH]}"'
