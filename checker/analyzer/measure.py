"""Measurements of windows: from the cache where their inputs are unchanged, else measured in spans."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from checker.analyzer.cache import Cache
from checker.analyzer.rules import IngestRules
from checker.analyzer.span_events import SloTask, Span
from checker.analyzer.spans import SpanResult, WindowCounts, measure_span
from checker.analyzer.telemetry import Mapper, Telemetry
from checker.child.allowance import Allowance
from checker.model import Measurement, Window
from checker.windows import iso

SPAN_EVENTS = 800_000
SPAN_WINDOWS = 96


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurements by (SLO, window start), and counts by window start."""

    measurements: Mapping[tuple[str, datetime], Measurement]
    counts: Mapping[datetime, WindowCounts]


def measure(
    telemetry: Telemetry,
    tasks: Sequence[SloTask],
    phase: str,
    windows: Sequence[Window],
    rules: IngestRules,
    cache: Cache,
    allowance: Allowance,
    run: Mapper,
) -> Measured:
    """Measure every task in every window (oldest first) for the events of `phase`.

    A measurement depends on the query's text, the phase, the rules (with the engine's version) and every batch that
    holds events of the window or of its lookback; that is its key. Failed measurements are not kept.
    """
    keys = {
        (task.slo, window.start): _key(telemetry, task, phase, window, rules) for task in tasks for window in windows
    }
    count_keys = {window.start: _count_key(telemetry, window, rules) for window in windows}
    found = cache.get("measurements", [*keys.values(), *count_keys.values()])
    measurements = {key: _from_cache(*key, found[text]) for key, text in keys.items() if text in found}
    counts = {start: WindowCounts(*found[text]) for start, text in count_keys.items() if text in found}
    missing = [
        window
        for window in windows
        if window.start not in counts or any((task.slo, window.start) not in measurements for task in tasks)
    ]
    spans = list(_spans(telemetry, tasks, phase, missing, rules, measurements))
    for result in run(partial(measure_span, rules=rules, allowance=allowance), spans):
        _keep(result, keys, count_keys, cache)
        measurements.update(result.measurements)
        counts.update(result.counts)
    return Measured(measurements, counts)


def _keep(
    result: SpanResult, keys: Mapping[tuple[str, datetime], str], count_keys: Mapping[datetime, str], cache: Cache
) -> None:
    cache.put(
        "measurements",
        {
            keys[key]: [row.value, row.samples, dict(row.evidence)]
            for key, row in result.measurements.items()
            if row.error is None
        },
    )
    cache.put(
        "measurements",
        {
            count_keys[start]: [count.events, count.duplicates]
            for start, count in result.counts.items()
            if start not in result.too_large
        },
    )


def _from_cache(slo: str, start: datetime, stored: Sequence[object]) -> Measurement:
    value, samples, evidence = stored
    return Measurement(slo, start, value, samples, evidence)  # type: ignore[arg-type]


def _key(telemetry: Telemetry, task: SloTask, phase: str, window: Window, rules: IngestRules) -> str:
    parts = ["slo", rules.digest, task.query.digest, phase, iso(window.start)]
    return _digest([*parts, telemetry.inputs_digest(window.start, task.lookback)])


def _count_key(telemetry: Telemetry, window: Window, rules: IngestRules) -> str:
    return _digest(["counts", rules.digest, iso(window.start), telemetry.inputs_digest(window.start)])


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _spans(
    telemetry: Telemetry,
    tasks: Sequence[SloTask],
    phase: str,
    windows: Sequence[Window],
    rules: IngestRules,
    measured: Mapping[tuple[str, datetime], Measurement],
) -> Iterator[Span]:
    """Runs of windows in a row, each with few enough events; a span measures only what is missing in it."""
    for part in _runs(telemetry, windows):
        missing = tuple(task for task in tasks if any((task.slo, window.start) not in measured for window in part))
        yield span_of(telemetry, missing, phase, tuple(part), rules)


def _runs(telemetry: Telemetry, windows: Sequence[Window]) -> Iterator[list[Window]]:
    part: list[Window] = []
    events = 0
    for window in windows:
        size = sum(batch.index.events.get(window.start, 0) for batch in telemetry.touches(window.start))
        full = events + size > SPAN_EVENTS or len(part) == SPAN_WINDOWS
        if part and (full or window.start != part[-1].end):
            yield part
            part, events = [], 0
        part.append(window)
        events += size
    if part:
        yield part


def span_of(
    telemetry: Telemetry, tasks: tuple[SloTask, ...], phase: str, windows: tuple[Window, ...], rules: IngestRules
) -> Span:
    """The span of `windows` (in a row), with all that `tasks` may read of it."""
    first = windows[0].start
    steps = -(-max((task.lookback for task in tasks), default=timedelta(0)) // rules.window)
    before = tuple(
        Window(first - rules.window * step, first - rules.window * (step - 1)) for step in range(steps, 0, -1)
    )
    starts = [window.start for window in (*before, *windows)]
    batches = {batch.file.start: batch for start in starts for batch in telemetry.touches(start)}
    hidden = any(telemetry.seal_is_later(batch) for batch in batches.values())
    return Span(
        windows=windows,
        before=before,
        presence={start: telemetry.has_batch(start) for start in starts},
        batches=tuple(batches[start] for start in sorted(batches)),
        shared=frozenset(start for start in starts if len(telemetry.touches(start)) > 1),
        tasks=tasks,
        phase=phase,
        seal_limit=telemetry.as_of if hidden else None,
    )
