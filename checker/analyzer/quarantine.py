"""The quarantined lines of a batch, found again in the raw file: which line, why, and how it begins."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checker.analyzer.batch_index import BatchIndex
from checker.analyzer.batches import BatchFile, HeldBatch, Line, hold, plain_bytes, read_lines
from checker.analyzer.ingest import FROM_THE_FUTURE, cause_of, check_unchanged, from_the_future
from checker.analyzer.lines import MAX_LINE_BYTES, Fault
from checker.analyzer.rules import IngestRules
from checker.analyzer.sandbox import loader
from checker.analyzer.typed import load_line_by_line
from checker.errors import CannotDecide
from checker.units import plain
from checker.windows import iso

if TYPE_CHECKING:
    import duckdb

EXCERPT_LENGTH = 80


@dataclass(frozen=True, slots=True, order=True)
class QuarantinedLine:
    """One line that counts for nothing. `number` counts from 1; `excerpt` is safe to show on a terminal."""

    number: int
    reason: str
    detail: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class BatchAccount:
    """Where the lines of one batch went, with its quarantined lines in the file's order.

    `lines` = `events` + `duplicates` (copies within the batch) + `too_late` + all of `quarantined`.
    `of_other_windows` are those of `events` that count for a window other than the batch's own.
    """

    name: str
    start: datetime
    lines: int
    events: int
    duplicates: int
    too_late: int
    quarantined: Mapping[str, int]
    broken: tuple[QuarantinedLine, ...] = ()
    of_other_windows: int = 0


def account(batch: BatchFile, index: BatchIndex, rules: IngestRules) -> BatchAccount:
    """The batch's account; the file is read again only where lines are quarantined.

    Raises CannotDecide where the file no longer holds what `index` counted.
    """
    broken = tuple(quarantined_lines(batch, rules)) if index.quarantined else ()
    if Counter(line.reason for line in broken) != Counter(index.quarantined):
        raise CannotDecide(f"{batch.path.name}: changed while it was looked at; run the command again")
    return BatchAccount(
        name=batch.path.name,
        start=batch.start,
        lines=index.lines,
        events=sum(index.events.values()),
        duplicates=sum(index.duplicates.values()),
        too_late=index.too_late,
        quarantined=index.quarantined,
        broken=broken,
        of_other_windows=sum(count for start, count in index.events.items() if start != batch.start),
    )


def quarantined_lines(batch: BatchFile, rules: IngestRules) -> list[QuarantinedLine]:
    """Every quarantined line of the batch, in the file's order. Raises CannotDecide where it cannot be read."""
    import duckdb

    found: list[QuarantinedLine] = []

    def note(line: Line, fault: Fault) -> None:
        found.append(QuarantinedLine(line.number + 1, fault.reason, plain(fault.detail), excerpt(line.content)))

    try:
        with tempfile.TemporaryDirectory(prefix="phasegate-") as scratch, loader() as connection, hold(batch) as held:
            before = held.signature()
            load_line_by_line(connection, held, rules, Path(scratch) / "sound.jsonl", note)
            found.extend(_too_early(connection, held, rules))
            check_unchanged(held, before)
    except (OSError, EOFError, ValueError, duckdb.Error) as fault:
        raise CannotDecide(f"{batch.path.name}: cannot be read: {cause_of(fault)}") from fault
    return sorted(found)


def _too_early(
    connection: duckdb.DuckDBPyConnection, batch: HeldBatch, rules: IngestRules
) -> Iterator[QuarantinedLine]:
    """Sound lines of a time that the batch cannot know yet."""
    rows = connection.execute(f"select line_number, placed_at from typed where {from_the_future(batch.file, rules)}")
    times: dict[int, datetime] = dict(rows.fetchall())
    if not times:
        return
    limit = iso(batch.file.start + rules.window + rules.lateness)
    with plain_bytes(batch) as stream:
        for line in read_lines(stream, MAX_LINE_BYTES):
            if line.number in times:
                detail = f"counts for {times[line.number].isoformat()}Z, after {limit}, the latest that its batch knows"
                yield QuarantinedLine(line.number + 1, FROM_THE_FUTURE, detail, excerpt(line.content))


def excerpt(content: bytes) -> str:
    """The beginning of a line, at most EXCERPT_LENGTH characters, what a terminal would obey written as an escape."""
    start = content[: EXCERPT_LENGTH * 4].decode(errors="backslashreplace")
    text = plain(start[:EXCERPT_LENGTH])
    return text if len(text) <= EXCERPT_LENGTH and len(start) <= EXCERPT_LENGTH else f"{text[: EXCERPT_LENGTH - 1]}…"
