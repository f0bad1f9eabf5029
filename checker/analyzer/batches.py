"""The log folder: which batches there are, and the bytes of one, plain or compressed."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from checker.errors import CannotDecide
from checker.windows import parse_stamp

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
BLOCK_BYTES = 8 << 20
_PACKED_BYTES = 16 << 10  # what one piece of a compressed batch unpacks to stays in memory


@dataclass(frozen=True, slots=True, order=True)
class BatchFile:
    """A batch as it lies in the log folder; `start` is the window that its name gives."""

    start: datetime
    path: Path

    def signature(self) -> tuple[int, int, int, int]:
        """Size, times (ns) and inode: while they stay, the content is taken to be the same. Raises OSError."""
        state = self.path.stat()
        return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


class LogFolder:
    """The batches of one target. Lists names once; opens nothing until asked."""

    def __init__(self, path: Path) -> None:
        """List the folder; one that is not there has no batch. Raises CannotDecide for two batches of one window.

        `passed_over` then names what looks like a batch and is none: misnamed, a link, a folder.
        """
        self.path = path
        self.passed_over: list[str] = []
        self.batches: tuple[BatchFile, ...] = tuple(sorted(self._list()))
        self.by_start = {batch.start: batch for batch in self.batches}
        if len(self.by_start) < len(self.batches):
            starts = [batch.start for batch in self.batches]
            twice = sorted({batch.path.name for batch in self.batches if starts.count(batch.start) > 1})
            raise CannotDecide(
                f"{', '.join(twice)}: more than one batch of one window; keep the one that the collector sealed"
            )

    def _list(self) -> Iterator[BatchFile]:
        try:
            entries = list(os.scandir(self.path))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as fault:
            raise CannotDecide(f"the folder of logs cannot be read: {fault.strerror}") from fault
        for entry in entries:
            name = entry.name
            suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
            start = parse_stamp(name[: -len(suffix)]) if suffix else None
            if start is not None and entry.is_file(follow_symlinks=False):
                yield BatchFile(start, Path(entry.path))
            elif suffix:
                self.passed_over.append(name)

    def between(self, first: datetime, last: datetime) -> tuple[BatchFile, ...]:
        """Batches whose window starts at or after `first` and at or before `last`, oldest first."""
        return tuple(batch for batch in self.batches if first <= batch.start <= last)


@contextmanager
def plain_bytes(batch: BatchFile) -> Iterator[IO[bytes]]:
    """The batch's decompressed bytes as a stream. Raises OSError, EOFError or ValueError where it cannot be read."""
    if batch.path.name.endswith(".gz"):
        try:
            with gzip.open(batch.path) as unzipped:
                yield cast("IO[bytes]", unzipped)
        except zlib.error as fault:
            raise ValueError(f"is no gzip file, or a damaged one ({fault})") from fault
    elif batch.path.name.endswith(".zst"):
        with batch.path.open("rb") as source:
            yield io.BufferedReader(_Unpacked(source))
    else:
        with batch.path.open("rb") as stream:
            yield stream


class _Unpacked(io.RawIOBase):
    """Zstandard frames, one after the other, as plain bytes; one that is cut off is an EOFError, never a short file."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._packed, self._plain = source, b"", b""
        self._frame: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain and self._has_more():
            self._unpack()
        count = min(len(buffer), len(self._plain))
        buffer[:count], self._plain = self._plain[:count], self._plain[count:]
        return count

    def _has_more(self) -> bool:
        self._packed = self._packed or self._source.read(_PACKED_BYTES)
        if not self._packed and self._frame:
            raise EOFError("ends in the middle of a Zstandard frame")
        return bool(self._packed)

    def _unpack(self) -> None:
        import zstandard

        self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
        try:
            self._plain = self._frame.decompress(self._packed)
        except zstandard.ZstdError as fault:
            raise ValueError(f"is no Zstandard file, or a damaged one ({fault})") from fault
        self._packed = self._frame.unused_data if self._frame.eof else b""
        self._frame = None if self._frame.eof else self._frame


def digest_of(path: Path) -> str:
    """SHA-256 (hex) of the file as it lies there."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its number from 0, its bytes without the newline, and whether it ended in one.

    Of a line over `max_bytes` only the first `max_bytes + 1` bytes are kept.
    """

    number: int
    content: bytes
    whole: bool


def read_lines(stream: IO[bytes], max_bytes: int) -> Iterator[Line]:
    """Every line of the stream, in bounded memory however long one is."""
    number = 0
    while content := stream.readline(max_bytes + 1):
        rest = content
        while len(rest) > max_bytes and not rest.endswith(b"\n"):
            rest = stream.readline(max_bytes + 1)
        whole = rest.endswith(b"\n")
        yield Line(number, content.removesuffix(b"\n"), whole)
        number += 1
