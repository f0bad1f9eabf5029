"""A span of windows, measured: its events loaded once, then every SLO query over them, in a locked child."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from checker.analyzer.fast_path import timestamp
from checker.analyzer.results import agree, measurements
from checker.analyzer.rules import IngestRules
from checker.analyzer.sandbox import LockedEngine, Rows, loader, loading, locked_child, rows_of, sent_rows
from checker.analyzer.span_events import SloTask, Span, listed, load_events, load_windows, wanted_columns
from checker.child.allowance import Allowance
from checker.child.handle import Child
from checker.child.serve import Opened
from checker.errors import QueryFailed, QueryStopped, TooMuchToLoad
from checker.model import Measurement, Window
from checker.windows import iso

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Events of a window over all batches, and copies that were found between batches."""

    events: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class SpanResult:
    """Measurements of a span by (SLO, window start), and counts by window start.

    `too_large` are windows whose events do not fit into memory; theirs are what the batches' indexes say.
    """

    measurements: Mapping[tuple[str, datetime], Measurement]
    counts: Mapping[datetime, WindowCounts]
    too_large: frozenset[datetime] = frozenset()


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """A span whose events are loaded in a locked child. `events` and `copies` count by window start."""

    span: Span
    child: Child
    events: Mapping[datetime, int]
    copies: Mapping[datetime, int]

    def run(self, task: SloTask, windows: Sequence[Window], sql: str | None = None) -> Rows:
        """Run the task's query, or `sql` in its place, so that it sees `windows` (in a row) and the task's lookback.

        Raises QueryFailed.
        """
        return rows_of(self.child.ask((task, tuple(windows), sql or task.query.sql)))


Fill = Callable[["duckdb.DuckDBPyConnection"], None]


@contextmanager
def open_span(span: Span, rules: IngestRules, allowance: Allowance, fill: Fill | None = None) -> Iterator[OpenSpan]:
    """Load the span's events in a child and lock it; `fill` (picklable) may add made-up rows to `loaded` before that.

    Raises TooMuchToLoad, and CannotDecide where a batch can no longer be read.
    """
    with locked_child(partial(_service, span, rules, allowance.query_memory_mb, fill), allowance) as child:
        events, copies = child.told
        yield OpenSpan(span, child, _by_start(events), _by_start(copies))


@contextmanager
def _service(span: Span, rules: IngestRules, memory_mb: int, fill: Fill | None) -> Iterator[Opened]:
    """In the child: tells the counts of events and of copies; `(task, windows, sql)` gives the rows of a query."""
    with loader() as connection:
        with loading():
            copies = load_events(connection, span, rules)
            if fill:
                fill(connection)
            events = load_windows(connection, span)
        loaded = _LoadedSpan(span, rules, LockedEngine(connection, memory_mb))

        def answer(request: tuple[SloTask, Sequence[Window], str]) -> Any:
            return sent_rows(loaded.run(*request))

        yield [list(events.items()), list(copies.items())], answer


def _by_start(counts: Any) -> dict[datetime, int]:
    return {start: int(count) for start, count in counts}


@dataclass(frozen=True, slots=True)
class _LoadedSpan:
    """A span whose events are loaded, behind a locked engine."""

    span: Span
    rules: IngestRules
    engine: LockedEngine

    def run(self, task: SloTask, windows: Sequence[Window], sql: str) -> Rows:
        first, end = windows[0].start - task.lookback, windows[-1].end
        seen = f"window_start >= {timestamp(first)} and window_start < {timestamp(end)}"
        if task.query.ordered:
            self._put_in_order(task, seen)
        else:
            columns = listed(wanted_columns(self.span.tasks, self.rules))
            self.engine.prepare(f"create or replace view events as select {columns} from loaded where {seen}")
            self.engine.prepare(f"create or replace view windows as select * from spine where {seen}")
        return self.engine.run(sql, {"phase": self.span.phase, "window": self.rules.window})

    def _put_in_order(self, task: SloTask, seen: str) -> None:
        """Give the query tables of its own, in an order that its own columns settle (docs/decisions/0007)."""
        own = wanted_columns((task,), self.rules)
        order = listed(("ts", *(name for name in own if name != "ts")))
        for name, columns, source, rows_by in (
            ("events", listed(own), "loaded", order),
            ("windows", "*", "spine", "window_start"),
        ):
            self.engine.prepare(
                f"create or replace table seen_{name} as select {columns} from {source} where {seen} order by {rows_by}"
            )
            self.engine.prepare(f"create or replace view {name} as select * from seen_{name}")


