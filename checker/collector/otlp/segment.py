"""The file that a spool's writer appends to: what is there, and what of it is on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from checker.whole_file import sync_folder


@dataclass(slots=True)
class Segment:
    """A segment that is written: `size` bytes of whole blocks, `safe` of them on disk. After a `fault` no more go in.

    It has no lock of its own: its owner's holds for all but `sync_fault`, of which one at a time may run.
    """

    descriptor: int
    size: int = 0
    safe: int = 0
    is_syncing: bool = False
    fault: OSError | None = None

    @classmethod
    def begin(cls, path: Path) -> Segment:
        """A new, empty one, whose name is on disk. Raises OSError."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o644)
        try:
            sync_folder(path.parent)
        except OSError:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def write(self, block: bytes) -> int:
        """Append a block; gives where it ends. Raises OSError; then nothing of it is there."""
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError:
            self._cut(self.size)
            raise
        self.size += len(block)
        return self.size

    def is_lost(self, end: int) -> bool:
        """Whether what ends there will never be on disk."""
        return self.fault is not None and self.safe < end

    def sync_fault(self) -> OSError | None:
        """Have the file on disk; gives what went wrong."""
        try:
            os.fsync(self.descriptor)
        except OSError as fault:
            return fault
        return None

    def settle(self, end: int, fault: OSError | None) -> None:
        """Note what came of a sync of everything up to `end`.

        A disk that failed once may say later that all is well, and have lost it: what was not safe by then is cut off.
        """
        self.is_syncing = False
        if fault is None:
            self.safe = max(self.safe, end)
        else:
            self.fault = fault
            self._cut(self.safe)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.descriptor)

    def _cut(self, size: int) -> None:
        try:
            os.ftruncate(self.descriptor, size)
        except OSError as fault:
            self.fault = self.fault or fault
        else:
            self.size = size
