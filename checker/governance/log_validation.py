"""A log folder against the event schema: where every line of every batch went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import Cache
from checker.analyzer.governed import Governed
from checker.analyzer.measure import measure
from checker.analyzer.quarantine import BatchAccount, account
from checker.analyzer.telemetry import Mapper, load_telemetry
from checker.errors import CannotDecide
from checker.windows import window_at


@dataclass(frozen=True, slots=True)
class LogReport:
    """Accounts of the readable batches, oldest first; why the others could not be read, by file name.

    `copies_between` are second copies of lines in another batch: events of a batch's account, duplicates of the whole.
    """

    batches: tuple[BatchAccount, ...]
    unreadable: Mapping[str, str]
    copies_between: int

    @property
    def lines(self) -> int:
        """Lines of all batches: events + duplicates + too late + quarantined."""
        return sum(batch.lines for batch in self.batches)

    @property
    def events(self) -> int:
        """Events that count, each once."""
        return sum(batch.events for batch in self.batches) - self.copies_between

    @property
    def duplicates(self) -> int:
        """Second copies, within and between batches."""
        return sum(batch.duplicates for batch in self.batches) + self.copies_between

    @property
    def too_late(self) -> int:
        """Lines that were older than `max_late` when they arrived."""
        return sum(batch.too_late for batch in self.batches)

    @property
    def quarantined(self) -> Mapping[str, int]:
        """Broken lines by reason."""
        total: Counter[str] = Counter()
        for batch in self.batches:
            total.update(batch.quarantined)
        return dict(sorted(total.items()))

    @property
    def is_sound(self) -> bool:
        """Whether every batch could be read and no line is broken."""
        return not self.unreadable and not self.quarantined


def validate_logs(governed: Governed, folder: LogFolder, cache: Cache, run: Mapper, as_of: datetime) -> LogReport:
    """The account of every batch that had ended by `as_of`. Raises CannotDecide where there is none."""
    rules = governed.rules
    batches = [batch for batch in folder.batches if batch.start + rules.window <= as_of]
    if not batches:
        raise CannotDecide("there is no batch; give the folder of batches with --logs DIR, or look at --as-of")
    telemetry = load_telemetry(folder, cache, rules, batches[0].start, batches[-1].start, as_of, run)
    shared = sorted(start for start, touching in telemetry.touching.items() if len(touching) > 1)
    windows = [window_at(start, rules.window) for start in shared]
    counts = measure(telemetry, (), "", windows, rules, cache, governed.allowance, run).counts
    return LogReport(
        batches=tuple(account(item.file, item.index, rules) for _, item in sorted(telemetry.batches.items())),
        unreadable={folder.by_start[start].path.name: why for start, why in sorted(telemetry.unreadable.items())},
        copies_between=sum(count.duplicates for count in counts.values()),
    )
