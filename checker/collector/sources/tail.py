"""A file that grows, held open: its size when it was looked at, and its whole lines from an offset on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256

from checker.analyzer.lines import MAX_LINE_BYTES

READ_BYTES = 1 << 20


class Tail:
    """A regular file as it is now; what is appended after `size` was looked at is the next look's. Raises OSError."""

    def __init__(self, descriptor: int) -> None:
        state = os.fstat(descriptor)
        self.place = (state.st_dev, state.st_ino)
        self.size, self.mtime_ns = state.st_size, state.st_mtime_ns
        self._descriptor = descriptor

    def at(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset` on, none past the size that was looked at."""
        return os.pread(self._descriptor, max(0, min(length, self.size - offset)), offset)

    def digest(self, offset: int, length: int) -> str:
        """SHA-256 (hex) of these bytes; empty where there are none."""
        return sha256(self.at(offset, length)).hexdigest() if length else ""

    def lines(self, offset: int) -> Iterator[tuple[bytes, int]]:
        """Whole lines from `offset` on, many at a time, each portion with the bytes of the file that it stands for.

        A line that is longer than a line may be comes alone, and cut.
        """
        while block := self.at(offset, READ_BYTES):
            end = block.rfind(b"\n") + 1
            if not end and (end := self._end_of_line(offset)):
                block = self.at(offset, min(end - offset, MAX_LINE_BYTES + 1)).removesuffix(b"\n") + b"\n"
                yield block, end - offset
                offset = end
                continue
            if not end:
                return
            yield block[:end], end
            offset += end

    def rest(self, offset: int) -> bytes:
        """What stands after the last newline; nothing where that is too long to be a line."""
        rest = self.at(offset, MAX_LINE_BYTES + 1)
        return b"" if b"\n" in rest or len(rest) > MAX_LINE_BYTES else rest

    def start_of_line(self, offset: int) -> int:
        """The start of the line that `offset` lies in: after the last newline before it."""
        while offset > 0:
            begin = max(0, offset - READ_BYTES)
            found = self.at(begin, offset - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            offset = begin
        return 0

    def _end_of_line(self, offset: int) -> int:
        """The offset after the newline that ends a long line; 0 where it has no end yet."""
        while block := self.at(offset, READ_BYTES):
            found = block.find(b"\n")
            if found >= 0:
                return offset + found + 1
            offset += len(block)
        return 0
