"""A run as batches, one window at a time: what arrived in each, sorted by time, and the collector's seal."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from checker.model import Window
from checker.simulate.lines import Emitter, Fate, Line, milliseconds, vary, window_lines
from checker.simulate.scenario import WINDOW, Condition, Run
from checker.simulate.traffic import mean_saves
from checker.windows import iso, windows_between


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch of one window: its bytes, and how many lines they hold."""

    window: Window
    data: bytes
    lines: int


def simulate(run: Run) -> Iterator[Batch]:
    """The batches of `run`, oldest first, the same bytes for the same run; a missing batch is left out.

    Holds one window at a time, and the lines of it that arrive in later batches.
    """
    rng = Random(run.seed)
    serials = itertools.count()
    in_transit: defaultdict[int, list[Line]] = defaultdict(list)
    for number, window in enumerate(windows_between(run.start, run.end, WINDOW)):
        condition = run.scenario.condition_at(number, run.windows)
        emitter = Emitter(run.phase, condition.release or run.scenario.release, rng, serials)
        if condition.missing:
            in_transit[number + 1] += in_transit.pop(number, [])
            continue
        for batches_later, line in window_lines(window, condition, mean_saves(window.start, run.saves), emitter):
            # What has no batch left to arrive in arrives in time, or the run would lose saves that it counts on.
            arrives = number + batches_later
            in_transit[arrives if arrives < run.windows else number].append(line)
        yield _seal(window, in_transit.pop(number, []), condition, emitter)


def _seal(window: Window, arrived: Sequence[Line], condition: Condition, emitter: Emitter) -> Batch:
    seal = _seal_event(window, arrived, condition, emitter)
    ordered = sorted(arrived, key=lambda line: line.ts_ms)
    data = b"".join(line.data + b"\n" for line in ordered)
    tail = seal[: len(seal) // 2] if condition.torn_seal else seal + b"\n"
    return Batch(window, data + tail, len(ordered) + 1)


def _seal_event(window: Window, arrived: Sequence[Line], condition: Condition, emitter: Emitter) -> bytes:
    """`collector.latency`; what it counts is what lies in the batch, itself left out."""
    fates = Counter(line.fate for line in arrived)
    errors = Counter(line.retryable for line in arrived)
    latency_ms = round(1000 * vary(condition.collector_latency_s, condition.spread, emitter.rng))
    start_ms, length_ms = milliseconds(window)
    return emitter.event(
        start_ms + length_ms + latency_ms,
        "collector.latency",
        latency_ms=latency_ms,
        batch_start=iso(window.start),
        **{fate.value: fates[fate] for fate in Fate},
        errors_retryable=errors[True],
        errors_fatal=errors[False],
        incomplete=[condition.exhausted_source] if condition.exhausted_source else None,
    )
