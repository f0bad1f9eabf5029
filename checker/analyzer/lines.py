"""Telemetry line by line: exact verdicts on single lines, for the batches that the fast path does not accept.

A line is accepted or quarantined with a reason and a detail a person can act on. Pure but for the schema compiler.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from checker.analyzer.event_schema import EventSchema
from checker.analyzer.fast_path import DATE_TIME
from checker.analyzer.line_errors import SchemaJudge

MAX_LINE_BYTES = 1 << 20
MAX_DEPTH = 100  # DuckDB's JSON reader gives up on a whole file at 128
_DATE_TIME = re.compile(DATE_TIME)
_ZONE = re.compile(r"(?:[Zz]|[+-]\d{2}:\d{2})$")
# A string, or what begins one and has no end. Nothing is tried twice, so that no line takes longer than its length.
_STRINGS = re.compile(r'"(?:[^"\\]++|\\[\s\S])*+(?:"|\\?\Z)')
_BRACKETS = re.compile(r"[\[\]{}]")
_KEY_APART = (b'" ', b'"\t', b'"\r')  # a space may stand between a key and its colon
_MIN_BIGINT, _MAX_BIGINT = -(1 << 63), (1 << 63) - 1
_FITTING: dict[str, tuple[Any, str]] = {
    "VARCHAR": ((str,), "text"),
    "TIMESTAMP": ((str,), "a time"),
    "BIGINT": ((int, float), "a whole number"),
    "DOUBLE": ((int, float), "a number"),
    "BOOLEAN": ((bool,), "true or false"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line is quarantined: `reason` is counted, `detail` is shown; it is empty where nobody asked for it."""

    reason: str
    detail: str


class _Refused(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        self.fault = Fault(reason, detail)


def line_checker(schema: EventSchema, *, in_words: bool = True) -> Callable[[bytes, bool], Fault | None]:
    """A function `(line without its newline, whether it ends in one) → Fault or None` for lines under `schema`.

    Without `in_words` a departure from the schema has its reason and no detail, which takes many times as long.
    """
    import orjson

    judge = SchemaJudge(schema)
    described = schema.document.get("properties", {})
    loose = [
        (name, kind)
        for name, kind in schema.columns.items()
        if kind in ("TIMESTAMP", "BIGINT") or "type" not in described.get(name, ())
    ]

    def fits(event: Mapping[str, Any]) -> bool:
        for name, kind in loose:  # a loop: nearly every line of a batch comes by here
            if (value := event.get(name)) is not None and _misfit(kind, value) is not None:
                return False
        return True

    def check(line: bytes, whole: bool) -> Fault | None:
        if len(line) <= MAX_LINE_BYTES:
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                return _explained(line, whole, judge, in_words)
            if type(event) is dict and _is_flat(line, len(event)) and judge.is_valid(event) and fits(event):
                return None
        return _explained(line, whole, judge, in_words)

    return check


def _is_flat(line: bytes, keys: int) -> bool:
    """Whether a line that parses to `keys` keys surely has no key twice and no deep nesting; False proves nothing."""
    space, tab, end = _KEY_APART
    return (
        line.count(b'":') == keys
        and space not in line
        and tab not in line
        and end not in line
        and line.count(b"[") < MAX_DEPTH - 1
    )


def _explained(line: bytes, whole: bool, judge: SchemaJudge, in_words: bool) -> Fault | None:
    try:
        event = _parse(line, whole)
        if fault := judge.fault(event, line, in_words):
            raise _Refused(*fault)
        _check_columns(event, judge.columns)
    except _Refused as refusal:
        return refusal.fault
    return None


def _parse(line: bytes, whole: bool) -> dict[str, Any]:
    import orjson

    if len(line) > MAX_LINE_BYTES:
        raise _Refused("too_long", f"a line has at most {MAX_LINE_BYTES} bytes, this one more")
    if not line.strip():
        raise _Refused("not_json", "an empty line")
    try:
        text = line.decode()
    except UnicodeDecodeError as fault:
        raise _Refused("not_utf8" if whole else "torn", f"byte {fault.start + 1} is not UTF-8") from None
    if _depth(text) > MAX_DEPTH:
        raise _Refused("too_deep", f"nested more than {MAX_DEPTH} levels deep")
    try:
        event = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer
        )
        orjson.loads(line)
    except ValueError as fault:
        raise _Refused("not_json" if whole else "torn", str(fault)) from None
    if not isinstance(event, dict):
        raise _Refused("not_json", f"an event is an object, this is {type(event).__name__}")
    return event


def _depth(text: str) -> int:
    """The deepest nesting of brackets outside strings, whether or not they close."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        twice = next(key for key, count in Counter(keys).items() if count > 1)
        raise _Refused("duplicate_keys", f"the key {twice[:40]!r} stands twice")
    return dict(pairs)


def _constant(text: str) -> float:
    raise _Refused("not_finite", f"{text} is not a JSON number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Refused("not_finite", f"{text[:40]} is larger than a double holds")
    return value


def _integer(text: str) -> int:
    _float(text)  # longer ones than a double holds would take for ever to read
    return int(text)


def _check_columns(event: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    for name, kind in columns.items():
        if misfit := _misfit(kind, event.get(name)):
            raise _Refused(misfit[0], f"{name}: {misfit[1]}")


def _misfit(kind: str, value: Any) -> tuple[str, str] | None:
    """Why `value` (from JSON) does not fit a column of this kind: reason and detail; None where it does, as null does.

    A schema may describe a property for one event only; its column has one type for all of them.
    """
    if value is None or kind == "JSON":
        return None
    fitting, expected = _FITTING[kind]
    if not isinstance(value, fitting) or (isinstance(value, bool) and kind != "BOOLEAN"):
        return "wrong_type", f"{str(value)[:40]!r} is not {expected}"
    if kind == "BIGINT" and value % 1:
        return "wrong_type", f"{value} is not {expected}"
    if kind == "BIGINT" and not _MIN_BIGINT <= value <= _MAX_BIGINT:
        return "out_of_range", f"{str(value)[:40]} does not fit into 64 bits"
    return _time_misfit(value) if kind == "TIMESTAMP" else None


def _time_misfit(value: str) -> tuple[str, str] | None:
    if _DATE_TIME.fullmatch(value):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return "invalid_time", f"{value[:40]!r} is no day of the calendar"
        return None
    if not _ZONE.search(value):
        return "no_zone", f"{value[:40]!r} has no zone; write 2026-01-02T11:45:00Z"
    return "invalid_time", f"{value[:40]!r} is no time between 1900 and 2999 as in 2026-01-02T11:45:00Z"
