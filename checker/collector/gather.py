"""What sources hand over, put down in blocks: files of whole lines, so small that a bad line slows few others."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

from checker.analyzer.fixture import named_event
from checker.collector.sources.base import Ask
from checker.policy.source_rules import CARRIED

BLOCK_BYTES = 8 << 20
MAX_CYCLE_BYTES = 2 << 30  # of one source in one cycle; the rest comes with the next one
MAX_TOLD = 20


@dataclass(frozen=True, slots=True)
class Extent:
    """Lines of a block, from number `line` and byte `at` on, that came from `offset` of `origin` on."""

    line: int
    at: int
    origin: str
    offset: int
    is_verbatim: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line came from, as people find it again."""

    source: str
    origin: str
    offset: int


@dataclass(slots=True)
class Block:
    """A file of `lines` whole lines of one source."""

    source: str
    path: Path
    lines: int = 0
    size: int = 0
    extents: list[Extent] = field(default_factory=list)

    def place_of(self, line: int, at: int) -> Place:
        """Where the line with this number (from 0), whose first byte is the block's byte `at`, came from."""
        extent = self.extents[bisect_right(self.extents, line, key=lambda extent: extent.line) - 1]
        return Place(self.source, extent.origin, extent.offset + (at - extent.at if extent.is_verbatim else 0))


class Closed(Exception):
    """The cycle no longer waits for this source."""


class NotKept(Exception):
    """What was read could not be put down: the disk is full, say. No source is to blame for it."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class BlockSink:
    """Takes the lines of one source into blocks in `folder`; a sink is one thread's, and is closed by another's.

    Raises from `add`: NotKept, and Closed once nobody waits any more.
    """

    def __init__(self, source: str, prefix: str, folder: Path, ask: Ask) -> None:
        self.blocks: list[Block] = []
        self.told: list[str] = []
        self._source, self._prefix, self._folder, self._ask = source, prefix, folder, ask
        self._open: IO[bytes] | None = None
        self._closed = threading.Event()
        self._size = 0

    def add(self, lines: bytes, origin: str, offset: int = 0, *, is_verbatim: bool = False) -> None:
        """Take whole lines."""
        if self._closed.is_set():
            raise Closed
        if not lines:
            return
        try:
            block, file = self._room(len(lines))
            file.write(lines)
        except OSError as fault:
            raise NotKept(fault) from fault
        block.extents.append(Extent(block.lines, block.size, origin, offset, is_verbatim))
        block.lines += lines.count(b"\n")
        block.size += len(lines)
        self._size += len(lines)

    def _room(self, size: int) -> tuple[Block, IO[bytes]]:
        if self._open is None or self.blocks[-1].size + size > BLOCK_BYTES:
            self.flush()
            path = self._folder / f"{self._prefix}-{len(self.blocks):06d}.jsonl"
            self._open = path.open("wb")
            self.blocks.append(Block(self._source, path))
        return self.blocks[-1], self._open

    def is_past(self, lines: bytes) -> bool:
        """Whether reading may stop before these lines: all are of later windows, or the cycle has had its fill."""
        if self._size + len(lines) > MAX_CYCLE_BYTES:
            self.tell(f"more than {MAX_CYCLE_BYTES >> 20} MiB in one cycle; the rest comes with the next batches")
            return True
        return not self._ask.is_newest and all_from(lines, self._ask.window.end)

    def tell(self, told: str) -> None:
        """Take what people should know."""
        if len(self.told) < MAX_TOLD and told not in self.told:
            self.told.append(told)

    def flush(self) -> None:
        """Have everything in the files. Raises OSError."""
        file, self._open = self._open, None
        if file is not None:
            file.close()

    def close(self) -> None:
        """Take nothing any more."""
        self._closed.set()


class ProbeSink:
    """Finds out whether a source can be read, and keeps nothing."""

    class Answered(Exception):
        """There are lines: the source answers."""

    def add(self, lines: bytes, origin: str, offset: int = 0, *, is_verbatim: bool = False) -> None:
        """Raises Answered."""
        del lines, origin, offset, is_verbatim
        raise ProbeSink.Answered

    def is_past(self, lines: bytes) -> bool:
        """Nothing is read further than its first lines."""
        del lines
        return True

    def tell(self, told: str) -> None:
        """Nothing is told of a trial."""


def carried_block(path: Path) -> Block:
    """The lines that an earlier cycle read ahead of their window, in the file `path`. Raises OSError."""
    with path.open("rb") as file:
        lines = sum(portion.count(b"\n") for portion in iter(lambda: file.read(BLOCK_BYTES), b""))
    return Block(CARRIED, path, lines, path.stat().st_size, [Extent(0, 0, path.name, 0, True)])


def all_from(lines: bytes, start: datetime) -> bool:
    """Whether every line names a time at or after `start`; a line that names none may be of any time."""
    for line in lines.splitlines():
        named = named_event(line)
        if named is None or named[1] < start:
            return False
    return True


def in_order(read: Sequence[BlockSink]) -> list[Block]:
    """The blocks of all sources, in the order in which the sources are given."""
    return [block for sink in read for block in sink.blocks if block.lines]
