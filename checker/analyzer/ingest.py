"""A batch becomes typed: every line accounted for, the events in one Parquet file, an index of what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checker.analyzer.batch_index import Alert, BatchIndex, ReleaseSeen
from checker.analyzer.batches import BatchFile, plain_bytes, read_lines
from checker.analyzer.copies import drop_copies, has_copies
from checker.analyzer.fast_path import timestamp
from checker.analyzer.lines import MAX_LINE_BYTES
from checker.analyzer.rules import IngestRules
from checker.analyzer.scan import Scan, matching_columns, scan
from checker.analyzer.typed import Loaded, copy_to, load_line_by_line, load_whole
from checker.errors import CannotDecide

if TYPE_CHECKING:
    import duckdb

MAX_ALERTS_PER_WINDOW = 100
FROM_THE_FUTURE = "from_the_future"
SEAL_EVENT = "collector.latency"
_ALERT_EVENTS = ("alert.fired", "collector.retry_exhausted", "collector.delayed")


def ingest(
    connection: duckdb.DuckDBPyConnection,
    batch: BatchFile,
    rules: IngestRules,
    parquet: Path,
    likely_columns: Sequence[str] = (),
) -> BatchIndex:
    """Read `batch`, write its events to `parquet` (whole or not at all), return its index.

    Raises CannotDecide where the file cannot be read or changes while it is read.
    """
    import duckdb

    try:
        before = batch.signature()
        index = _ingest(connection, batch, rules, parquet, likely_columns)
        after = batch.signature()
    except (OSError, EOFError, ValueError, duckdb.Error) as fault:
        raise CannotDecide(f"{batch.path.name}: cannot be read: {_cause(fault, batch)}") from fault
    if before != after:
        raise CannotDecide(f"{batch.path.name}: changed while it was read; a sealed batch is never written again")
    return index


def _cause(fault: Exception, batch: BatchFile) -> str:
    """The fault's first line, without a path of this machine."""
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    return str(fault).splitlines()[0].replace(str(batch.path.parent), "…") if str(fault) else type(fault).__name__


def _ingest(
    connection: duckdb.DuckDBPyConnection,
    batch: BatchFile,
    rules: IngestRules,
    parquet: Path,
    likely_columns: Sequence[str],
) -> BatchIndex:
    scanned = scan(batch)
    scratch = parquet.with_suffix(".tmp")
    loaded = _load_whole(connection, batch, rules, scanned, likely_columns, scratch) or load_line_by_line(
        connection, batch, rules, scratch
    )
    key = rules.schema.dedup_key if set(rules.schema.dedup_key) <= set(loaded.columns) else ()
    dropped = _Dropped()
    if has_copies(connection, "typed", key) or not _all_in_time(loaded, batch, rules):
        dropped = _drop(connection, batch, rules, key)
        copy_to(connection, "select * exclude (placed_at) from typed", scratch)
        loaded = replace(loaded, has_numbers=True)
    index = _index(connection, scanned.digest, loaded, dropped)
    scratch.replace(parquet)
    return index


@dataclass(frozen=True, slots=True)
class _Dropped:
    """Rows that do not count: copies by window, too late, later than their batch can know."""

    copies: Mapping[Any, int] = field(default_factory=dict)
    too_late: int = 0
    from_the_future: int = 0


def _all_in_time(loaded: Loaded, batch: BatchFile, rules: IngestRules) -> bool:
    """Whether no event is too late or later than its batch can know."""
    if loaded.first_at is None or loaded.last_at is None:
        return True
    end = batch.start + rules.window
    return _utc(loaded.first_at) >= end - rules.max_late and _utc(loaded.last_at) <= end + rules.lateness


def _drop(
    connection: duckdb.DuckDBPyConnection, batch: BatchFile, rules: IngestRules, key: tuple[str, ...]
) -> _Dropped:
    """Take the rows that do not count out of `typed`."""
    connection.execute("create or replace temp table kept as select * from typed")
    future = _delete(connection, from_the_future(batch, rules))
    too_late = _delete(connection, f"placed_at < {timestamp(batch.start + rules.window - rules.max_late)}")
    copies = drop_copies(connection, "kept", key, lambda _, numbers: read_numbered(batch, numbers))
    connection.execute("create or replace temp view typed as select * from kept")
    return _Dropped(copies, too_late, future)


