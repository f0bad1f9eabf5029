"""What the ledger comes to at an instant, for who asks often: the file is read again once it has changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from checker.ledger.append import END_OF_TIME
from checker.ledger.records import Record, read_ledger
from checker.ledger.state import LedgerState, fold
from checker.regular import signature_of


@dataclass(slots=True)
class LedgerView:
    """The ledger in the file `path`; None stands for no ledger."""

    path: Path | None
    _signature: tuple[int, int, int, int] | None = None
    _records: tuple[Record, ...] = ()
    _folded: tuple[int, LedgerState] | None = None  # how many records, and what they come to

    def state_at(self, instant: datetime) -> LedgerState:
        """What the records made by `instant` come to. Raises LedgerInvalid."""
        self._renew()
        known = self._records
        if known and known[-1].at > instant:
            known = tuple(record for record in known if record.at <= instant)
        if self._folded is None or self._folded[0] != len(known):
            self._folded = (len(known), fold(known))
        return self._folded[1]

    def _renew(self) -> None:
        try:
            signature = signature_of(self.path.stat()) if self.path else None
        except FileNotFoundError:
            signature = None
        if signature == self._signature:
            return
        self._records = read_ledger(self.path, END_OF_TIME).records if self.path and signature else ()
        self._signature, self._folded = signature, None
