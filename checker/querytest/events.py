"""Events of a case as JSON lines, dealt out to the batches of their windows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from checker.querytest.source import Place
from checker.querytest.terms import Number, is_term, number_of
from checker.schemas import shown
from checker.windows import floor_to_window, iso, windows_between

HELPERS = ("at", "repeat", "batch")
MAX_EVENTS = 100_000


@dataclass(frozen=True, slots=True)
class Setting:
    """What an event is made in: the case's zero, the window's length, the phase, and the numbers that terms name."""

    zero: datetime
    window: timedelta
    phase: str
    names: Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of `events`: `count` lines of `fields`, from `at` on, arriving in the batch of `batch`."""

    place: Place
    at: datetime
    batch: datetime
    count: int
    fields: Mapping[str, Any]


def batches_of(case: Place, defaults: Place, setting: Setting, last: datetime) -> dict[datetime, bytes]:
    """The batches of a case by their window's start, up to that of `last`: every window's but the missing ones'."""
    entries = [_entry(place, defaults, setting) for place in case.items("events")]
    missing = {place.instant(setting.zero): place for place in case.items("missing")}
    lines = _lines(entries, setting)
    if case.value.get("lines"):
        lines[setting.zero] += [text.encode() for text in case.value["lines"]]
    first = case.at("from").instant(min([setting.zero, *missing, *lines]))
    spine = [window.start for window in windows_between(first, max([last, *lines]) + setting.window, setting.window)]
    _note_stray_batches(case, entries, missing, spine)
    return {start: b"".join(line + b"\n" for line in lines.get(start, ())) for start in spine if start not in missing}


def _note_stray_batches(
    case: Place, entries: Sequence[Entry], missing: Mapping[datetime, Place], spine: Sequence[datetime]
) -> None:
    for start, place in missing.items():
        if start not in spine:
            place.note(f"no window of the case starts at {iso(start)}")
    for entry in entries:
        if entry.batch in missing:
            entry.place.note("its window has no batch; say in which it came, with batch: +15m")
        elif entry.batch not in spine:
            entry.place.note(f"its batch, {iso(entry.batch)}, lies before the first one of the case")
    if setting_zero_is_missing(case, missing, spine):
        case.at("lines").note("window 0 has no batch that could hold lines")


def setting_zero_is_missing(case: Place, missing: Mapping[datetime, Place], spine: Sequence[datetime]) -> bool:
    """Whether the case has lines for a batch that is not there."""
    return False


def _entry(place: Place, defaults: Place, setting: Setting) -> Entry:
    """The entry at `place` over the defaults; what it lacks it takes from them."""

    def source(key: str) -> Place:
        return place.at(key) if place.has(key) else defaults.at(key)

    at = source("at").instant(setting.zero)
    own = floor_to_window(at, setting.window)
    batch = floor_to_window(source("batch").instant(own), setting.window) if source("batch").value is not None else own
    names = {key: source(key) for key in {**(defaults.value or {}), **place.value} if key not in HELPERS}
    rows = [_field_values(where, setting) for where in names.values()]
    repeat = 1 if source("repeat").value is None else source("repeat").count(setting.names)
    sizes = {len(values) for values in rows if len(values) > 1}
    if len(sizes) > 1:
        place.note(f"its lists are of different lengths: {', '.join(map(str, sorted(sizes)))}")
    return Entry(place, at, batch, repeat * max(sizes, default=1), dict(zip(names, rows, strict=True)))
