"""JSON lines into a typed Parquet file that the view `typed` shows: a row a line, with its window and its number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checker.analyzer.batches import HeldBatch, Line, plain_bytes, read_lines
from checker.analyzer.event_schema import EventSchema
from checker.analyzer.fast_path import FastPath, literal, quote
from checker.analyzer.lines import MAX_LINE_BYTES, Fault, line_checker
from checker.analyzer.rules import IngestRules
from checker.analyzer.unpack import PLAIN

if TYPE_CHECKING:
    import duckdb

_LIMITS = f"maximum_object_size = {2 * MAX_LINE_BYTES}, ignore_errors = false"
MAX_BROKEN_LINES = 200_000  # of a batch; each takes many times as long as a sound one


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a batch's lines: how many there were, which columns have values, why lines were refused.

    `first_at` and `last_at` are the earliest and latest `placed_at`, None without a sound line. `has_numbers` says that
    the file holds line numbers.
    """

    lines: int
    columns: tuple[str, ...]
    first_at: datetime | None
    last_at: datetime | None
    faults: Mapping[str, int] = field(default_factory=dict)
    has_numbers: bool = False


@dataclass(frozen=True, slots=True)
class Lines:
    """A file of sound lines as DuckDB reads it; `numbers` lists their numbers, a line each, without it 0, 1, 2 …"""

    path: Path
    packing: str = PLAIN
    numbers: Path | None = None


def load_whole(
    connection: duckdb.DuckDBPyConnection,
    batch: HeldBatch,
    rules: IngestRules,
    fast_path: FastPath,
    lines: int,
    columns: Sequence[str],
    events: Path,
) -> Loaded | None:
    """Load a batch of `lines` lines that follow the grammar of `columns` into the file `events`.

    None where a row breaks the schema after all, or not every line became one: the batch is then read line by line.
    """
    import duckdb

    try:
        write_typed(connection, Lines(batch.path, batch.packing), rules, columns, events)
    except duckdb.Error:
        return None
    missing = "".join(
        f", null::{kind} as {quote(name)}" for name, kind in rules.schema.columns.items() if name not in columns
    )
    rows, valid, loaded = _loaded(connection, rules, columns, fast_path.valid, f"(select *{missing} from typed)", lines)
    return loaded if valid and rows == lines else None


def load_line_by_line(
    connection: duckdb.DuckDBPyConnection,
    batch: HeldBatch,
    rules: IngestRules,
    events: Path,
    note: Callable[[Line, Fault], None] | None = None,
    is_bounded: bool = True,
) -> Loaded:
    """Load the lines that are sound into the file `events`, and count the others by reason; `note` hears of those.

    Raises OSError, EOFError, duckdb.Error, and, where it `is_bounded`, ValueError for more than `MAX_BROKEN_LINES`.
    """
    check = line_checker(rules.schema, in_words=note is not None)
    faults: Counter[str] = Counter()
    lines = 0
    columns = list(rules.schema.columns)
    scratch, numbers = events.with_suffix(".lines"), events.with_suffix(".numbers")
    try:
        with scratch.open("wb") as accepted, numbers.open("w") as accepted_numbers, plain_bytes(batch) as stream:
            for line in read_lines(stream, MAX_LINE_BYTES):
                lines += 1
                if fault := check(line.content, line.whole):
                    faults[fault.reason] += 1
                    if is_bounded:
                        _check_broken(faults.total())
                    if note:
                        note(line, fault)
                else:
                    accepted.write(line.content + b"\n")
                    accepted_numbers.write(f"{line.number}\n")
        write_typed(connection, Lines(scratch, numbers=numbers), rules, columns, events)
    finally:
        scratch.unlink(missing_ok=True)
        numbers.unlink(missing_ok=True)
    *_, loaded = _loaded(connection, rules, columns, "true", "typed", lines)
    return replace(loaded, faults=faults, has_numbers=True)


def _check_broken(broken: int) -> None:
    if broken > MAX_BROKEN_LINES:
        raise ValueError(f"more than {MAX_BROKEN_LINES:,} of its lines are broken; look at what wrote it")


