"""A batch becomes typed: every line accounted for, the events in one Parquet file, an index of what it holds."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checker.analyzer.batch_index import Alert, BatchIndex, ReleaseSeen
from checker.analyzer.batches import BatchFile, HeldBatch, hold, plain_bytes, read_lines
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
MAX_INDEXED = 10_000  # releases of a batch, by window and phase, and alerts: all are kept in memory, batch by batch
MAX_SOURCES, MAX_SOURCE_CHARACTERS = 64, 64  # that a batch was sealed without, as many as a policy has
MAX_PHASES = 100  # of a window: what events carry may be anything
MAX_NAME_CHARACTERS = 500  # of a release, phase or alert in the index; longer ones are told apart by their digest
FROM_THE_FUTURE = "from_the_future"
SEAL_EVENT = "collector.latency"
_PATHS = re.compile(r"(?<![\w.])/[^\s\"']+")
_ALERT_EVENTS = ("alert.fired", "collector.retry_exhausted", "collector.delayed")


def ingest(
    connection: duckdb.DuckDBPyConnection,
    batch: BatchFile,
    rules: IngestRules,
    parquet: Path,
    likely_columns: Sequence[str] = (),
) -> BatchIndex:
    """Read `batch`, write its events to `parquet` (whole or not at all), return its index.

    Raises CannotDecide where the file cannot be read, or changes or is replaced while it is read.
    """
    import duckdb

    scratch = parquet.with_suffix(".tmp")
    try:
        with hold(batch) as held:
            before = held.signature()
            index = _ingest(connection, held, rules, scratch, likely_columns)
            check_unchanged(held, before)
        scratch.replace(parquet)
    except (OSError, EOFError, ValueError, duckdb.Error) as fault:
        raise CannotDecide(f"{batch.path.name}: cannot be read: {cause_of(fault)}") from fault
    finally:
        scratch.unlink(missing_ok=True)
    return index


def check_unchanged(held: HeldBatch, before: tuple[int, int, int, int]) -> None:
    """Raises CannotDecide where the file is no longer what it was `before`, or its name means another one."""
    if held.signature() != before or not held.is_named():
        raise CannotDecide(
            f"{held.file.path.name}: changed while it was read; a sealed batch is never written again: "
            "find what writes it, and run the command again once it lies still"
        )


def cause_of(fault: Exception) -> str:
    """The fault's first line, without a path of this machine."""
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    told = str(fault).strip().splitlines()
    return _PATHS.sub("…", told[0]) if told else type(fault).__name__


def _ingest(
    connection: duckdb.DuckDBPyConnection,
    batch: HeldBatch,
    rules: IngestRules,
    scratch: Path,
    likely_columns: Sequence[str],
) -> BatchIndex:
    scanned = scan(batch)
    loaded = load_at_once(connection, batch, rules, scanned, likely_columns, scratch) or load_line_by_line(
        connection, batch, rules, scratch
    )
    key = rules.schema.dedup_key if set(rules.schema.dedup_key) <= set(loaded.columns) else ()
    dropped = _Dropped()
    if has_copies(connection, "typed", key) or not _all_in_time(loaded, batch.file, rules):
        dropped = _drop(connection, batch, rules, key)
        copy_to(connection, "select * exclude (placed_at) from typed", scratch)
        loaded = replace(loaded, has_numbers=True)
    return _index(connection, batch.file, rules, scanned.digest, loaded, dropped)


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
    connection: duckdb.DuckDBPyConnection, batch: HeldBatch, rules: IngestRules, key: tuple[str, ...]
) -> _Dropped:
    """Take the rows that do not count out of `typed`."""
    connection.execute("create or replace temp table kept as select * from typed")
    future = _delete(connection, from_the_future(batch.file, rules))
    too_late = _delete(connection, f"placed_at < {timestamp(batch.file.start + rules.window - rules.max_late)}")
    copies = drop_copies(connection, "kept", key, lambda _, numbers: _numbered(batch, numbers))
    connection.execute("create or replace temp view typed as select * from kept")
    return _Dropped(copies, too_late, future)


def load_at_once(
    connection: duckdb.DuckDBPyConnection,
    batch: HeldBatch,
    rules: IngestRules,
    scanned: Scan,
    likely_columns: Sequence[str],
    events: Path,
) -> Loaded | None:
    """Load the batch into the file `events` on the fast path; None where its lines do not allow that.

    `likely_columns` are tried first.
    """
    fast = rules.fast_path
    if fast is None or not scanned.has_short_lines:
        return None
    columns = matching_columns(connection, batch, fast, [likely_columns, list(rules.schema.columns)])
    return None if columns is None else load_whole(connection, batch, rules, fast, scanned.lines, columns, events)


def from_the_future(batch: BatchFile, rules: IngestRules) -> str:
    """SQL that holds for the rows of `typed` that are later than the batch can know."""
    return f"placed_at > {timestamp(batch.start + rules.window + rules.lateness)}"


def _delete(connection: duckdb.DuckDBPyConnection, condition: str) -> int:
    row = connection.execute(f"delete from kept where {condition}").fetchone()
    return int(row[0]) if row else 0


