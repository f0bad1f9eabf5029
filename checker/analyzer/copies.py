"""Second copies: of the lines with one dedup key in a window and phase, the smallest by (ts, bytes) counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from checker.analyzer.fast_path import quote

if TYPE_CHECKING:
    import duckdb

# Bytes of lines, asked for only where two copies carry the same time: (source, line numbers) → number → bytes.
ReadLines = Callable[[Any, Iterable[int]], Mapping[int, bytes]]


def drop_copies(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    dedup_key: Sequence[str],
    read_lines: ReadLines,
    source: str = "0",
    only: str = "true",
) -> Counter[datetime]:
    """Delete second copies from `table` and count them by window; the rest is as with `second_copies`."""
    copies = second_copies(connection, table, dedup_key, read_lines, source, only)
    if copies:
        rows = [copy.row_id for copy in copies]
        connection.execute(f"delete from {table} where rowid in (select unnest($1::bigint[]))", [rows])
    return Counter(copy.window_start for copy in copies)


@dataclass(frozen=True, slots=True)
class Copy:
    """A row that does not count, since another of its window has the same key."""

    window_start: datetime
    row_id: int


def second_copies(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    dedup_key: Sequence[str],
    read_lines: ReadLines,
    source: str = "0",
    only: str = "true",
    row_id: str = "rowid",
) -> list[Copy]:
    """Every second copy in `table`.

    `table` has `window_start`, `phase`, `ts`, `line_number` and the columns of the dedup key; a row where one of those
    is null is nobody's copy. `source` is SQL for what tells `read_lines` where a row's line stands; `only` bounds the
    rows that are looked at; `row_id` is SQL for a number that is one row's.
    """
    if not has_copies(connection, table, dedup_key, only):
        return []
    key, has_key = _key(dedup_key), _has_key(dedup_key)
    rows = connection.execute(
        f"""
        with
            keyed as (select *, {row_id} as row_id, {source} as source from {table} where {has_key} and ({only})),
            copied as (select {key}, min(ts) as first_ts from keyed group by {key} having count(*) > 1)

        select dense_rank() over (order by {key}), window_start, row_id, source, line_number, ts = first_ts
        from keyed
        join copied using ({key})
        """
    ).fetchall()
    groups: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for group, *columns in rows:
        groups[group].append(tuple(columns))
    tied = {group: [row for row in members if row[-1]] for group, members in groups.items()}
    contents = _read_tied([row for members in tied.values() if len(members) > 1 for row in members], read_lines)
    copies: list[Copy] = []
    for group, members in groups.items():
        winner = min(tied[group], key=lambda row: (contents.get((row[2], row[3]), b""), str(row[2]), row[3]))
        copies += [Copy(member[0], member[1]) for member in members if member is not winner]
    return copies


def has_copies(connection: duckdb.DuckDBPyConnection, table: str, dedup_key: Sequence[str], only: str = "true") -> bool:
    """Whether there may be copies; most batches have none, and hashes are cheaper to count than keys."""
    if not dedup_key:
        return False
    row = connection.execute(
        f"select count(*) > count(distinct hash({_key(dedup_key)})) from {table}"
        f" where {_has_key(dedup_key)} and ({only})"
    ).fetchone()
    return bool(row and row[0])


def _key(dedup_key: Sequence[str]) -> str:
    return ", ".join(map(quote, dict.fromkeys(("window_start", "phase", *dedup_key))))


def _has_key(dedup_key: Sequence[str]) -> str:
    return " and ".join(f"{quote(name)} is not null" for name in dedup_key)


def _read_tied(rows: Iterable[tuple[Any, ...]], read_lines: ReadLines) -> dict[tuple[Any, int], bytes]:
    wanted: dict[Any, set[int]] = defaultdict(set)
    for _, _, source, line_number, _ in rows:
        wanted[source].add(line_number)
    return {
        (source, number): content
        for source, numbers in wanted.items()
        for number, content in read_lines(source, numbers).items()
    }