def _load_whole(
    connection: duckdb.DuckDBPyConnection,
    batch: BatchFile,
    rules: IngestRules,
    scanned: Scan,
    likely_columns: Sequence[str],
    events: Path,
) -> Loaded | None:
    """Load the batch on the fast path, if its lines allow that."""
    fast = rules.fast_path
    if fast is None or not scanned.has_short_lines:
        return None
    columns = matching_columns(connection, batch, fast, [likely_columns, list(rules.schema.columns)])
    return None if columns is None else load_whole(connection, batch.path, rules, fast, scanned.lines, columns, events)


def from_the_future(batch: BatchFile, rules: IngestRules) -> str:
    """SQL that holds for the rows of `typed` that are later than the batch can know."""
    return f"placed_at > {timestamp(batch.start + rules.window + rules.lateness)}"


def _delete(connection: duckdb.DuckDBPyConnection, condition: str) -> int:
    row = connection.execute(f"delete from kept where {condition}").fetchone()
    return int(row[0]) if row else 0


def _index(connection: duckdb.DuckDBPyConnection, digest: str, loaded: Loaded, dropped: _Dropped) -> BatchIndex:
    quarantined = Counter(loaded.faults)
    if dropped.from_the_future:
        quarantined[FROM_THE_FUTURE] = dropped.from_the_future
    rows = connection.execute(
        f"select window_start, count(*), max(ts) filter (where event = '{SEAL_EVENT}'),"
        f" count(*) filter (where event in {_ALERT_EVENTS}) from typed group by window_start"
    ).fetchall()
    return BatchIndex(
        digest=digest,
        lines=loaded.lines,
        too_late=dropped.too_late,
        events={_utc(start): count for start, count, *_ in rows},
        duplicates={_utc(start): count for start, count in dropped.copies.items()},
        quarantined=dict(sorted(quarantined.items())),
        releases=_releases(connection) if "release" in loaded.columns else (),
        alerts=_alerts(connection, loaded.columns) if any(row[-1] for row in rows) else (),
        last_seal_at=max((_utc(seal) for _, _, seal, _ in rows if seal), default=None),
        columns=loaded.columns,
        has_numbers=loaded.has_numbers,
    )


def _releases(connection: duckdb.DuckDBPyConnection) -> tuple[ReleaseSeen, ...]:
    rows = connection.execute(
        "select window_start, phase, release, min(ts) from typed where release is not null group by all order by all"
    ).fetchall()
    return tuple(ReleaseSeen(_utc(start), phase, release, _utc(first)) for start, phase, release, first in rows)


def _alerts(connection: duckdb.DuckDBPyConnection, present: tuple[str, ...]) -> tuple[Alert, ...]:
    """Alerts in the events, at most MAX_ALERTS_PER_WINDOW of a window, phase and severity: a gate asks for none."""
    name, severity = ("name" if "name" in present else "null"), ("severity" if "severity" in present else "null")
    rows = connection.execute(
        f"""
        select ts, window_start, phase,
            case when event = 'alert.fired' then coalesce({name}, event) else event end as name,
            case event when 'alert.fired' then coalesce({severity}, 'critical')
                when 'collector.delayed' then 'warning' else 'critical' end as severity
        from typed
        where event in {_ALERT_EVENTS}
        qualify {MAX_ALERTS_PER_WINDOW} >=
            row_number() over (partition by window_start, phase, severity order by ts, name)
        order by all
        """
    ).fetchall()
    return tuple(Alert(_utc(at), _utc(start), phase, name, severity) for at, start, phase, name, severity in rows)


def read_numbered(batch: BatchFile, numbers: Iterable[int]) -> dict[int, bytes]:
    """The lines of `batch` with these numbers (from 0), without their newlines."""
    wanted = set(numbers)
    with plain_bytes(batch) as stream:
        return {line.number: line.content for line in read_lines(stream, MAX_LINE_BYTES) if line.number in wanted}


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC)