def _index(
    connection: duckdb.DuckDBPyConnection,
    batch: BatchFile,
    rules: IngestRules,
    digest: str,
    loaded: Loaded,
    dropped: _Dropped,
) -> BatchIndex:
    quarantined = Counter(loaded.faults)
    if dropped.from_the_future:
        quarantined[FROM_THE_FUTURE] = dropped.from_the_future
    rows = connection.execute(
        f"select window_start, count(*), max(ts) filter (where event = '{SEAL_EVENT}'),"
        f" count(*) filter (where event in {_ALERT_EVENTS}) from typed group by window_start"
    ).fetchall()
    has_list = "incomplete" in loaded.columns and rules.schema.columns["incomplete"] == "JSON"
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
        incomplete=_incomplete(connection, batch.start, has_list)
        if any(seal and _utc(start) == batch.start for start, _, seal, _ in rows)
        else None,
        phases=_phases(connection),
        columns=loaded.columns,
        has_numbers=loaded.has_numbers,
    )


def _incomplete(connection: duckdb.DuckDBPyConnection, start: datetime, has_list: bool) -> tuple[str, ...]:
    """The sources that the batch's own seal says it was sealed without; of a recovery's seals the newest slice's."""
    if not has_list:
        return ()
    rows = connection.execute(
        f"select incomplete::varchar from typed where event = '{SEAL_EVENT}' and window_start = {timestamp(start)}"
        " order by placed_at desc, ts desc, incomplete is null, incomplete::varchar limit 1"
    ).fetchall()
    named = [json.loads(text) for (text,) in rows if text is not None]
    sources = {str(name)[:MAX_SOURCE_CHARACTERS] for names in named if isinstance(names, list) for name in names}
    return tuple(sorted(sources)[:MAX_SOURCES])


def _phases(connection: duckdb.DuckDBPyConnection) -> dict[datetime, dict[str, int]]:
    """Events by window and phase, without the collector's own: the most frequent phases of each window."""
    rows = connection.execute(
        f"""
        with counted as (
            select window_start, phase, count(*) as events
            from typed where not starts_with(event, 'collector.') group by all
        )

        select window_start, {_short("phase")} as phase, events from counted
        qualify row_number() over (partition by window_start order by events desc, phase) <= {MAX_PHASES}
        order by all
        """
    ).fetchall()
    found: dict[datetime, dict[str, int]] = {}
    for start, phase, count in rows:
        found.setdefault(_utc(start), {})[phase] = count
    return found


def _releases(connection: duckdb.DuckDBPyConnection) -> tuple[ReleaseSeen, ...]:
    rows = connection.execute(
        f"select window_start, {_short('phase')}, {_short('release')}, min(ts) from typed"
        f" where release is not null group by all order by all limit {MAX_INDEXED + 1}"
    ).fetchall()
    _check_indexed("releases,", len(rows))
    return tuple(ReleaseSeen(_utc(start), phase, release, _utc(first)) for start, phase, release, first in rows)


def _alerts(connection: duckdb.DuckDBPyConnection, present: tuple[str, ...]) -> tuple[Alert, ...]:
    """Alerts in the events, at most MAX_ALERTS_PER_WINDOW of a window, phase and severity: a gate asks for none."""
    name, severity = ("name" if "name" in present else "null"), ("severity" if "severity" in present else "null")
    rows = connection.execute(
        f"""
        select ts, window_start, {_short("phase")} as phase,
            {_short(f"case when event = 'alert.fired' then coalesce({name}, event) else event end")} as name,
            {
            _short(f'''case event when 'alert.fired' then coalesce({severity}, 'critical')
                when 'collector.delayed' then 'warning' else 'critical' end''')
        } as severity
        from typed
        where event in {_ALERT_EVENTS}
        qualify {MAX_ALERTS_PER_WINDOW} >=
            row_number() over (partition by window_start, phase, severity order by ts, name)
        order by all
        limit {MAX_INDEXED + 1}
        """
    ).fetchall()
    _check_indexed("alerts, by phase and severity,", len(rows))
    return tuple(Alert(_utc(at), _utc(start), phase, name, severity) for at, start, phase, name, severity in rows)


def _short(column: str) -> str:
    """SQL for a text, or where it is longer than an index keeps, for its beginning and its digest."""
    long = f"left({column}, {MAX_NAME_CHARACTERS}) || '…' || sha256({column})"
    return f"case when length({column}) > {MAX_NAME_CHARACTERS} then {long} else {column} end"


def _check_indexed(what: str, rows: int) -> None:
    if rows > MAX_INDEXED:
        raise ValueError(f"holds more than {MAX_INDEXED:,} {what} the most that is kept; look at what wrote it")


def read_numbered(batch: BatchFile, numbers: Iterable[int]) -> dict[int, bytes]:
    """The lines of `batch` with these numbers (from 0), without their newlines. Raises CannotDecide."""
    try:
        with hold(batch) as held:
            return _numbered(held, numbers)
    except (OSError, EOFError, ValueError) as fault:
        raise CannotDecide(f"{batch.path.name}: cannot be read: {cause_of(fault)}") from fault


def _numbered(batch: HeldBatch, numbers: Iterable[int]) -> dict[int, bytes]:
    wanted = set(numbers)
    with plain_bytes(batch) as stream:
        return {line.number: line.content for line in read_lines(stream, MAX_LINE_BYTES) if line.number in wanted}


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC)
