"""Messages between a command and its child: frames with a length, and answers as plain JSON.

A child may be a stranger's by the time it answers: what it sends is data of a few types, never a pickle, and no longer
than it may be.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

MAX_ANSWER_BYTES = 16 << 20
MAX_VALUES = 1_000_000  # of an answer: each takes far more memory than its byte or two on the way
_LENGTH = struct.Struct(">Q")
_MIN_PLAIN, _MAX_PLAIN = -(1 << 63), (1 << 63) - 1

_WRITERS: dict[type, tuple[str, Callable[[Any], str]]] = {
    int: ("int", str),
    float: ("float", repr),
    Decimal: ("decimal", str),
    datetime: ("datetime", datetime.isoformat),
    date: ("date", date.isoformat),
    time_of_day: ("time", time_of_day.isoformat),
    timedelta: ("interval", lambda value: repr(value // timedelta(microseconds=1))),
    UUID: ("uuid", str),
    bytes: ("bytes", bytes.hex),
}
_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "decimal": lambda text: _finite(Decimal(text)),
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time_of_day.fromisoformat,
    "interval": lambda text: timedelta(microseconds=int(text)),
    "uuid": UUID,
    "bytes": bytes.fromhex,
}


class Closed(Exception):
    """The other side is gone."""


class Nonsense(Exception):
    """The other side sent what is no message, or too long a one."""


def to_json(value: Any) -> bytes:
    """A value as JSON that `from_json` reads back exactly: None, truth values, numbers, text, bytes, times, UUIDs, and
    lists (tuples among them) and mappings of these. Raises TypeError for another, RecursionError where too deep."""
    return orjson.dumps(_written(value))


def from_json(content: bytes) -> Any:
    """The value of `to_json`. Raises Nonsense."""
    if sum(map(content.count, (b"[", b"{", b","))) > MAX_VALUES:
        raise Nonsense(f"more than {MAX_VALUES:,} values")
    try:
        return _read(orjson.loads(content))
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as fault:
        raise Nonsense(type(fault).__name__) from None


def _written(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if (kind is int and _MIN_PLAIN <= value <= _MAX_PLAIN) or (kind is float and math.isfinite(value)):
        return value
    if kind in (list, tuple):
        return [_written(item) for item in value]
    if kind is dict:
        return {"t": "dict", "v": [[_written(key), _written(item)] for key, item in value.items()]}
    if kind not in _WRITERS:
        raise TypeError(f"a value of the type {kind.__name__}")
    tag, write = _WRITERS[kind]
    return {"t": tag, "v": write(value)}


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag, content = value["t"], value["v"]
    if tag == "dict":
        return {_read(key): _read(item) for key, item in content}
    if not isinstance(content, str):
        raise TypeError(tag)
    return _READERS[tag](content)


def _finite(value: Decimal) -> Decimal:
    """DuckDB has no other; a signalling NaN would raise wherever it is looked at."""
    if not value.is_finite():
        raise ValueError(value)
    return value


def send(connection: socket.socket, content: bytes, until: float | None = None) -> None:
    """Send one message. Raises Closed, TimeoutError at `until` (monotonic)."""
    connection.settimeout(_left(until))
    try:
        connection.sendall(_LENGTH.pack(len(content)) + content)
    except (BrokenPipeError, ConnectionError):
        raise Closed from None


def receive(connection: socket.socket, max_bytes: int | None = None, until: float | None = None) -> bytes:
    """Receive one message. Raises Closed, Nonsense over `max_bytes`, TimeoutError at `until` (monotonic)."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size, until))
    if max_bytes is not None and length > max_bytes:
        raise Nonsense(f"a message of {length} bytes")
    return _exactly(connection, length, until)


def _exactly(connection: socket.socket, count: int, until: float | None) -> bytes:
    content = bytearray()
    while len(content) < count:
        connection.settimeout(_left(until))
        try:
            part = connection.recv(min(count - len(content), 1 << 20))
        except ConnectionError:
            raise Closed from None
        if not part:
            raise Closed
        content += part
    return bytes(content)


def _left(until: float | None) -> float | None:
    return None if until is None else max(until - time.monotonic(), 1e-6)
