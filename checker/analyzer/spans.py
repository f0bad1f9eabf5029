"""A span of windows, measured: its events loaded once, then every SLO query over them, in a locked child."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from checker.analyzer.cache import checksum_of, own_file
from checker.analyzer.copies import drop_copies
from checker.analyzer.fast_path import quote, timestamp
from checker.analyzer.ingest import SEAL_EVENT, ingest, read_numbered
from checker.analyzer.queries import Query
from checker.analyzer.results import measurements
from checker.analyzer.rules import IngestRules
from checker.analyzer.sandbox import LockedEngine, Rows, loader, locked_child, rows_of, sent_rows
from checker.analyzer.telemetry import KnownBatch
from checker.analyzer.typed import numbered_events
from checker.child.handle import Child
from checker.child.limits import Limits
from checker.child.serve import Opened
from checker.errors import CannotDecide, QueryFailed, QueryStopped
from checker.model import Measurement, Window
from checker.windows import stamp

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class SloTask:
    """One SLO to measure: its query and how far before a window that query reads."""

    slo: str
    query: Query
    lookback: timedelta


@dataclass(frozen=True, slots=True)
class Span:
    """Windows in a row, with those of the longest lookback before them, and the batches with their events.

    `presence` tells for each of `before + windows` whether it has a batch. `seal_limit` hides later seal lines.
    """

    windows: tuple[Window, ...]
    before: tuple[Window, ...]
    presence: Mapping[datetime, bool]
    batches: tuple[KnownBatch, ...]
    shared: frozenset[datetime]
    tasks: tuple[SloTask, ...]
    phase: str
    seal_limit: datetime | None


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Events of a window over all batches, and copies that were found between batches."""

    events: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class SpanResult:
    """Measurements of a span by (SLO, window start), and counts by window start."""

    measurements: Mapping[tuple[str, datetime], Measurement]
    counts: Mapping[datetime, WindowCounts]


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
def open_span(span: Span, rules: IngestRules, limits: Limits, fill: Fill | None = None) -> Iterator[OpenSpan]:
    """Load the span's events in a child and lock it; `fill` (picklable) may add made-up rows to `loaded` before that.

    Raises CannotDecide where a batch can no longer be read.
    """
    with locked_child(partial(_service, span, rules, limits.query_memory_mb, fill), limits) as child:
        events, copies = child.told
        yield OpenSpan(span, child, _by_start(events), _by_start(copies))


@contextmanager
def _service(span: Span, rules: IngestRules, memory_mb: int, fill: Fill | None) -> Iterator[Opened]:
    """In the child: tells the counts of events and of copies; `(task, windows, sql)` gives the rows of a query."""
    with loader(memory_mb) as connection:
        copies = load_events(connection, span, rules)
        if fill:
            fill(connection)
        events = _load_windows(connection, span)
        loaded = _LoadedSpan(span, rules, LockedEngine(connection))

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
            columns = _listed(_wanted_columns(self.span.tasks, self.rules))
            self.engine.prepare(f"create or replace view events as select {columns} from loaded where {seen}")
            self.engine.prepare(f"create or replace view windows as select * from spine where {seen}")
        return self.engine.run(sql, {"phase": self.span.phase, "window": self.rules.window})

    def _put_in_order(self, task: SloTask, seen: str) -> None:
        """Give the query tables of its own, in an order that its own columns settle (docs/decisions/0007)."""
        own = _wanted_columns((task,), self.rules)
        order = _listed(("ts", *(name for name in own if name != "ts")))
        for name, columns, source, rows_by in (
            ("events", _listed(own), "loaded", order),
            ("windows", "*", "spine", "window_start"),
        ):
            self.engine.prepare(
                f"create or replace table seen_{name} as select {columns} from {source} where {seen} order by {rows_by}"
            )
            self.engine.prepare(f"create or replace view {name} as select * from seen_{name}")


def measure_span(span: Span, rules: IngestRules, limits: Limits) -> SpanResult:
    """Measure every task over the span. A query that fails is run again on halves, down to the window that fails.

    Raises CannotDecide where a batch can no longer be read.
    """
    with open_span(span, rules, limits) as opened:
        measured = {
            (task.slo, row.window_start): row for task in span.tasks for row in _measure(opened, task, span.windows)
        }
    starts = [window.start for window in span.windows]
    return SpanResult(
        measured, {start: WindowCounts(opened.events.get(start, 0), opened.copies.get(start, 0)) for start in starts}
    )


