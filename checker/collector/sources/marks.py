"""How far a file was read, and how it is known again: inode and fingerprints. Values alone; `Tail` looks at files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from checker.collector.sources.tail import Tail

FINGERPRINT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Mark:
    """One file: read up to `offset`, when it had `size` bytes and was changed at `mtime_ns`.

    `head` and `tail` are SHA-256 (hex) of the first and of the last bytes that were read, at most FINGERPRINT_BYTES of
    each. `has_ended_line` says that the last line was taken without its newline, which may still come. One that
    `is_gone` was not there at the last look, and may come back: with its volume, say.
    """

    path: str
    device: int
    inode: int
    offset: int
    size: int
    mtime_ns: int
    head: str = ""
    tail: str = ""
    has_ended_line: bool = False
    is_gone: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """What the file system knows the file by."""
        return self.device, self.inode

    @property
    def is_at_end(self) -> bool:
        """Whether nothing was left to read."""
        return self.offset == self.size

    def has_rested(self, tail: Tail, offset: int) -> bool:
        """Whether nothing was written since the last look, when the line at `offset` was already without an end."""
        return (self.size, self.mtime_ns, self.offset) == (tail.size, tail.mtime_ns, offset)


def begun(tail: Tail, path: Path, offset: int) -> Mark:
    """The mark of a file that counts as read up to `offset`."""
    device, inode = tail.place
    length = min(offset, FINGERPRINT_BYTES)
    return Mark(
        path=str(path),
        device=device,
        inode=inode,
        offset=offset,
        size=tail.size,
        mtime_ns=tail.mtime_ns,
        head=tail.digest(0, length),
        tail=tail.digest(offset - length, length),
    )


def moved(mark: Mark, tail: Tail, path: Path, offset: int) -> Mark:
    """The mark of the same file further on; one that did not move keeps what it knows."""
    if offset == mark.offset:
        return replace(mark, path=str(path), size=tail.size, mtime_ns=tail.mtime_ns, is_gone=False)
    return begun(tail, path, offset)


def fits(mark: Mark, tail: Tail) -> bool:
    """Whether the file still begins and goes on as the mark has it: not truncated, not written anew, or a copy."""
    length = min(mark.offset, FINGERPRINT_BYTES)
    return (
        tail.size >= mark.offset
        and tail.digest(0, length) == mark.head
        and tail.digest(mark.offset - length, length) == mark.tail
    )
