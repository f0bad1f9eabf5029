"""Blocks of lines become what is sealed: which lines go into the batch, which wait for their window, which are broken.

Each block is read as a batch is, by the same grammar and the same checks, so that collector and analyzer never differ
over a line; DuckDB then finds times and copies over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checker.analyzer.batches import BatchFile, HeldBatch, Line, hold
from checker.analyzer.copies import second_copies
from checker.analyzer.fast_path import quote, timestamp
from checker.analyzer.ingest import FROM_THE_FUTURE, load_at_once
from checker.analyzer.lines import Fault
from checker.analyzer.rules import IngestRules
from checker.analyzer.sandbox import loader
from checker.analyzer.scan import scan
from checker.analyzer.typed import Loaded, event_time, load_line_by_line, numbered_events
from checker.collector.gather import Block, Place
from checker.model import Window
from checker.policy.source_rules import CARRIED, OWN_SOURCE
from checker.windows import iso

if TYPE_CHECKING:
    import duckdb

RESERVED = "reserved_event"
MEMORY_MB = 512
PIECE_BYTES = 2 << 20  # of a block that holds a broken line: so much of it is read line by line
_BOOLEAN, _NO_RETRYABLE = "BOOLEAN", "null::boolean as retryable"
_AT_ONCE = 2_000_000  # lines among which copies are looked for: their keys are in memory
_LINE_BITS = 32  # of a row's number: the block above, the line below
_RESERVED = "starts_with(event, 'collector.') and not is_own"

_RESERVED_FAULT = Fault(RESERVED, "events that begin with 'collector.' are the collector's own")

# Hears of a line that is set aside: where it came from, its bytes, and why.
SetAside = Callable[[Place, bytes, Fault], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """What lines are held against: the rules, the window to be sealed, and the clock."""

    rules: IngestRules
    window: Window
    now: datetime


@dataclass(slots=True)
class Sorted:
    """Where lines go, by block and line (both from 0). What is neither left out nor carried goes into the batch.

    `left_out` are broken lines and second copies, `carried` lines of later windows; `phases` counts the batch's lines.
    """

    left_out: dict[int, set[int]] = field(default_factory=dict)
    carried: dict[int, set[int]] = field(default_factory=dict)
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    errors_retryable: int = 0
    errors_fatal: int = 0
    phases: Mapping[str, int] = field(default_factory=dict)


def sort_lines(blocks: Sequence[Block], terms: Terms, scratch: Path, set_aside: SetAside) -> Sorted:
    """Find out where each line goes; `scratch` is a folder for what is in between.

    A broken line is set aside with the reason that the analyzer would give; so is one that is later than clock and
    lateness allow, and one that only the collector itself may write. Raises OSError, ValueError, duckdb.Error.
    """
    with loader(MEMORY_MB) as connection:
        sorting = _Sorting(connection, blocks, terms, scratch, set_aside)
        sorting.read()
        if sorting.lines:
            sorting.place()
            sorting.drop_copies()
            sorting.count()
    return sorting.found


@dataclass(slots=True)
class _Sorting:
    connection: duckdb.DuckDBPyConnection
    blocks: Sequence[Block]
    terms: Terms
    scratch: Path
    set_aside: SetAside
    found: Sorted = field(default_factory=Sorted)
    lines: int = 0
    likely: tuple[str, ...] = ()

    def read(self) -> None:
        """Read every block; the view `lines` then shows the sound lines of all of them."""
        selects = []
        for number, block in enumerate(self.blocks):
            broken: dict[int, Fault] = {}
            for first, loaded, events in self._parts(number, block, broken):
                self.likely = tuple(name for name in loaded.columns if name != "payload") or self.likely
                self.lines += loaded.lines
                selects.append(self._select(number, first, loaded, events))
            self._leave_out(number, broken)
        if selects:
            self.connection.execute(f"create temp view lines as {' union all '.join(selects)}")

    def _parts(self, number: int, block: Block, broken: dict[int, Fault]) -> Iterator[tuple[int, Loaded, Path]]:
        """The block, or where a line of it is broken its pieces: first line, what was loaded, and where to."""
        events = self.scratch / f"{number:06d}.parquet"
        with self._held(block.path) as held:
            loaded = self._at_once(held, events)
        if loaded is not None:
            yield 0, loaded, events
            return
        for part, (first, path) in enumerate(_pieces(block, self.scratch / "piece")):
            events = self.scratch / f"{number:06d}-{part:04d}.parquet"
            with self._held(path) as held:
                loaded = self._at_once(held, events) or self._line_by_line(held, first, events, broken)
            yield first, loaded, events

    def _held(self, path: Path) -> AbstractContextManager[HeldBatch]:
        return hold(BatchFile(self.terms.window.start, path))

    def _at_once(self, held: HeldBatch, events: Path) -> Loaded | None:
        return load_at_once(self.connection, held, self.terms.rules, scan(held), self.likely, events)

    def _line_by_line(self, held: HeldBatch, first: int, events: Path, broken: dict[int, Fault]) -> Loaded:
        def note(line: Line, fault: Fault) -> None:
            broken[first + line.number] = fault

        return load_line_by_line(self.connection, held, self.terms.rules, events, note, is_bounded=False)

    def _select(self, number: int, first: int, loaded: Loaded, events: Path) -> str:
        """SQL for the block's lines from number `first` on, with what places them and tells copies apart."""
        schema = self.terms.rules.schema
        wanted = dict.fromkeys(("ts", "event", "phase", *schema.dedup_key))
        columns = [self._column(name, loaded) for name in wanted]
        has_it = schema.columns.get("retryable") == _BOOLEAN
        is_retryable = self._column("retryable", loaded) if has_it else _NO_RETRYABLE
        placed = event_time(loaded.columns, schema)
        is_own = "true" if self.blocks[number].source in (OWN_SOURCE, CARRIED) else "false"
        return (
            f"select {number}::bigint as block, line_number + {first} as line_number, window_start,"
            f" {placed} as placed_at, {is_own} as is_own,"
            f" {', '.join([*columns, is_retryable])} from ({numbered_events(events, loaded.has_numbers)})"
        )

    def _column(self, name: str, loaded: Loaded) -> str:
        kind = self.terms.rules.schema.columns[name]
        return quote(name) if name in loaded.columns else f"null::{kind} as {quote(name)}"

    def place(self) -> None:
        """Leave out what is nobody's to write or too early to be known, and carry what is of a later window."""
        end, latest = self.terms.window.end, self.terms.now + self.terms.rules.lateness
        rows = self.connection.execute(
            f"""
            select block, line_number, placed_at, case when {_RESERVED} then 'reserved'
                when placed_at > {timestamp(latest)} then 'future' else 'later' end
            from lines where ({_RESERVED}) or placed_at >= {timestamp(end)} order by all
            """
        ).fetchall()
        reasons: dict[int, dict[int, Fault]] = {}
        for block, line, placed_at, kind in rows:
            if kind == "later":
                self.found.carried.setdefault(block, set()).add(line)
            else:
                fault = _RESERVED_FAULT if kind == "reserved" else _too_early(placed_at, latest)
                reasons.setdefault(block, {})[line] = fault
        for block, broken in reasons.items():
            self._leave_out(block, broken)

    @property
    def _of_the_batch(self) -> str:
        return f"placed_at < {timestamp(self.terms.window.end)} and not ({_RESERVED})"

    def drop_copies(self) -> None:
        """Leave out second copies, a part of the keys at a time."""
        key = self.terms.rules.schema.dedup_key
        if not key:
            return
        parts = -(-self.lines // _AT_ONCE)
        share = f"hash({', '.join(map(quote, key))}) % {parts}"
        row_id = f"(block << {_LINE_BITS}) + line_number"
        for part in range(parts):
            only = f"{self._of_the_batch} and {share} = {part}"
            for copy in second_copies(self.connection, "lines", key, self._contents, "block", only, row_id):
                self.found.left_out.setdefault(copy.row_id >> _LINE_BITS, set()).add(copy.row_id % (1 << _LINE_BITS))
                self.found.duplicates += 1

    def count(self) -> None:
        """Count what goes into the batch."""
        left_out = [(block << _LINE_BITS) + line for block, lines in self.found.left_out.items() for line in lines]
        rows = self.connection.execute(
            f"""
            select phase, count(*), count(*) filter (where retryable), count(*) filter (where not retryable)
            from lines
            where {self._of_the_batch} and ((block << {_LINE_BITS}) + line_number) not in (select unnest($1::bigint[]))
            group by phase order by phase
            """,
            [left_out],
        ).fetchall()
        self.found.phases = {phase: count for phase, count, *_ in rows}
        self.found.accepted = sum(self.found.phases.values())
        self.found.errors_retryable = sum(row[2] for row in rows)
        self.found.errors_fatal = sum(row[3] for row in rows)

    def _leave_out(self, number: int, broken: Mapping[int, Fault]) -> None:
        """Set these lines of a block aside, in the block's order."""
        if not broken:
            return
        block = self.blocks[number]
        for line, at, content in _lines_of(block, broken):
            self.set_aside(block.place_of(line, at), content, broken[line])
        self.found.left_out.setdefault(number, set()).update(broken)
        self.found.quarantined += len(broken)

    def _contents(self, block: int, numbers: Iterable[int]) -> Mapping[int, bytes]:
        return {line: content for line, _, content in _lines_of(self.blocks[block], numbers)}


def _too_early(placed_at: datetime, latest: datetime) -> Fault:
    told = f"counts for {placed_at.isoformat()}Z, after {iso(latest)}, the latest that can be known"
    return Fault(FROM_THE_FUTURE, told)


def _pieces(block: Block, path: Path) -> Iterator[tuple[int, Path]]:
    """The block's lines a piece after the other, each in the file `path`: its first line's number, and the file."""
    first = 0
    with block.path.open("rb") as lines:
        while portion := lines.readlines(PIECE_BYTES):
            path.write_bytes(b"".join(portion))
            yield first, path
            first += len(portion)


def _lines_of(block: Block, numbers: Iterable[int]) -> Iterator[tuple[int, int, bytes]]:
    """These lines of the block: number, offset in the block, bytes without the newline; of a long one the beginning."""
    wanted = set(numbers)
    at = 0
    with block.path.open("rb") as stream:
        for number, line in enumerate(stream):
            if number in wanted:
                yield number, at, line.removesuffix(b"\n")
            at += len(line)
