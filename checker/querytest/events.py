"""Events of a case as JSON lines, dealt out to the batches of their windows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from checker.querytest.source import Place
from checker.querytest.terms import Number, is_term, whole
from checker.schemas import shown
from checker.windows import floor_to_window, iso, windows_between

HELPERS = ("at", "repeat", "batch")
MAX_EVENTS = 100_000
MAX_WINDOWS = 1_000


@dataclass(frozen=True, slots=True)
class Setting:
    """What events are made in: the case's zero, the window's length, the phase, and the numbers that terms name."""

    zero: datetime
    window: timedelta
    phase: str
    names: Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of `events`: its lines, and the window in whose batch they come."""

    place: Place
    batch: datetime
    lines: tuple[bytes, ...]


def batches_of(case: Place, defaults: Place, setting: Setting, last: datetime) -> dict[datetime, bytes]:
    """The batches of a case by their window's start: of every window up to that of `last`, but for missing ones."""
    entries = list(_entries(case, defaults, setting))
    missing = {place.window_start(setting.zero, setting.window): place for place in case.items("missing")}
    lines: defaultdict[datetime, list[bytes]] = defaultdict(list)
    for entry in entries:
        lines[entry.batch] += entry.lines
    raw = [place.value.encode() for place in case.items("lines")]
    if raw:
        lines[setting.zero] += raw
    earliest = min([setting.zero, *missing, *lines])
    first = case.at("from").window_start(setting.zero, setting.window) if case.has("from") else earliest
    end = max([last, *lines]) + setting.window
    if end - first > setting.window * MAX_WINDOWS:
        case.note(f"its windows reach from {iso(first)} to {iso(end)}; a case has at most {MAX_WINDOWS}")
        return {}
    spine = [window.start for window in windows_between(first, end, setting.window)]
    _note_strays(entries, missing, spine)
    if raw and setting.zero in missing:
        case.at("lines").note("window 0 has no batch that could hold them")
    return {start: b"".join(line + b"\n" for line in lines.get(start, ())) for start in spine if start not in missing}


def _note_strays(entries: Sequence[Entry], missing: Mapping[datetime, Place], spine: Sequence[datetime]) -> None:
    for start, place in missing.items():
        if start not in spine:
            place.note(f"no window of the case starts at {iso(start)}")
    for entry in entries:
        if entry.batch in missing:
            entry.place.note("its window has no batch; say in which one it came, as in batch: +15m")
        elif entry.batch not in spine:
            entry.place.note(f"its batch, {iso(entry.batch)}, lies before the first one of the case")


def _entries(case: Place, defaults: Place, setting: Setting) -> Iterator[Entry]:
    made = 0
    for place in case.items("events"):
        entry = _entry(place, defaults, setting, made)
        made += len(entry.lines)
        yield entry


def _entry(place: Place, defaults: Place, setting: Setting, made: int) -> Entry:
    """The entry at `place` over the defaults, when `made` events of the case stand before it."""

    def where(key: str) -> Place:
        return place.at(key) if place.has(key) else defaults.at(key)

    at = where("at").instant(setting.zero)
    start = floor_to_window(at, setting.window)
    own = where("batch").value is None
    batch = start if own else where("batch").window_start(setting.zero, setting.window)
    fields = {key: where(key) for key in {**(defaults.value or {}), **place.value} if key not in HELPERS}
    count = _count(place, where("repeat"), fields.values(), setting)
    step = (start + setting.window - at) / max(count, 1)
    columns = {key: list(_column(field, count, setting)) for key, field in fields.items()}
    lines = []
    for index in range(count):
        event = {"ts": iso(at + step * index), "phase": setting.phase}
        event |= {key: _filled(column[index], made + index, start) for key, column in columns.items()}
        lines.append(json.dumps(event, ensure_ascii=False).encode())
    return Entry(place, batch, tuple(lines))


def _count(place: Place, repeat: Place, fields: Any, setting: Setting) -> int:
    """How many events the entry stands for: its lists' length, so often as `repeat` says."""
    lengths = {len(field.value["each"]) for field in fields if _is_list(field.value)}
    if len(lengths) > 1:
        place.note(f"its lists have {' and '.join(map(str, sorted(lengths)))} values; give each as many")
        return 0
    count = max(lengths, default=1) * (1 if repeat.value is None else repeat.count(setting.names))
    if count > MAX_EVENTS:
        place.note(f"stands for {count} events; an entry makes at most {MAX_EVENTS}")
        return 0
    return count


def _is_list(value: Any) -> bool:
    return bool(_items(value, "each"))


def _is_spread(value: Any) -> bool:
    return len(_items(value, "spread")) == 2


def _items(value: Any, helper: str) -> list[Any]:
    """The list of `{each: […]}` or `{spread: […]}`; empty where the value is no such mapping."""
    items = value[helper] if isinstance(value, dict) and value.keys() == {helper} else None
    return items if isinstance(items, list) else []


def _column(field: Place, count: int, setting: Setting) -> Iterator[Any]:
    """The field's value in each of `count` events: the same, those of `each` in turn, or evenly from low to high."""
    if _is_list(field.value):
        values = [_constant(item, setting) for item in field.items("each")]
        yield from (values[index % len(values)] for index in range(count))
    elif _is_spread(field.value):
        low, high = (item.number(setting.names) for item in field.items("spread"))
        yield from (whole(low + (high - low) * index / max(count - 1, 1)) for index in range(count))
    elif isinstance(field.value, dict):
        field.note(f"expected a value, {{each: [1, 2]}} or {{spread: [1, 9]}}, found {shown(field.value)}")
        yield from [None] * count
    else:
        yield from [_constant(field, setting)] * count


def _constant(field: Place, setting: Setting) -> Any:
    return field.number(setting.names) if is_term(field.value) else field.value


def _filled(value: Any, number: int, start: datetime) -> Any:
    """Text with `{n}`, the event's number in the case, and `{window}`, its window's start, filled in."""
    return value.replace("{n}", str(number)).replace("{window}", iso(start)) if isinstance(value, str) else value
