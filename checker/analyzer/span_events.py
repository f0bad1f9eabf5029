"""What a span of windows holds, and loading it: its events into `loaded`, copies dropped, its windows into `spine`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from checker.analyzer.cache import checksum_of, own_file
from checker.analyzer.copies import drop_copies
from checker.analyzer.fast_path import quote, timestamp
from checker.analyzer.ingest import SEAL_EVENT, ingest, read_numbered
from checker.analyzer.queries import Query
from checker.analyzer.rules import IngestRules
from checker.analyzer.telemetry import KnownBatch
from checker.analyzer.typed import numbered_events
from checker.errors import CannotDecide
from checker.model import Window
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


def load_events(connection: duckdb.DuckDBPyConnection, span: Span, rules: IngestRules) -> dict[datetime, int]:
    """Load the span's events into `loaded`, copies between batches dropped; gives those copies by window."""
    for batch in span.batches:
        _mend(connection, batch, rules)
    first, end = (span.before or span.windows)[0].start, span.windows[-1].end
    present = {name for batch in span.batches for name in batch.index.columns}
    wanted = wanted_columns(span.tasks, rules)
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


def wanted_columns(tasks: Sequence[SloTask], rules: IngestRules) -> dict[str, str]:
    """Columns that the tasks' queries may read, and those that telling copies apart needs, with their types."""
    columns = dict(rules.schema.columns) | ({"payload": "JSON"} if rules.with_payload else {})
    named = {name for task in tasks for name in task.query.columns or columns}
    return {name: kind for name, kind in columns.items() if name.lower() in named or name in ("ts", "event", "phase")}


def listed(columns: Iterable[str]) -> str:
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


def load_windows(connection: duckdb.DuckDBPyConnection, span: Span) -> dict[datetime, int]:
    """Load the span's windows into `spine`; gives the events in `loaded` by window."""
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
