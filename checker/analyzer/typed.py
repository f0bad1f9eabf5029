"""JSON lines into a typed temporary table, `typed`: one row a line, with `window_start` and `line_number`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checker.analyzer.batches import BatchFile, Line, plain_bytes, read_lines
from checker.analyzer.event_schema import EventSchema
from checker.analyzer.fast_path import FastPath, literal, quote
from checker.analyzer.lines import MAX_LINE_BYTES, Fault, line_checker
from checker.analyzer.rules import IngestRules

if TYPE_CHECKING:
    import duckdb

_LIMITS = f"maximum_object_size = {2 * MAX_LINE_BYTES}, ignore_errors = false"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a batch's lines: how many there were, which columns have values, why lines were refused."""

    lines: int
    columns: tuple[str, ...]
    faults: Mapping[str, int] = field(default_factory=dict)


def load_whole(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    rules: IngestRules,
    fast_path: FastPath,
    lines: int,
    columns: Sequence[str],
) -> Loaded | None:
    """Load a batch of `lines` lines that follow the grammar of `columns`.

    None where a row breaks the schema after all, or not every line became one: the batch is then read line by line.
    """
    import duckdb

    try:
        create_typed(connection, path, rules, columns)
    except duckdb.Error:
        return None
    missing = "".join(
        f", null::{kind} as {quote(name)}" for name, kind in rules.schema.columns.items() if name not in columns
    )
    rows, valid, *counts = _row(
        connection,
        f"select count(*), count(*) filter (where {fast_path.predicate}),"
        f" {', '.join(f'count({quote(name)})' for name in columns)} from (select *{missing} from typed)",
    )
    return Loaded(lines, _present(rules, columns, counts)) if valid == rows == lines else None


def load_line_by_line(
    connection: duckdb.DuckDBPyConnection,
    batch: BatchFile,
    rules: IngestRules,
    scratch: Path,
    note: Callable[[Line, Fault], None] | None = None,
) -> Loaded:
    """Load the lines that are sound and count the others by reason; `note` is told of each of those.

    `scratch` is written and removed.
    """
    check = line_checker(rules.schema)
    faults: Counter[str] = Counter()
    numbers: list[int] = []
    lines = 0
    columns = list(rules.schema.columns)
    try:
        with scratch.open("wb") as accepted, plain_bytes(batch) as stream:
            for line in read_lines(stream, MAX_LINE_BYTES):
                lines += 1
                if fault := check(line.content, line.whole):
                    faults[fault.reason] += 1
                    if note:
                        note(line, fault)
                else:
                    accepted.write(line.content + b"\n")
                    numbers.append(line.number)
        create_typed(connection, scratch, rules, columns, numbers)
    finally:
        scratch.unlink(missing_ok=True)
    counts = _row(connection, f"select {', '.join(f'count({quote(name)})' for name in columns)} from typed")
    return Loaded(lines, _present(rules, columns, counts), faults)


def _row(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None, "an aggregate without groups gives one row"
    return row


def _present(rules: IngestRules, columns: Sequence[str], counts: Sequence[int]) -> tuple[str, ...]:
    present = [name for name, count in zip(columns, counts, strict=True) if count]
    return (*present, "payload") if rules.with_payload else tuple(present)


def event_time(columns: Iterable[str], schema: EventSchema) -> str:
    """SQL for the instant that places an event: its `ts`, or for a collector's event the `batch_start` it names."""
    if "batch_start" not in columns or schema.columns["batch_start"] != "TIMESTAMP":
        return "ts"
    return "case when starts_with(event, 'collector.') then coalesce(batch_start, ts) else ts end"


def create_typed(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    rules: IngestRules,
    columns: Sequence[str],
    line_numbers: Sequence[int] | None = None,
) -> None:
    """Create `typed` from a file of sound lines, numbered 0, 1, 2 … or by `line_numbers`. Raises duckdb.Error."""
    schema = rules.schema
    selected = ", ".join(
        f"timezone('UTC', {quote(name)}) as {quote(name)}" if schema.columns[name] == "TIMESTAMP" else quote(name)
        for name in columns
    )
    source = f"(select {selected} from {_reader(path, schema, columns)})"
    kept = [*map(quote, columns)]
    if rules.with_payload:
        source += f" positional join (select json as payload from read_ndjson_objects({literal(str(path))}, {_LIMITS}))"
        kept.append("payload")
    if line_numbers is None:
        number = "row_number() over () - 1 as line_number"
    else:
        source += " positional join (select unnest($1::bigint[]) as line_number)"
        number = "line_number"
    placed = event_time(columns, schema)
    seconds = int(rules.window.total_seconds())
    connection.execute(
        f"create or replace temp table typed as select {', '.join(kept)}, {placed} as placed_at,"
        f" time_bucket(interval '{seconds} seconds', {placed}) as window_start, line_number"
        f" from (select {', '.join(kept)}, {number} from {source})",
        None if line_numbers is None else [list(line_numbers)],
    )


def _reader(path: Path, schema: EventSchema, columns: Sequence[str]) -> str:
    types = ", ".join(f"{quote(name)}: {literal(schema.read_type(name))}" for name in columns)
    return f"read_json({literal(str(path))}, format = 'newline_delimited', columns = {{{types}}}, {_LIMITS})"
