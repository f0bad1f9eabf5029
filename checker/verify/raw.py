"""Events by plain Python, a JSON line at a time: a second way to what the analyzer reads with DuckDB.

Only the list of batches and their bytes are shared with it; `docs/verify.md` says which rules are written again here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from checker.analyzer.batches import BatchFile, LogFolder, hold, plain_bytes, read_lines
from checker.json_validators import fast_validator
from checker.windows import EPOCH, parse_iso

MAX_LINE_BYTES = 1 << 20
SEAL = "collector.latency"


@dataclass(frozen=True, slots=True)
class Reading:
    """The rules of the contract that say which line counts, and for which window.

    `schema` is the event schema, `dedup_key` the fields that copies share; later seal lines than `as_of` do not exist.
    """

    window: timedelta
    lateness: timedelta
    max_late: timedelta
    schema: Mapping[str, Any]
    dedup_key: tuple[str, ...]
    as_of: datetime


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One event that counts. `fields` are those that were asked for."""

    ts: datetime
    window_start: datetime
    event: str
    phase: str
    fields: Mapping[str, Any]

    def number(self, name: str) -> float | None:
        """The field as a number, None where it is none."""
        value = self.fields.get(name)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def read_events(
    folder: LogFolder, reading: Reading, first: datetime, last: datetime, fields: Iterable[str]
) -> list[RawEvent]:
    """Events of the windows that start in `[first, last]`, whichever batch they came in, each once, by time.

    Raises OSError, EOFError or ValueError where a batch cannot be read.
    """
    wanted, validator = frozenset(fields), fast_validator(reading.schema)
    reach = reading.window * -(-reading.lateness // reading.window)
    latest = min(last + reading.max_late, reading.as_of - reading.window)
    chosen: dict[Any, tuple[datetime, bytes, RawEvent]] = {}
    for batch in folder.between(first - reach, latest):
        for number, line, event in _events(batch, validator):
            found = _placed(event, batch, reading, wanted)
            if found is None or not first <= found.window_start <= last:
                continue
            key = _copy_key(event, found, reading.dedup_key) or (batch.path.name, number)
            known = chosen.get(key)
            if known is None or (found.ts, line) < known[:2]:
                chosen[key] = (found.ts, line, found)
    return sorted((row for *_, row in chosen.values()), key=lambda row: row.ts)


def batch_lines(batch: BatchFile) -> tuple[int, bytes]:
    """How many lines the batch has, and the last of them. Raises as `read_events` does."""
    count, last = 0, b""
    with hold(batch) as held, plain_bytes(held) as stream:
        for line in read_lines(stream, MAX_LINE_BYTES):
            count, last = count + 1, line.content
    return count, last


def parsed(line: bytes) -> dict[str, Any] | None:
    """The object on a line; None where it is no JSON object, or has a key twice."""
    try:
        event = json.loads(
            line.decode(), object_pairs_hook=_object, parse_constant=_refused, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    event = dict(pairs)
    if len(event) < len(pairs):
        raise ValueError("a key stands twice")
    return event


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("larger than a double holds")
    return value


def _whole(text: str) -> int:
    _finite(text)  # longer ones than a double holds would take for ever to read
    return int(text)


def _events(batch: BatchFile, validator: Any) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    with hold(batch) as held, plain_bytes(held) as stream:
        for line in read_lines(stream, MAX_LINE_BYTES):
            event = parsed(line.content) if len(line.content) <= MAX_LINE_BYTES else None
            if event is not None and validator.is_valid(event):
                yield line.number, line.content, event


def _placed(event: Mapping[str, Any], batch: BatchFile, reading: Reading, wanted: frozenset[str]) -> RawEvent | None:
    """The event in its window; None for one that is too late, or later than its batch or the clock can know."""
    ts, name = instant_of(event.get("ts")), str(event["event"])
    if ts is None or (name == SEAL and ts > reading.as_of):
        return None
    at = (instant_of(event.get("batch_start")) if name.startswith("collector.") else None) or ts
    end = batch.start + reading.window
    if not end - reading.max_late <= at <= end + reading.lateness:
        return None
    kept = {key: event[key] for key in wanted if key in event}
    return RawEvent(ts, at - (at - EPOCH) % reading.window, name, str(event["phase"]), kept)


def instant_of(text: object) -> datetime | None:
    """The instant that a text names, in UTC; None where it is no text that does."""
    try:
        return parse_iso(text) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


def _copy_key(event: Mapping[str, Any], found: RawEvent, names: Sequence[str]) -> Any:
    values = [event.get(name) for name in names]
    if not names or None in values:
        return None
    return found.window_start, found.phase, json.dumps(values, sort_keys=True)
