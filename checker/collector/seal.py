"""A sealed batch: put together beside its place, on disk, and only then put there, never over another."""

from __future__ import annotations

import base64
import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

from checker.analyzer.lines import Fault
from checker.collector.gather import Block, Place
from checker.errors import CannotDecide
from checker.whole_file import sync_folder

COPY_BYTES = 1 << 20
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)  # of file systems that know no second name
MAX_KEPT_BYTES = 64 << 10  # of a quarantined line


class Scratch:
    """A file that is put together in the collector's work folder, with the digest of what is in it."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self._file = path, file
        self._sha256 = sha256()
        self.lines = 0

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what was written."""
        return self._sha256.hexdigest()

    def write(self, lines: bytes) -> None:
        """Write whole lines. Raises OSError."""
        self._file.write(lines)
        self._sha256.update(lines)
        self.lines += lines.count(b"\n")


@contextmanager
def scratch_file(path: Path) -> Iterator[Scratch]:
    """A new file at `path`, on disk when the block ends well. Raises OSError."""
    with path.open("wb") as file:
        yield Scratch(path, file)
        file.flush()
        os.fsync(file.fileno())


def copy_lines(block: Block, left_out: Iterable[int], out: Scratch) -> None:
    """Write the block's lines but those with the numbers `left_out`. Raises OSError."""
    without = set(left_out)
    with block.path.open("rb") as lines:
        if not without:
            while portion := lines.read(COPY_BYTES):
                out.write(portion)
            return
        for number, line in enumerate(lines):
            if number not in without:
                out.write(line)


def copy_only(block: Block, wanted: Iterable[int], out: Scratch) -> None:
    """Write the block's lines with the numbers `wanted`. Raises OSError."""
    numbers = set(wanted)
    with block.path.open("rb") as lines:
        for number, line in enumerate(lines):
            if number in numbers:
                out.write(line)


def quarantined_line(place: Place, content: bytes, fault: Fault) -> bytes:
    """A line of the quarantine: why, where it came from, and its text (its bytes in base64 where it is none)."""
    document: dict[str, object] = {
        "reason": fault.reason,
        "detail": fault.detail,
        "source": place.source,
        "origin": place.origin,
        "offset": place.offset,
    }
    kept = content[:MAX_KEPT_BYTES]
    try:
        document["line"] = kept.decode()
    except UnicodeDecodeError:
        document["line_base64"] = base64.b64encode(kept).decode()
    if len(content) > len(kept):
        document["is_cut"] = True
    return json.dumps(document, ensure_ascii=True).encode() + b"\n"


def put_in_place(scratch: Path, place: Path) -> None:
    """Give a finished file its name; one that has it is never replaced.

    Raises OSError; CannotDecide where something has the name.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(scratch, place)
        scratch.unlink()
    except FileExistsError:
        told = "a sealed batch is never written again; find what put it there"
        raise CannotDecide(f"{place.name}: is there already; {told}") from None
    except OSError as fault:
        if fault.errno not in _NO_LINKS or os.path.lexists(place):
            raise
        scratch.rename(place)  # nobody else seals: the collector's lock is held
    sync_folder(place.parent)


def put_over(scratch: Path, place: Path) -> None:
    """Give a finished file its name, whatever had it. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch.replace(place)
    sync_folder(place.parent)


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it. Raises OSError."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
