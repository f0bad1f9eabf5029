"""Broken lines: each kind takes the line of a completed save, which is sound, and breaks it in one way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_LONG = b"x" * (1 << 20)
_DURATION = re.compile(rb'"duration_ms":([^,]+),')


def _not_json(line: bytes) -> bytes:
    return b"<html>502 Bad Gateway</html> " + line[:40]


def _not_utf8(line: bytes) -> bytes:
    return line.replace(b'"release":"', b'"release":"\xff\xfe')


def _torn(line: bytes) -> bytes:
    return line[: len(line) // 2]


def _missing_field(line: bytes) -> bytes:
    return _DURATION.sub(b"", line)


def _not_finite(line: bytes) -> bytes:
    return _DURATION.sub(rb'"duration_ms":NaN,', line)


def _no_zone(line: bytes) -> bytes:
    return line.replace(b'Z","event"', b'","event"')


def _wrong_type(line: bytes) -> bytes:
    return _DURATION.sub(rb'"duration_ms":"\1",', line)


def _too_long(line: bytes) -> bytes:
    return line[:-1] + b',"trace":"' + _LONG + b'"}'


def _duplicate_keys(line: bytes) -> bytes:
    return _DURATION.sub(rb'"duration_ms":1.0,"duration_ms":\1,', line)


BREAKAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "not_json": _not_json,
    "not_utf8": _not_utf8,
    "torn": _torn,
    "missing_field": _missing_field,
    "not_finite": _not_finite,
    "no_zone": _no_zone,
    "wrong_type": _wrong_type,
    "too_long": _too_long,
    "duplicate_keys": _duplicate_keys,
}
