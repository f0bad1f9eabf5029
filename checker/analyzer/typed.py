"""JSON lines into a typed temporary table, `typed`: one row a line, with `window_start` and `line_number`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from checker.analyzer.batches import BatchFile, plain_bytes, read_lines
from checker.analyzer.event_schema import EventSchema
from checker.analyzer.fast_path import FastPath, literal, quote
from checker.analyzer.lines import MAX_LINE_BYTES, line_checker
from checker.analyzer.rules import IngestRules
from checker.analyzer.scan import Scan

if TYPE_CHECKING:
    import duckdb

_LIMITS = f"maximum_object_size = {2 * MAX_LINE_BYTES}, ignore_errors = false"


def load_whole(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    rules: IngestRules,
    fast_path: FastPath,
    scanned: Scan,
    likely_columns: Iterable[str],
) -> bool:
    """Load a batch that follows the grammar, reading `likely_columns` first and all only where others occur.

    False where a row breaks the schema after all or a line went missing: the batch is then read line by line.
    """
    import duckdb

    schema = rules.schema
    for columns in (list(likely_columns), list(schema.columns)):
        if not set(columns) >= {"ts", "event", "phase"}:
            continue
        try:
            create_typed(connection, path, rules, columns)
        except duckdb.Error:
            return False
        keys = " + ".join(f"count({quote(name)})" for name in columns)
        missing = "".join(
            f", null::{kind} as {quote(name)}" for name, kind in schema.columns.items() if name not in columns
        )
        row = connection.execute(
            f"select count(*), count(*) filter (where {fast_path.predicate}), {keys} from (select *{missing} from typed)"
        ).fetchone()
        assert row is not None
        if row[:2] == (scanned.lines, scanned.lines) and (
            row[2] == scanned.colons or len(columns) == len(schema.columns)
        ):
            return True
    return False


def load_line_by_line(
    connection: duckdb.DuckDBPyConnection, batch: BatchFile, rules: IngestRules, scratch: Path
) -> Counter[str]:
    """Load the lines that are sound and count the others by reason. `scratch` is written and removed."""
    check = line_checker(rules.schema)
    faults: Counter[str] = Counter()
    numbers: list[int] = []
    try:
        with scratch.open("wb") as accepted, plain_bytes(batch) as stream:
            for line in read_lines(stream, MAX_LINE_BYTES):
                if fault := check(line.content, line.whole):
                    faults[fault.reason] += 1
                else:
                    accepted.write(line.content + b"\n")
                    numbers.append(line.number)
        create_typed(connection, scratch, rules, list(rules.schema.columns), numbers)
    finally:
        scratch.unlink(missing_ok=True)
    return faults


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
