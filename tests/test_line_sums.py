"""Lines in = events + duplicates + too late + quarantined: 100,000 lines, broken in every way that we can think of.

The lines are counted, and judged, a second time without the program's own code: by bytes, `json` and a few rules.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.fuzz.second_opinion import LATENESS, MAX_LATE, WINDOW, Event, event_of
from tests.telemetry import failure, instant, phasegate, save, seal, write_batch

SEED = 20260102
LINES = 100_000
STARTS = ("10:00", "10:15", "10:30", "10:45", "11:00", "11:15")
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
LONG = 1 << 20

Breakage = Callable[[bytes, random.Random], bytes]


def _flip(line: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(line) - 1)
    return line[:at] + bytes([line[at] ^ 1 << chance.randrange(8)]) + line[at + 1 :]


def _swap(line: bytes, chance: random.Random) -> bytes:
    first, second = sorted(chance.sample(range(len(line) - 1), 2))
    changed = bytearray(line)
    changed[first], changed[second] = line[second], line[first]
    return bytes(changed)


def _cut(line: bytes, chance: random.Random) -> bytes:
    return line[: chance.randrange(len(line) - 1)] + b"\n"


def _put(*pieces: bytes) -> Breakage:
    def breakage(line: bytes, chance: random.Random) -> bytes:
        at = chance.randrange(len(line))
        return line[:at] + chance.choice(pieces) + line[at:]

    return breakage


def _value(key: bytes, *values: bytes) -> Breakage:
    def breakage(line: bytes, chance: random.Random) -> bytes:
        written = chance.choice(values)
        return re.sub(rb'("%s": ?)("[^"]*"|[^,}]*)' % key, lambda found: found[1] + written, line, count=1)

    return breakage


def _whole(*lines: bytes) -> Breakage:
    return lambda _, chance: chance.choice(lines) + b"\n"


def _key(add: bytes) -> Breakage:
    return lambda line, _: line[:-2] + add + b"}\n"


CHEAP: Mapping[str, Breakage] = {
    "bit": _flip,
    "swap": _swap,
    "cut": _cut,
    "empty": _whole(
        b"", b" ", b"\r", b"\t\t", b"\x00", b"null", b"[]", b'"text"', b"1e999", b"{}{}", b"{", b"\xef\xbb\xbf{}"
    ),
    "bytes": _put(b"\xff", b"\xef\xbb\xbf", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"\x1b", b"\r", b"\xe2\x80\xa8"),
    "syntax": _put(b",", b"}", b"{", b'"', b"\\", b"[", b"'", b"//", b"\\u12"),
    "nested": _key(b',"deep":' + b"[" * 100 + b"]" * 100),
    "unclosed": _key(b',"deep":' + b'{"a":' * 120),
    "twice": _key(b',"phase":"C"'),
    "huge": _value(b"duration_ms", b"1e999", b"-1e999", b"1" + b"0" * 400, b"NaN", b"Infinity", b"0x10", b"01", b"1."),
    "future": _value(b"ts", b'"2026-01-03T10:00:00Z"', b'"2999-12-31T23:59:59Z"'),
    "old": _value(b"ts", b'"2025-12-31T10:00:00Z"', b'"1900-01-01T00:00:00Z"', b'"2026-01-01T09:59:59Z"'),
}
DEAR: Mapping[str, Breakage] = {
    "type": _value(b"duration_ms", b'"1"', b"true", b"null", b"{}", b"[1]", b"-1"),
    "time": _value(b"ts", b'"2026-02-30T10:00:00Z"', b'"2026-01-02T10:00:00"', b'"2026-01-02"', b"1767348000", b'""'),
    "missing": lambda line, _: line.replace(b'"phase"', b'"fase"', 1),
    "version": _value(b"schema_version", b"2", b'"1"', b"1.5", b"99999999999999999999"),
    "long": lambda line, _: line[:-2] + b',"x":"' + b"y" * LONG + b'"}\n',
}

BREAKAGES = {**CHEAP, **DEAR}
COPIES = ("copy", "copy before")
# How often each kind of line comes; the dear ones take the program's slow explanations and the long one a megabyte.
SHARES = {"good": 120, **dict.fromkeys(COPIES, 4), **dict.fromkeys(CHEAP, 2), "old": 4, "nested": 1}
SHARES |= dict.fromkeys(("bit", "swap", "unclosed", *DEAR), 0.2) | {"long": 0.004}


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it was made: its window's start, its lines, how it is packed, and the events of lines made sound."""

    start: str
    lines: tuple[bytes, ...]
    suffix: str
    known: Mapping[bytes, Event]

    @property
    def content(self) -> bytes:
        return b"".join(self.lines)


def _form(line: bytes) -> tuple[bytes, Mapping[str, Any]]:
    """Bytes of a line with places for time and name, and its fields."""
    return line.replace(b"2026-01-02T00:00:00Z", b"%b").replace(b"NAME", b"%b"), json.loads(line)


SAVED, FAILED = _form(save("00:00", "NAME")), _form(failure("00:00", "NAME"))


def _good(start: datetime, number: int, chance: random.Random) -> tuple[bytes, Event]:
    """A sound line, and the event that it is."""
    at = start + timedelta(milliseconds=chance.randrange(900_000))
    form, fields = SAVED if chance.random() < 0.9 else FAILED
    ts, name = at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), f"r{number}"
    return form % (ts.encode(), name.encode()), Event({**fields, "ts": ts, "request_id": name}, at)


