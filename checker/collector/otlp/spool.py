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

from checker.errors import NotRecorded
from checker.whole_file import sync_folder

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
            if lines.count(b"\n") != int(match[3]) or not lines.endswith(b"\n"):
                raise Damaged(f"{segment.name}: the block at byte {offset} has not the {int(match[3])} lines of it")
            yield Block(match[1].decode(), offset, end, lines)
            offset = end


@dataclass(slots=True)
class _Segment:
    """The one that is written: how much is there, and how much of it on disk. Nothing more goes in after a `fault`."""

    descriptor: int
    size: int = 0
    safe: int = 0
    is_syncing: bool = False
    fault: OSError | None = None

    def cut(self, size: int) -> None:
        """Cut off what lies beyond `size`."""
        try:
            os.ftruncate(self.descriptor, size)
        except OSError as fault:
            self.fault = self.fault or fault
        else:
            self.size = size


class SpoolWriter:
    """The one writer of a folder's segments; many threads may append.

    Raises NotRecorded where another process writes it, OSError where the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._turn = threading.Condition()  # held by whoever looks at what follows, or writes
        self._known: OrderedDict[str, tuple[_Segment | None, int]] = OrderedDict()
        self._guard = _locked(folder)
        try:
            self._number = self._recover()
            self._segment = self._begin()
        except BaseException:
            os.close(self._guard)
            raise
        self._is_closed = False

    def append(self, digest: str, lines: bytes) -> bool:
        """Put a request's lines down; they are on disk when this returns. False where they are already.

        Raises OSError; then they do not count, and the client is to send them again.
        """
        with self._turn:
            self._turn.wait_for(lambda: not (self._is_over() and self._segment.is_syncing))
            if self._is_closed:
                raise OSError(errno.EBADF, "the spool is closed")
            is_new = digest not in self._known
            if is_new:
                self._put(digest, lines)
            segment, upto = self._known[digest]
        while segment and not self._is_safe(segment, upto):
            self._sync(segment)
        return is_new

    def close(self) -> None:
        """Let go of the folder, once nothing is being written any more."""
        with self._turn:
            self._turn.wait_for(lambda: not self._segment.is_syncing)
            self._is_closed = True
            os.close(self._segment.descriptor)
            os.close(self._guard)

    def _is_over(self) -> bool:
        return self._segment.size >= SEGMENT_BYTES or self._segment.fault is not None

    def _put(self, digest: str, lines: bytes) -> None:
        if self._is_over():
            self._next()
        segment = self._segment
        rest = memoryview(b"#%s %d %d\n%s" % (digest.encode(), len(lines), lines.count(b"\n"), lines))
        size = segment.size + len(rest)
        try:
            while rest:
                rest = rest[os.write(segment.descriptor, rest) :]
        except OSError:
            segment.cut(segment.size)
            raise
        segment.size = size
        self._known[digest] = segment, size
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _is_safe(self, segment: _Segment, upto: int) -> bool:
        """Whether so much is on disk; false where this thread is to see to it, for all that wait. Raises OSError."""
        with self._turn:
            self._turn.wait_for(lambda: segment.safe >= upto or segment.fault or not segment.is_syncing)
            if segment.safe >= upto:
                return True
            if segment.fault:
                raise OSError(segment.fault.errno, segment.fault.strerror)
            segment.is_syncing = True
            return False

    def _sync(self, segment: _Segment) -> None:
        with self._turn:
            upto = segment.size
        fault = _sync_fault(segment.descriptor)
        with self._turn:
            self._settle(segment, upto, fault)

    def _settle(self, segment: _Segment, upto: int, fault: OSError | None) -> None:
        """Note what came of a sync. A disk that failed once may say later that all is well, and have lost it."""
        segment.is_syncing = False
        if fault is None:
            segment.safe = max(segment.safe, upto)
        else:
            segment.fault = fault
            segment.cut(segment.safe)
            lost = [digest for digest, (where, end) in self._known.items() if where is segment and end > segment.safe]
            for digest in lost:
                del self._known[digest]
        self._turn.notify_all()

    def _next(self) -> None:
        """Go on in another segment, once this one is on disk."""
        before = self._segment
        if before.fault is None:
            self._settle(before, before.size, _sync_fault(before.descriptor))
        if before.fault is not None and before.size > before.safe:
            raise OSError(before.fault.errno, before.fault.strerror)
        self._number += 1
        self._segment = self._begin()
        os.close(before.descriptor)

    def _begin(self) -> _Segment:
        """A new segment. Its number is noted, so that none is used again where segments were taken away."""
        os.pwrite(self._guard, b"%08d\n" % self._number, 0)
        os.fsync(self._guard)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self._folder / f"{self._number:08d}.spool", flags, 0o644)
        try:
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            raise
        return _Segment(descriptor)

    def _recover(self) -> int:
        """Cut a torn end off, remember the newest requests; gives the next segment's number."""
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
        used = [int(there[-1].stem)] if there else []
        return max([*used, int(noted) if _NUMBER.fullmatch(noted) else 0]) + 1


def _sync_fault(descriptor: int) -> OSError | None:
    try:
        os.fsync(descriptor)
    except OSError as fault:
        return fault
    return None
