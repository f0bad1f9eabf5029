"""Where the collector keeps what: batches in the log folder, its own things in `collector/` below it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from checker.analyzer.batches import SUFFIXES
from checker.analyzer.recovery import FOLDER as RECOVERY
from checker.whole_file import safe_name
from checker.windows import stamp

PLAIN_SUFFIX = SUFFIXES[0]


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one target's collector; `logs` is the folder of its batches."""

    logs: Path

    @property
    def own(self) -> Path:
        """The collector's own folder."""
        return self.logs / "collector"

    @property
    def work(self) -> Path:
        """What a cycle puts together; whatever lies there when one begins is of one that was cut off."""
        return self.own / "work"

    @property
    def states(self) -> Path:
        """A file for each of the newest sealed windows: how far each source was read."""
        return self.own / "state"

    @property
    def lock(self) -> Path:
        """What is held by the one process that collects."""
        return self.own / "lock"

    def spool(self, source: str) -> Path:
        """What the receiver of this source took."""
        return self.own / "spool" / safe_name(source)

    @property
    def said(self) -> Path:
        """The collector's own events that are not in a batch yet, and those that are."""
        return self.own / "said.jsonl"

    @property
    def failures(self) -> Path:
        """Which sources are being tried again."""
        return self.own / "failures.json"

    @property
    def recovery(self) -> Path:
        """Files for the checks of a recovery."""
        return self.logs / RECOVERY

    def batch(self, start: datetime) -> Path:
        """The batch of the window that starts at `start`, as it is sealed."""
        return self.logs / f"{stamp(start)}{PLAIN_SUFFIX}"

    def quarantine(self, start: datetime) -> Path:
        """The lines that were set aside when the window was sealed."""
        return self.logs / "quarantine" / f"{stamp(start)}.jsonl"

    def carried(self, start: datetime) -> Path:
        """Lines of later windows that were read when the window was sealed."""
        return self.own / "carried" / f"{stamp(start)}.jsonl"

    def has_batch(self, start: datetime) -> bool:
        """Whether the window has a batch, packed or not, whoever put it there."""
        return any((self.logs / f"{stamp(start)}{suffix}").exists() for suffix in SUFFIXES)
