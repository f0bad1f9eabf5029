"""What a receiver took, on disk before it says so: segments of blocks, one block a request.

A block is a header, `#<SHA-256 of the request> <bytes> <lines>`, and the event lines. A block that is not whole was
never acknowledged, and counts for nothing. Readers in other processes read whole blocks alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from checker.errors import NotRecorded
from checker.whole_file import sync_folder

SEGMENT_BYTES = 32 << 20
REMEMBERED = 10_000  # requests; a client that lost our answer sends the same bytes again, soon
MAX_HEADER = 128
_HEADER = re.compile(rb"#([0-9a-f]{64}) ([0-9]{1,12}) ([0-9]{1,9})\n")
_NAME = re.compile(r"[0-9]{8}\.spool")


class Damaged(ValueError):
    """A block in the middle of a segment does not fit its header: something else wrote there."""


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


def blocks(segment: Path, offset: int = 0) -> Iterator[Block]:
    """The whole blocks of a segment from `offset` on; an end that is not whole is left.

    Raises OSError, and Damaged for what is no block.
    """
    with segment.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(offset)
        while header := file.readline(MAX_HEADER):
            match = _HEADER.fullmatch(header)
            if match is None:
                if file.tell() >= size and len(header) < MAX_HEADER and not header.endswith(b"\n"):
                    return  # the end of a header that is being written
                raise Damaged(f"{segment.name}: no block at byte {offset}")
            length, count = int(match[2]), int(match[3])
            lines = file.read(length)
            if len(lines) < length:
                return
            if lines.count(b"\n") != count or (lines and not lines.endswith(b"\n")):
                raise Damaged(f"{segment.name}: the block at byte {offset} has not the {count} lines that it says")
            end = offset + len(header) + length
            yield Block(match[1].decode(), offset, end, lines)
            offset = end


class SpoolWriter:
    """The one writer of a folder's segments; many threads may append.

    Raises NotRecorded where another process writes it, OSError where the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lock, self._synced = threading.Lock(), threading.Condition()
        self._written = self._safe = 0  # bytes since the beginning: written, and on disk
        self._syncing = False
        self._guard = _locked(folder)
        self._number = self._recover()
        self._descriptor, self._size = self._begin()

    def append(self, digest: str, lines: bytes) -> bool:
        """Put a request's lines down; they are on disk when this returns. False where they are already.

        Raises OSError; then nothing of them is there.
        """
        with self._lock:
            is_new = digest not in self._known
            upto = self._put(digest, lines) if is_new else self._written
        try:
            self._sync(upto)
        except OSError:
            with self._lock:
                self._known.pop(digest, None)  # it may be there or not: the client sends it again
            raise
        return is_new

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._descriptor)
        os.close(self._guard)

    def _put(self, digest: str, lines: bytes) -> int:
        if self._size >= SEGMENT_BYTES:
            self._next()
        upto = self._write(b"#%s %d %d\n%s" % (digest.encode(), len(lines), lines.count(b"\n"), lines))
        self._known[digest] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return upto

    def _write(self, content: bytes) -> int:
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise
        self._size += len(content)
        self._written += len(content)
        return self._written

    def _sync(self, upto: int) -> None:
        """Wait until everything up to there is on disk: one thread has it done for all that wait."""
        while True:
            with self._synced:
                while self._syncing and self._safe < upto:
                    self._synced.wait()
                if self._safe >= upto:
                    return
                self._syncing = True
            try:
                with self._lock:
                    reached, descriptor = self._written, os.dup(self._descriptor)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                with self._synced:
                    self._safe = max(self._safe, reached)
            finally:
                with self._synced:
                    self._syncing = False
                    self._synced.notify_all()

    def _next(self) -> None:
        """Go on in another segment, once this one is on disk."""
        os.fsync(self._descriptor)
        self._number += 1
        before = self._descriptor
        self._descriptor, self._size = self._begin()
        os.close(before)
        with self._synced:
            self._safe = self._written

    def _begin(self) -> tuple[int, int]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self._folder / f"{self._number:08d}.spool", flags, 0o644)
        sync_folder(self._folder)
        return descriptor, 0

    def _recover(self) -> int:
        """Cut off what the newest segment holds of a block that is not whole; gives the next segment's number."""
        there = segments(self._folder)
        for segment in there[-2:]:
            end = 0
            for block in blocks(segment):
                self._known[block.digest] = None
                end = block.end
            if segment == there[-1] and segment.stat().st_size > end:
                os.truncate(segment, end)
        return int(there[-1].stem) + 1 if there else 1


def _locked(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise NotRecorded(f"{folder.name}: another receiver writes this spool; stop it first") from None
    return descriptor
