"""What a receiver took, on disk before it says so: segments of blocks, one block a request.

A block is a header, `#<SHA-256 of the request> <bytes> <lines>`, and the event lines. A block that is not whole was
never acknowledged, and counts for nothing. Readers in other processes read whole blocks alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from checker.collector.otlp.segment import Segment
from checker.errors import NotRecorded

SEGMENT_BYTES = 32 << 20
REMEMBERED = 10_000  # requests; a client that lost our answer sends the same bytes again, soon
MAX_HEADER = 128
_HEADER = re.compile(rb"#([0-9a-f]{64}) ([0-9]{1,12}) ([0-9]{1,9})\n")
_NAME = re.compile(r"[0-9]{8}\.spool")
_NUMBER = re.compile(rb"[0-9]{8}\n")


class Damaged(ValueError):
    """A block does not fit its header, or is cut off where more has been written since."""


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one request, and where they lie: from `start` (of the header) to `end` in the segment."""

    digest: str
    start: int
    end: int
    lines: bytes


def segments(folder: Path) -> list[Path]:
    """The segments in the folder, oldest first."""
    try:
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except FileNotFoundError:
        return []


def blocks(segment: Path, offset: int = 0, *, is_newest: bool = True) -> Iterator[Block]:
    """The whole blocks of a segment from `offset` on. The newest may end in one that is being written: that is left.

    Raises OSError, and Damaged for what is no block, and for an end that is not whole in a segment before the newest.
    """
    with segment.open("rb") as file:
        file.seek(offset)
        while header := file.readline(MAX_HEADER):
            match = _HEADER.fullmatch(header)
            if match is None and (header.endswith(b"\n") or len(header) == MAX_HEADER):
                raise Damaged(f"{segment.name}: no block at byte {offset}")
            end = offset + len(header) + (int(match[2]) if match else 0)
            if match is None or end > os.fstat(file.fileno()).st_size:
                if is_newest:
                    return
                raise Damaged(f"{segment.name}: the block at byte {offset} is cut off")
            lines = file.read(int(match[2]))
            if lines.count(b"\n") != int(match[3]) or (lines and not lines.endswith(b"\n")):
                raise Damaged(f"{segment.name}: the block at byte {offset} has not the {int(match[3])} lines it says")
            yield Block(match[1].decode(), offset, end, lines)
            offset = end


class SpoolWriter:
    """The one writer of a folder's segments; many threads may append.

    Raises NotRecorded where another process writes it, OSError where the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._turn = threading.Condition()  # held by whoever looks at what follows, or writes
        self._known: OrderedDict[str, tuple[Segment | None, int]] = OrderedDict()
        self._is_closed = False
        self._guard = _locked(folder)
        try:
            self._number = self._recover()  # the highest that was ever used
            self._segment = self._begin()
        except BaseException:
            os.close(self._guard)
            raise

    def append(self, digest: str, lines: bytes) -> bool:
        """Put a request's lines down; they are on disk when this returns. False where they are already.

        Raises OSError; then they do not count, and are to be sent again.
        """
        with self._turn:
            self._turn.wait_for(lambda: not (self._is_over() and self._segment.is_syncing))
            if self._is_closed:
                raise OSError(errno.EBADF, "the spool is closed")
            if is_new := not self._has(digest):
                self._put(digest, lines)
            segment, end = self._known[digest]
        while segment and not self._is_safe(segment, end):
            self._sync(segment)
        return is_new

    def close(self) -> None:
        """Let go of the folder; what is written by then is on disk."""
        with self._turn:
            self._turn.wait_for(lambda: not self._segment.is_syncing)
            if not self._is_closed:
                self._is_closed = True
                self._finish()
                self._segment.close()
                os.close(self._guard)

    def _has(self, digest: str) -> bool:
        segment, end = self._known.get(digest, (None, -1))
        return end >= 0 and not (segment and segment.is_lost(end))

    def _is_over(self) -> bool:
        return self._segment.size >= SEGMENT_BYTES or self._segment.fault is not None

    def _put(self, digest: str, lines: bytes) -> None:
        if self._is_over():
            self._finish()
            before, self._segment = self._segment, self._begin()
            before.close()
        block = b"#%s %d %d\n%s" % (digest.encode(), len(lines), lines.count(b"\n"), lines)
        self._known[digest] = self._segment, self._segment.write(block)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _is_safe(self, segment: Segment, end: int) -> bool:
        """Whether so much is on disk; false where this thread is to see to it, for all that wait. Raises OSError."""
        with self._turn:
            self._turn.wait_for(lambda: segment.safe >= end or segment.fault or not segment.is_syncing)
            if segment.safe >= end:
                return True
            if segment.fault:
                raise OSError(segment.fault.errno, segment.fault.strerror)
            segment.is_syncing = True
            return False

    def _sync(self, segment: Segment) -> None:
        with self._turn:
            end = segment.size
        fault = segment.sync_fault()  # meanwhile the others write on
        with self._turn:
            segment.settle(end, fault)
            self._turn.notify_all()

    def _finish(self) -> None:
        """Have all of the segment on disk, for all that wait."""
        if self._segment.fault is None:
            self._segment.settle(self._segment.size, self._segment.sync_fault())
            self._turn.notify_all()

    def _begin(self) -> Segment:
        """The next segment. Its number is noted: none is used again, even where segments were taken away."""
        self._number += 1
        os.pwrite(self._guard, b"%08d\n" % self._number, 0)
        os.fsync(self._guard)
        return Segment.begin(self._folder / f"{self._number:08d}.spool")

    def _recover(self) -> int:
        """Cut a torn end off, and remember the newest requests; gives the highest number that was used."""
        there = segments(self._folder)
        if there:
            _cut_torn_end(there[-1])
        digests: list[str] = []
        for segment in reversed(there):
            digests = [*_digests(segment), *digests]
            if len(digests) >= REMEMBERED:
                break
        self._known.update((digest, (None, 0)) for digest in digests[-REMEMBERED:])
        noted = os.pread(self._guard, MAX_HEADER, 0)
        return max(int(there[-1].stem) if there else 0, int(noted) if _NUMBER.fullmatch(noted) else 0)


def _cut_torn_end(segment: Path) -> None:
    """Cut off a block that is not whole. Where whole ones follow it, it is no torn end: that is left for people."""
    end = 0
    with suppress(Damaged):  # whoever reads the segment tells
        for block in blocks(segment):
            end = block.end
    with segment.open("r+b") as file:
        file.seek(end)
        if (rest := file.read()) and not _HEADER.search(rest, 1):
            file.truncate(end)
            os.fsync(file.fileno())


def _digests(segment: Path) -> Iterator[str]:
    """The requests whose blocks follow each other from the beginning on."""
    with segment.open("rb") as file:
        while match := _HEADER.fullmatch(file.readline(MAX_HEADER)):
            yield match[1].decode()
            file.seek(int(match[2]), os.SEEK_CUR)


def _locked(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise NotRecorded(f"{folder.name}: another receiver writes this spool; stop it first") from None
    return descriptor