def _loaded(
    connection: duckdb.DuckDBPyConnection,
    rules: IngestRules,
    columns: Sequence[str],
    valid: str,
    source: str,
    lines: int,
) -> tuple[int, bool, Loaded]:
    """Rows, what the aggregate `valid` gives, and what was loaded, in one pass over `source`."""
    row = connection.execute(
        f"select count(*), {valid}, min(placed_at), max(placed_at),"
        f" {', '.join(f'count({quote(name)})' for name in columns)} from {source}"
    ).fetchone()
    assert row is not None, "an aggregate without groups gives one row"
    rows, held, first_at, last_at, *counts = row
    present = [name for name, count in zip(columns, counts, strict=True) if count]
    if rules.with_payload:
        present.append("payload")
    return rows, held, Loaded(lines, tuple(present), first_at, last_at)


def event_time(columns: Iterable[str], schema: EventSchema) -> str:
    """SQL for the instant that places an event: its `ts`, or for a collector's event the `batch_start` it names."""
    if "batch_start" not in columns or schema.columns["batch_start"] != "TIMESTAMP":
        return "ts"
    return "case when starts_with(event, 'collector.') then coalesce(batch_start, ts) else ts end"


def write_typed(
    connection: duckdb.DuckDBPyConnection,
    lines: Lines,
    rules: IngestRules,
    columns: Sequence[str],
    events: Path,
) -> None:
    """Write a file of sound lines to the file `events`; `typed` then shows it.

    Raises duckdb.Error.
    """
    schema = rules.schema
    selected = ", ".join(f"{_as_kept(quote(name), schema.columns[name])} as {quote(name)}" for name in columns)
    source = f"(select {selected} from {_reader(lines, schema, columns)})"
    kept = [*map(quote, columns)]
    if rules.with_payload:
        objects = f"read_ndjson_objects({_opened(lines)}, {_LIMITS})"
        source += f" positional join (select json as payload from {objects})"
        kept.append("payload")
    if lines.numbers is not None:
        source += f" positional join (select line_number from {_numbers(lines.numbers)})"
        kept.append("line_number")
    placed = event_time(columns, schema)
    seconds, shift = (int(span.total_seconds()) for span in (rules.window, rules.origin))
    bucket = f"time_bucket(interval '{seconds} seconds', {placed}, interval '{shift} seconds')"
    copy_to(connection, f"select {bucket} as window_start, {', '.join(kept)} from {source}", events)
    numbered = numbered_events(events, lines.numbers is not None)
    connection.execute(f"create or replace temp view typed as select *, {placed} as placed_at from ({numbered})")


def _as_kept(column: str, kind: str) -> str:
    """SQL for a column's value as it is kept: times in UTC, and of the two zeros, which are equal, the positive one."""
    if kind == "TIMESTAMP":
        return f"timezone('UTC', {column})"
    return f"{column} + 0.0" if kind == "DOUBLE" else column  # min and max give either zero, as the lines stand


def numbered_events(events: Path, has_numbers: bool) -> str:
    """SQL for the events of a file with their `line_number`: a column, or where every line is there, the row's."""
    if has_numbers:
        return f"select * from read_parquet({literal(str(events))})"
    rows = f"read_parquet({literal(str(events))}, file_row_number = true)"
    return f"select * exclude (file_row_number), file_row_number as line_number from {rows}"


def copy_to(connection: duckdb.DuckDBPyConnection, query: str, events: Path) -> None:
    """Write the rows of `query` to the Parquet file `events`."""
    connection.execute(
        f"copy ({query}) to {literal(str(events))} (format parquet, compression zstd, parquet_version v2)"
    )


def _opened(lines: Lines) -> str:
    return f"{literal(str(lines.path))}, compression = {literal(lines.packing)}"


def _numbers(path: Path) -> str:
    return f"read_csv({literal(str(path))}, columns = {{line_number: 'BIGINT'}}, header = false, auto_detect = false)"


def _reader(lines: Lines, schema: EventSchema, columns: Sequence[str]) -> str:
    types = ", ".join(f"{quote(name)}: {literal(schema.read_type(name))}" for name in columns)
    return f"read_json({_opened(lines)}, format = 'newline_delimited', columns = {{{types}}}, {_LIMITS})"
