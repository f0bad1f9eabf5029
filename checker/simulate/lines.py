"""The lines that one window emits, each with the number of batches by which it arrives late."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from random import Random

import orjson

from checker.model import Window
from checker.simulate.breakage import BREAKAGES
from checker.simulate.scenario import Condition, Copy
from checker.simulate.traffic import draw_arrivals, draw_durations, draw_saves, failures_of
from checker.windows import EPOCH, iso

MILLISECOND = timedelta(milliseconds=1)
_ERROR_CODES = (
    ("timeout", True),
    ("storage_unavailable", True),
    ("quota_exceeded", False),
    ("generation_conflict", False),
)
_TOO_LATE_BY_MS = 25 * 3600 * 1000
_TOO_LATE_DURATION_MS = 9000.0
_MAX_GENERATIONS = 50


class Fate(Enum):
    """What the collector counts a line as when it seals the batch."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicates"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its newline. `retryable` is that of a save error, None for everything else."""

    ts_ms: int
    data: bytes
    fate: Fate = Fate.ACCEPTED
    retryable: bool | None = None


@dataclass(frozen=True, slots=True)
class Emitter:
    """Whoever emits events: the phase and release that they carry, and where chance and serial numbers come from."""

    phase: str
    release: str
    rng: Random
    serials: Iterator[int] = field(default_factory=itertools.count)

    def event(self, ts_ms: int, name: str, /, **fields: object) -> bytes:
        """One event as compact JSON; `ts_ms` counts from the epoch. Fields that are None are left out."""
        ts = (EPOCH + ts_ms * MILLISECOND).strftime("%Y-%m-%dT%H:%M:%S") + f".{ts_ms % 1000:03d}Z"
        head = {"schema_version": 1, "ts": ts, "event": name, "phase": self.phase, "release": self.release}
        return orjson.dumps(head | {key: value for key, value in fields.items() if value is not None})

    def request_id(self) -> str:
        """A new request id: a serial number, so that it is unique, and a random part."""
        return f"{next(self.serials):06x}{self.rng.getrandbits(24):06x}"


@dataclass(frozen=True, slots=True)
class Save:
    """A completed save. `ts_ms` is when it ended, in ms since the epoch."""

    ts_ms: int
    request_id: str
    duration_ms: float
    retry_count: int | None
    size_bytes: int

    def line(self, emitter: Emitter, fate: Fate = Fate.ACCEPTED) -> Line:
        """The line that reports the save."""
        data = emitter.event(
            self.ts_ms,
            "autosave.save.completed",
            request_id=self.request_id,
            duration_ms=self.duration_ms,
            retry_count=self.retry_count,
            bytes=self.size_bytes,
        )
        return Line(self.ts_ms, data, fate)


def milliseconds(window: Window) -> tuple[int, int]:
    """Start and length of `window` in ms, the start since the epoch."""
    return (window.start - EPOCH) // MILLISECOND, (window.end - window.start) // MILLISECOND


def window_lines(window: Window, condition: Condition, mean: float, emitter: Emitter) -> Iterator[tuple[int, Line]]:
    """Every line that `window` emits but the seal, as `(batches later, line)`; `mean` is its mean number of saves."""
    saves = draw_saves(mean, condition, emitter.rng)
    failed = failures_of(saves, condition)
    yield from _completed(_draw_completed(saves - failed, window, condition, emitter), window, condition, emitter)
    on_time = itertools.chain(
        _failures(failed, window, emitter),
        _history(window, condition, emitter),
        _too_late(window, condition, emitter),
        _broken(saves, window, condition, emitter),
        _alerts(window, condition, emitter),
    )
    yield from ((0, line) for line in on_time)


def vary(value: float, spread: float, rng: Random) -> float:
    """`value` changed by at most ± `spread`, a share of it."""
    return value * rng.uniform(1 - spread, 1 + spread)


def _draw_completed(count: int, window: Window, condition: Condition, emitter: Emitter) -> list[Save]:
    rng = emitter.rng
    arrivals = draw_arrivals(count, *milliseconds(window), rng)
    durations = draw_durations(count, 1000 * vary(condition.p95_s, condition.spread, rng), rng)
    return [_draw_save(ts_ms, duration_ms, emitter) for ts_ms, duration_ms in zip(arrivals, durations, strict=True)]


def _draw_save(ts_ms: int, duration_ms: float, emitter: Emitter) -> Save:
    retry_count = emitter.rng.choice((1, 1, 2)) if emitter.rng.random() < 0.04 else None
    return Save(ts_ms, emitter.request_id(), duration_ms, retry_count, int(emitter.rng.lognormvariate(9.8, 0.6)))


def _completed(saves: list[Save], window: Window, condition: Condition, emitter: Emitter) -> Iterator[tuple[int, Line]]:
    """The slowest saves are the late and the copied ones, so that losing or doubling them shows in the percentile."""
    slowest = sorted(saves, key=lambda save: (-save.duration_ms, save.ts_ms))
    late = dict(zip((save.request_id for save in slowest), condition.late, strict=False))
    for save in saves:
        yield late.get(save.request_id, 0), save.line(emitter)
    for save, copy in zip(slowest[len(late) :], condition.copies, strict=False):
        yield copy.batches_later, _moved(save, copy, window).line(emitter, Fate.DUPLICATE)


def _moved(save: Save, copy: Copy, window: Window) -> Save:
    start_ms, length_ms = milliseconds(window)
    ts_ms = min(max(save.ts_ms + copy.shift_ms, start_ms), start_ms + length_ms - 1)
    return replace(save, ts_ms=ts_ms)


def _failures(count: int, window: Window, emitter: Emitter) -> Iterator[Line]:
    arrivals = draw_arrivals(count, *milliseconds(window), emitter.rng)
    for ts_ms, (code, retryable) in zip(arrivals, itertools.cycle(_ERROR_CODES), strict=False):
        data = emitter.event(
            ts_ms, "autosave.save.error", request_id=emitter.request_id(), code=code, retryable=retryable
        )
        yield Line(ts_ms, data, retryable=retryable)


def _history(window: Window, condition: Condition, emitter: Emitter) -> Iterator[Line]:
    start_ms, length_ms = milliseconds(window)
    for ts_ms in draw_arrivals(condition.gc_events, start_ms, length_ms // 2, emitter.rng):
        removed = emitter.rng.randrange(1, 9)
        yield Line(
            ts_ms, emitter.event(ts_ms, "autosave.history.gc", max_generations=_MAX_GENERATIONS, removed=removed)
        )
    for ts_ms in draw_arrivals(condition.drift_events, start_ms + length_ms // 2, length_ms // 2, emitter.rng):
        current = emitter.rng.randrange(_MAX_GENERATIONS, 900)
        fields = {"current_generation": current, "index_generation": current - emitter.rng.randrange(1, 4)}
        yield Line(ts_ms, emitter.event(ts_ms, "autosave.history.drift", **fields))


def _too_late(window: Window, condition: Condition, emitter: Emitter) -> Iterator[Line]:
    """Saves so slow that counting them would turn the window they belong to into a violation."""
    start_ms, length_ms = milliseconds(window)
    for ts_ms in draw_arrivals(condition.too_late, start_ms - _TOO_LATE_BY_MS, length_ms, emitter.rng):
        yield _draw_save(ts_ms, _TOO_LATE_DURATION_MS, emitter).line(emitter)


def _broken(saves: int, window: Window, condition: Condition, emitter: Emitter) -> Iterator[Line]:
    """Broken lines come on top of the sound ones, so that they cannot change what is measured."""
    count = max(len(condition.broken), math.ceil(saves * condition.broken_share)) if condition.broken else 0
    arrivals = draw_arrivals(count, *milliseconds(window), emitter.rng)
    for ts_ms, kind in zip(arrivals, itertools.cycle(condition.broken), strict=False):
        sound = _draw_save(ts_ms, 600.0, emitter).line(emitter, Fate.QUARANTINED)
        yield replace(sound, data=BREAKAGES[kind](sound.data))


def _alerts(window: Window, condition: Condition, emitter: Emitter) -> Iterator[Line]:
    start_ms, length_ms = milliseconds(window)
    if condition.alert_severity is not None:
        (ts_ms,) = draw_arrivals(1, start_ms, length_ms, emitter.rng)
        fields = {"severity": condition.alert_severity, "name": "save-queue-stalled"}
        yield Line(ts_ms, emitter.event(ts_ms, "alert.fired", **fields))
    if condition.exhausted_source is not None:
        ts_ms = start_ms + length_ms + 1000
        source = {"source": condition.exhausted_source, "attempts": 5, "batch_start": iso(window.start)}
        yield Line(ts_ms, emitter.event(ts_ms, "collector.retry_exhausted", **source))
