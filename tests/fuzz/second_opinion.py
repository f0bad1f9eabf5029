"""A second opinion on lines of telemetry: `json` and a few rules, without a line of the program's own reading."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[2] / "schemas/event.schema.json").read_text("utf-8"))
WINDOW, LATENESS, MAX_LATE = timedelta(minutes=15), timedelta(minutes=5), timedelta(hours=24)
_LONGEST, _DEEPEST = 1 << 20, 100
_TIME = re.compile(r"(\d{4})-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FITS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: not isinstance(value, bool) and isinstance(value, int | float) and value % 1 == 0,
    "array": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
}


class BadError(Exception):
    """The line is no event."""


@dataclass(frozen=True, slots=True)
class Event:
    """A sound line: its fields, and the instant that places it."""

    fields: Mapping[str, Any]
    placed_at: datetime

    @property
    def key(self) -> tuple[Any, ...] | None:
        """What a second copy has in common with it; None where nothing can be its copy."""
        request_id = self.fields.get("request_id")
        if request_id is None:
            return None
        start = self.placed_at - (self.placed_at - datetime(1970, 1, 1, tzinfo=UTC)) % WINDOW
        return start, self.fields["phase"], self.fields["event"], request_id


def event_of(line: bytes) -> Event | None:
    """The event that `line` (without its newline) is; None where it is none."""
    try:
        return _event(line)
    except (BadError, ValueError, RecursionError):
        return None


def _event(line: bytes) -> Event:
    _must(len(line) <= _LONGEST)
    text = line.decode()
    fields = json.loads(
        text, object_pairs_hook=_object, parse_constant=_refuse, parse_int=_integer, parse_float=_finite
    )
    _must(isinstance(fields, dict) and (text.count("[") + text.count("{") <= _DEEPEST or _depth(fields) <= _DEEPEST))
    if "\\" in text:
        json.dumps(fields, ensure_ascii=False).encode()  # no lone surrogates, which only an escape can make
    for name in SCHEMA["required"]:
        _must(name in fields)
    for branch in SCHEMA["allOf"]:
        if fields["event"] == branch["if"]["properties"]["event"]["const"]:
            _must(set(branch["then"]["required"]) <= set(fields))
    for name, described in SCHEMA["properties"].items():
        if name in fields:
            _check(fields[name], described)
    given = fields.get("batch_start") if fields["event"].startswith("collector.") else None
    return Event(fields, _instant(given or fields["ts"]))


def _check(value: Any, described: Mapping[str, Any]) -> None:
    _must(_FITS[described["type"]](value))
    if described["type"] == "integer":
        _must(-(1 << 63) <= value < 1 << 63)
    if "minimum" in described:
        _must(value >= described["minimum"])
    if "const" in described:
        _must(value == described["const"])
    if "minLength" in described:
        _must(len(value) >= described["minLength"])
    if described.get("format") == "date-time":
        _instant(value)


def _instant(text: str) -> datetime:
    match = _TIME.fullmatch(text)
    if match is None:
        raise BadError
    _must(1900 <= int(match[1]) < 3000)
    return datetime.fromisoformat(text).astimezone(UTC)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _must(len({key for key, _ in pairs}) == len(pairs))
    return dict(pairs)


def _depth(value: Any) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if below is None else 1 + max(map(_depth, below), default=0)


def _integer(text: str) -> int:
    _finite(text)
    return int(text)


def _finite(text: str) -> float:
    _must(math.isfinite(float(text)))
    return float(text)


def _refuse(_: str) -> None:
    raise BadError


def _must(holds: bool) -> None:
    if not holds:
        raise BadError