def load_events(connection: duckdb.DuckDBPyConnection, span: Span, rules: IngestRules) -> dict[datetime, int]:
    """Load the span's events into `loaded`, copies between batches dropped; gives those copies by window."""
    for batch in span.batches:
        _mend(connection, batch, rules)
    first, end = (span.before or span.windows)[0].start, span.windows[-1].end
    present = {name for batch in span.batches for name in batch.index.columns}
    wanted = _wanted_columns(span.tasks, rules)
    selected = ", ".join(
        quote(name) if name in present else f"null::{kind} as {quote(name)}" for name, kind in wanted.items()
    )
    sources = " union all by name ".join(
        f"select *, {number} as batch_number from ({numbered_events(batch.events_file, batch.index.has_numbers)})"
        for number, batch in enumerate(span.batches)
    )
    hidden = f"and not (event = '{SEAL_EVENT}' and ts > {timestamp(span.seal_limit)})" if span.seal_limit else ""
    if not span.batches:
        columns = ", ".join(f"null::{kind} as {quote(name)}" for name, kind in wanted.items())
        connection.execute(f"create table loaded as select null::timestamp as window_start, {columns} where false")
        return {}
    # what tells copies apart is read only where there may be some between batches
    keyed = [name for name in rules.schema.dedup_key if name in present and name not in wanted]
    telling = (*keyed, "line_number", "batch_number") if span.shared else ()
    extra = "".join(f", {quote(name)}" for name in telling)
    connection.execute(
        f"create table loaded as select window_start, {selected}{extra} from ({sources})"
        f" where window_start >= {timestamp(first)} and window_start < {timestamp(end)} {hidden}"
    )
    return _drop_shared_copies(connection, span, rules, present)


def _drop_shared_copies(
    connection: duckdb.DuckDBPyConnection, span: Span, rules: IngestRules, present: set[str]
) -> dict[datetime, int]:
    """Drop copies in the windows that more than one batch has events of."""
    if not span.shared or not set(rules.schema.dedup_key) <= present:
        return {}
    listed = ", ".join(timestamp(start) for start in sorted(span.shared))
    dropped = drop_copies(
        connection,
        "loaded",
        rules.schema.dedup_key,
        lambda number, lines: read_numbered(span.batches[number].file, lines),
        source="batch_number",
        only=f"window_start in ({listed})",
    )
    return {start.replace(tzinfo=UTC): count for start, count in dropped.items()}


def _wanted_columns(tasks: Sequence[SloTask], rules: IngestRules) -> dict[str, str]:
    """Columns that the tasks' queries may read, and those that telling copies apart needs, with their types."""
    columns = dict(rules.schema.columns) | ({"payload": "JSON"} if rules.with_payload else {})
    named = {name for task in tasks for name in task.query.columns or columns}
    return {name: kind for name, kind in columns.items() if name.lower() in named or name in ("ts", "event", "phase")}


def _listed(columns: Iterable[str]) -> str:
    """SQL that lists `columns` after the window's start."""
    return ", ".join(map(quote, ("window_start", *columns)))


def _mend(connection: duckdb.DuckDBPyConnection, batch: KnownBatch, rules: IngestRules) -> None:
    """Read the batch again where its typed events are damaged or gone.

    Other spans, and other processes, may mend it at the same time: each writes a file of its own first.
    """
    if checksum_of(batch.events_file) == batch.events_checksum:
        return
    scratch = own_file(batch.events_file.parent, f"mending-{stamp(batch.file.start)}")
    index = ingest(connection, batch.file, rules, scratch)
    if index.digest != batch.index.digest:
        scratch.unlink()
        raise CannotDecide(f"{batch.file.path.name}: changed during the check; run it again")
    scratch.replace(batch.events_file)


def _load_windows(connection: duckdb.DuckDBPyConnection, span: Span) -> dict[datetime, int]:
    rows = connection.execute("select window_start, count(*) from loaded group by all").fetchall()
    counts = {start.replace(tzinfo=UTC): count for start, count in rows}
    spine = [*span.before, *span.windows]
    connection.execute(
        """
        create table spine as
        select
            unnest($1::timestamp[]) as window_start,
            unnest($2::timestamp[]) as window_end,
            unnest($3::boolean[]) as has_batch,
            unnest($4::bigint[]) as events
        """,
        [
            [window.start.replace(tzinfo=None) for window in spine],
            [window.end.replace(tzinfo=None) for window in spine],
            [span.presence[window.start] for window in spine],
            [counts.get(window.start, 0) for window in spine],
        ],
    )
    return counts


def _measure(opened: OpenSpan, task: SloTask, windows: Sequence[Window]) -> Iterator[Measurement]:
    """Measure `windows` at once, or one by one where the order of rows may tell in the result."""
    try:
        yield from _measure_unstopped(opened, task, windows)
    except QueryStopped as fault:
        yield from (Measurement(task.slo, window.start, None, 0, error=str(fault)) for window in windows)


def _measure_unstopped(opened: OpenSpan, task: SloTask, windows: Sequence[Window]) -> Iterator[Measurement]:
    """The same; raises QueryStopped."""
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