def measure_span(span: Span, rules: IngestRules, allowance: Allowance) -> SpanResult:
    """Measure every task over the span. A query that fails is run again on halves, down to the window that fails.

    So is a span whose events do not fit into memory, and one window of it a task at a time. Raises CannotDecide where a
    batch can no longer be read.
    """
    try:
        with open_span(span, rules, allowance) as opened:
            measured = {
                (task.slo, row.window_start): row for task in span.tasks for row in _measure(opened, task, span.windows)
            }
    except TooMuchToLoad as fault:
        parts = _parts(span, rules.window)
        return _together([measure_span(part, rules, allowance) for part in parts]) if parts else _too_large(span, fault)
    starts = [window.start for window in span.windows]
    return SpanResult(
        measured, {start: WindowCounts(opened.events.get(start, 0), opened.copies.get(start, 0)) for start in starts}
    )


def _parts(span: Span, length: timedelta) -> list[Span]:
    """The span in two halves, a single window task by task with no more before it than each reads; none of one task."""
    if len(span.windows) > 1:
        middle = len(span.windows) // 2
        earlier = (*span.before, *span.windows[:middle])
        before = earlier[len(earlier) - len(span.before) :]
        return [
            replace(span, windows=span.windows[:middle]),
            replace(span, windows=span.windows[middle:], before=before),
        ]
    if len(span.tasks) < 2:
        return []
    steps = [-(-task.lookback // length) for task in span.tasks]
    return [
        replace(span, tasks=(task,), before=span.before[len(span.before) - count :])
        for task, count in zip(span.tasks, steps, strict=True)
    ]


def _together(results: Sequence[SpanResult]) -> SpanResult:
    measured: dict[tuple[str, datetime], Measurement] = {}
    counts: dict[datetime, WindowCounts] = {}
    for result in results:
        measured.update(result.measurements)
        counts.update({start: count for start, count in result.counts.items() if start not in counts})
    return SpanResult(measured, counts, frozenset().union(*(result.too_large for result in results)))


def _too_large(span: Span, fault: TooMuchToLoad) -> SpanResult:
    """Errors for every task in the one window of the span."""
    return failed_span(span, str(fault))


def failed_span(span: Span, why: str) -> SpanResult:
    """Errors for every task in every window of a span that nothing could measure; events are what the indexes say."""
    failed = {
        (task.slo, window.start): Measurement(task.slo, window.start, None, 0, error=why)
        for task in span.tasks
        for window in span.windows
    }
    starts = [window.start for window in span.windows]
    counts = {start: sum(batch.index.events.get(start, 0) for batch in span.batches) for start in starts}
    return SpanResult(failed, {start: WindowCounts(count, 0) for start, count in counts.items()}, frozenset(starts))


def _measure(opened: OpenSpan, task: SloTask, windows: Sequence[Window]) -> list[Measurement]:
    """Measure `windows` at once, or one by one where the order of rows may tell in the result."""
    try:
        found = list(_measure_unstopped(opened, task, windows))
        told = _differs_alone(opened, task, windows, found)
    except QueryStopped as fault:
        told = str(fault)
    if told is None:
        return found
    return [Measurement(task.slo, window.start, None, 0, error=told) for window in windows]


def _differs_alone(
    opened: OpenSpan, task: SloTask, windows: Sequence[Window], found: Sequence[Measurement]
) -> str | None:
    """What a query measures otherwise when it sees one window alone, tried on two; None where nothing.

    Made-up events have shown that already, but a query can be written to tell them from real ones. One of the two is
    the newest, which decides; the other is chosen by the query's own digest, which its text cannot know.
    Raises QueryStopped.
    """
    if task.query.ordered or len(windows) < 2:
        return None
    chosen = int(hashlib.sha256(f"{task.query.digest} {windows[0].start}".encode()).hexdigest(), 16) % len(windows)
    for number in sorted({chosen, len(windows) - 1}):
        (alone,) = _measure_unstopped(opened, task, [windows[number]])
        if not agree(found[number], alone):
            return (
                f"reads more than the window and its lookback: it measures {found[number].value} in a span and"
                f" {alone.value} alone for {iso(windows[number].start)}; declare the lookback it needs, or read less"
            )
    return None


def _measure_unstopped(opened: OpenSpan, task: SloTask, windows: Sequence[Window]) -> Iterator[Measurement]:
    """What `_measure` does, but for what it makes of a QueryStopped, which this raises."""
    if task.query.ordered and len(windows) > 1:
        for window in windows:
            yield from _measure_unstopped(opened, task, [window])
        return
    try:
        yield from list(measurements(task.slo, opened.run(task, windows), windows))
    except QueryStopped:
        raise
    except QueryFailed as fault:
        if len(windows) == 1:
            yield Measurement(task.slo, windows[0].start, None, 0, error=str(fault))
            return
        middle = len(windows) // 2
        yield from _measure_unstopped(opened, task, windows[:middle])
        yield from _measure_unstopped(opened, task, windows[middle:])
