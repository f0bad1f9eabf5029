"""The log folder: which batches there are, and one of them held open."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from checker.analyzer.unpack import check_size, packing_of, unpacked
from checker.errors import CannotDecide
from checker.regular import kind_told, open_regular, same_file, signature_of
from checker.units import plain
from checker.windows import EPOCH, parse_stamp

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
BLOCK_BYTES = 8 << 20
MAX_NAMED = 20  # names of what is no batch; a folder can hold any number
_OPEN_FILES = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True, order=True)
class BatchFile:
    """A batch as it lies in the log folder; `start` is the window that its name gives."""

    start: datetime
    path: Path

    def signature(self) -> tuple[int, int, int, int]:
        """Size, times (ns) and inode: while they stay, the content is taken to be the same. Raises OSError."""
        return signature_of(os.lstat(self.path))


@dataclass(frozen=True, slots=True)
class HeldBatch:
    """A batch that is held open: whatever happens to its name, it is one file that is read."""

    file: BatchFile
    descriptor: int

    @property
    def path(self) -> Path:
        """What DuckDB opens: the held file itself, where the system gives it a name, else the batch's."""
        held = _OPEN_FILES / str(self.descriptor)
        return held if _OPEN_FILES.is_dir() else self.file.path

    @property
    def packing(self) -> str:
        """How it is packed, in DuckDB's words."""
        return packing_of(self.file.path.name)

    @property
    def size(self) -> int:
        """Its bytes as it lies there."""
        return os.fstat(self.descriptor).st_size

    def signature(self) -> tuple[int, int, int, int]:
        """As a BatchFile's, of the file that is held."""
        return signature_of(os.fstat(self.descriptor))

    def is_named(self) -> bool:
        """Whether the batch's name still means the file that is held."""
        return same_file(self.file.path, self.descriptor)


@contextmanager
def hold(batch: BatchFile) -> Iterator[HeldBatch]:
    """Hold the batch open. Raises OSError; ValueError for what is no regular file, or too large."""
    with open_regular(batch.path) as descriptor:
        held = HeldBatch(batch, descriptor)
        check_size(held.size)
        yield held


def plain_bytes(batch: HeldBatch) -> IO[bytes]:
    """The batch's decompressed bytes as a stream from its beginning.

    Reading raises OSError, EOFError, or ValueError where it is damaged or over a limit (see `unpack`).
    """
    return unpacked(batch.descriptor, batch.packing)


def digest_of(batch: HeldBatch) -> str:
    """SHA-256 (hex) of the file as it lies there."""
    with unpacked(batch.descriptor, packing_of("")) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def file_digest(batch: BatchFile) -> str:
    """The same of a batch that is not held yet. Raises OSError, ValueError."""
    with hold(batch) as held:
        return digest_of(held)


class LogFolder:
    """The batches of one target. Lists names once; opens nothing until asked."""

    def __init__(self, path: Path) -> None:
        """List the folder (or what a link to it names); one that is not there has no batch. Raises CannotDecide.

        A batch is what has a batch's name: what is no regular file is refused when it is opened, and its window says
        so. Of two batches of one window the first by name is listed, and refused.
        `passed_over` names, safe to show, what looks like a batch and is none: misnamed, a link, a folder.
        """
        self.path = path
        self.passed_over: list[str] = []
        found = sorted(self._list())
        self.by_start = {batch.start: batch for batch in reversed(found)}
        self.batches: tuple[BatchFile, ...] = tuple(self.by_start[start] for start in sorted(self.by_start))
        self._twice: Mapping[datetime, str] = _twice(found)

    def _list(self) -> Iterator[BatchFile]:
        odd = []
        for entry in self._entries():
            name = entry.name
            suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
            start = parse_stamp(name[: -len(suffix)]) if suffix else None
            if start is not None:
                yield BatchFile(start, Path(entry.path))
                if not entry.is_file(follow_symlinks=False):
                    odd.append(f"{name} ({_kind(entry)})")
            elif suffix:
                odd.append(name)
        self.passed_over = [plain(name) for name in sorted(odd)[:MAX_NAMED]]
        if len(odd) > MAX_NAMED:
            self.passed_over.append(f"… and {len(odd) - MAX_NAMED:,} more")

    def _entries(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.path) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as fault:
            raise CannotDecide(f"the folder of logs cannot be read: {fault.strerror}") from fault

    def between(self, first: datetime, last: datetime) -> tuple[BatchFile, ...]:
        """Batches whose window starts at or after `first` and at or before `last`, oldest first."""
        return tuple(batch for batch in self.batches if first <= batch.start <= last)

    def refused(
        self, batches: Iterable[BatchFile], window: timedelta, origin: timedelta = timedelta(0)
    ) -> dict[datetime, str]:
        """Why some of `batches` are not even opened, by their starts: no window's start, or that of another as well.

        Windows lie on a grid that `origin`, from the epoch, is a point of.
        """
        crooked = "is not named by the start of a window, a multiple of {}; rename it"
        return {
            batch.start: f"{batch.path.name}: cannot be read: {why}"
            for batch in batches
            if (why := self._twice.get(batch.start))
            or (why := crooked.format(window) if (batch.start - EPOCH - origin) % window else None)
        }


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        told = kind_told(entry.stat(follow_symlinks=False).st_mode)
    except OSError as fault:
        told = fault.strerror
    return (told or "Is gone").lower()


def _twice(found: list[BatchFile]) -> Mapping[datetime, str]:
    names: dict[datetime, list[str]] = {}
    for batch in found:
        names.setdefault(batch.start, []).append(batch.path.name)
    why = "there is more than one batch of the window ({}); keep the one that the collector sealed"
    return {start: why.format(", ".join(twice)) for start, twice in names.items() if len(twice) > 1}


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