def _batches() -> Iterator[Batch]:
    """LINES lines in a batch for each of STARTS; the last ends without a newline, in the middle of a line."""
    chance = random.Random(SEED)
    kinds, shares = list(SHARES), list(SHARES.values())
    before: list[bytes] = []
    for order, start in enumerate(STARTS):
        lines: list[bytes] = []
        known: dict[bytes, Event] = {}
        for number, kind in enumerate(chance.choices(kinds, shares, k=LINES // len(STARTS))):
            line, event = _good(instant(start), order * LINES + number, chance)
            if source := {"copy": lines, "copy before": before}.get(kind):
                line = chance.choice(source[-500:])
            elif kind in BREAKAGES:
                line = BREAKAGES[kind](line, chance)
            else:
                known[line[:-1]] = event
            lines.append(line)
        lines.append(seal(f"{start}:59", start, 41.0))
        if start == STARTS[-1]:
            lines[-1] = lines[-1][:-20]
        yield Batch(start, tuple(lines), SUFFIXES[order % len(SUFFIXES)], known)
        before = lines


@dataclass(frozen=True, slots=True)
class Expected:
    """What the second opinion makes of a batch; `events` are all that count in it, by their key where they have one."""

    lines: int
    events: Mapping[Any, Event]
    duplicates: int
    too_late: int
    quarantined: int


def _expected(batch: Batch) -> Expected:
    end = instant(batch.start) + WINDOW
    lines = batch.content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    found = [batch.known.get(line) or event_of(line) for line in lines]
    sound = [event for event in found if event is not None and event.placed_at <= end + LATENESS]
    in_time = [event for event in sound if event.placed_at >= end - MAX_LATE]
    events = {event.key or (batch.start, number): event for number, event in enumerate(in_time)}
    return Expected(len(lines), events, len(in_time) - len(events), len(sound) - len(in_time), len(lines) - len(sound))


@pytest.fixture(scope="module")
def batches() -> tuple[Batch, ...]:
    return tuple(_batches())


@pytest.fixture(scope="module")
def expected(batches: tuple[Batch, ...]) -> dict[str, Expected]:
    return {batch.start: _expected(batch) for batch in batches}


@pytest.fixture(scope="module")
def report(batches: tuple[Batch, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What `phasegate validate --logs` says of the batches, and the cache with the events that it read."""
    folder = tmp_path_factory.mktemp("sums")
    for batch in batches:
        write_batch(folder / "logs", batch.start, batch.lines, batch.suffix)
    given = ("--logs", folder / "logs", "--as-of", "2026-01-02T12:00:00Z", "--format", "json", "--threads", "1")
    ran = phasegate("validate", *given, cache=folder / "cache")
    assert ran.code == 1, ran.err
    return ran.document["logs"], folder / "cache"


def test_there_are_as_many_lines_as_told_and_of_every_kind(batches: tuple[Batch, ...]) -> None:
    assert sum(len(batch.lines) for batch in batches) >= LINES
    assert {batch.suffix for batch in batches} == set(SUFFIXES)
    assert any(len(line) > LONG for batch in batches for line in batch.lines)
    assert not batches[-1].content.endswith(b"\n")


@pytest.mark.parametrize("start", STARTS)
def test_every_line_of_a_batch_is_accounted_for(
    start: str, expected: dict[str, Expected], report: tuple[dict[str, Any], Path]
) -> None:
    (found,) = [batch for batch in report[0]["batches"] if batch["window_start"][11:16] == start]
    told = expected[start]
    assert found["lines"] == told.lines
    assert found["lines"] == found["events"] + found["duplicates"] + found["too_late"] + found["quarantined"]
    assert (found["events"], found["duplicates"]) == (len(told.events), told.duplicates)
    assert (found["too_late"], found["quarantined"]) == (told.too_late, told.quarantined)
    assert min(found["events"], found["duplicates"], found["too_late"], found["quarantined"]) > 100


def test_every_line_of_the_folder_is_accounted_for(
    batches: tuple[Batch, ...], expected: dict[str, Expected], report: tuple[dict[str, Any], Path]
) -> None:
    found = report[0]
    assert found["unreadable"] == {}
    assert found["lines"] == sum(batch.content.rstrip(b"\n").count(b"\n") + 1 for batch in batches)
    assert found["lines"] == found["events"] + found["duplicates"] + found["too_late"] + found["quarantined"]
    once = {key for told in expected.values() for key in told.events}
    assert found["events"] == len(once)
    assert found["copies_between_batches"] == sum(len(told.events) for told in expected.values()) - len(once) > 100


def test_no_refused_line_became_an_event(expected: dict[str, Expected], report: tuple[dict[str, Any], Path]) -> None:
    """The events that the program kept are those of the second opinion, value by value."""
    names = ("event", "phase", "request_id", "duration_ms", "code", "retryable")
    files = [str(path) for path in report[1].rglob("*.parquet")]
    with duckdb.connect() as connection:
        query = f"select {', '.join(names)} from read_parquet($1, union_by_name = true)"
        kept = Counter(connection.execute(query, [files]).fetchall())
    sound = Counter(
        tuple(event.fields.get(name) for name in names) for told in expected.values() for event in told.events.values()
    )
    assert kept.total() == sum(len(told.events) for told in expected.values())
    assert kept == sound
