"""A rollout that is checked and recorded window by window, with real batches and a real ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from checker.analyzer.cache import CachePlace
from checker.analyzer.governed import Governed, load_governed
from checker.ledger.append import Draft, writing
from checker.ledger.records import Record, read_ledger
from checker.ledger.state import LedgerState, fold
from checker.pipeline import Request
from checker.recording import RecordedCheck, check_and_record, recover_and_record
from checker.windows import iso
from tests.batches import FIRST, closed, write_batches
from tests.ledgers import END_OF_TIME

POLICY = Path(__file__).resolve().parent.parent / "policy" / "policy.yaml"


@cache
def governed_of(policy: Path = POLICY) -> Governed:
    """The governed files, read once for each policy."""
    return load_governed(policy)


@dataclass
class Rollout:
    """Logs and a ledger below `root`. The phase is entered at the first window, where `enter` is called."""

    root: Path
    phase: str = "B"
    policy: Path = POLICY
    kinds: list[str] = field(default_factory=list)

    @property
    def governed(self) -> Governed:
        """The governed files."""
        return governed_of(self.policy)

    @property
    def logs(self) -> Path:
        """The folder of batches."""
        return self.root / "logs" / "autosave"

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.root / "ledger" / "autosave.jsonl"

    @property
    def records(self) -> tuple[Record, ...]:
        """All records of the ledger."""
        return read_ledger(self.ledger, END_OF_TIME).records

    @property
    def state(self) -> LedgerState:
        """What they come to."""
        return fold(self.records)

    def enter(self, at: datetime = FIRST) -> None:
        """Record that the phase was entered."""
        data = {"from": "off", "to": self.phase, "by": "Ada", "reason": "as planned"}
        self.record([Draft("phase_change", self.phase, data)], at)

    def record(self, drafts: Sequence[Draft], at: datetime) -> None:
        """Append records of people's doing."""
        with writing(self.ledger) as writer:
            writer.append(drafts, at)

    def batches(self, *kinds: str, extra: Mapping[int, Iterable[Mapping[str, Any]]] | None = None) -> None:
        """Write further batches; `extra` are events by number of the window."""
        self.kinds += kinds
        write_batches(self.logs, self.phase, self.kinds, extra=extra)

    def request(self, at: datetime) -> Request:
        """What a command at `at` asks."""
        place = CachePlace.trusted(self.root / "cache")
        return Request(phase=self.phase, as_of=at, logs=self.logs, ledger=self.ledger, cache=place)

    def check(
        self, windows: int | None = None, *, later: timedelta = timedelta(0), wanted: Iterable[str] = ()
    ) -> RecordedCheck:
        """Check and record once `windows` windows (by default all that have a batch) are closed, or `later`."""
        at = closed(len(self.kinds) if windows is None else windows) + later
        return check_and_record(self.governed, self.request(at), lambda: at, frozenset(wanted))

    def recover(self, at: datetime) -> tuple[str, ...]:
        """Make the checks of a recovery that are due at `at`."""
        return recover_and_record(self.governed, self.request(at), lambda: at)

    def told(self) -> list[str]:
        """`08:15 autosave-warn` for each notice: its window's time of day and its rule."""
        return [
            f"{iso(notice.window_start)[11:16] if notice.window_start else '-'} {notice.notice}"
            for notice in self.state.notices
        ]
