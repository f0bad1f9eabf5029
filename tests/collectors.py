"""A collector on a clock that tests set, over a project of its own whose application appends to `telemetry/`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from checker.analyzer.governed import Governed
from checker.collector.cycle import Sealed
from checker.collector.station import Setting, Station
from checker.ledger.append import Draft, writing
from checker.policy.collecting import FilesRule, SourceRule
from checker.windows import iso, stamp
from tests.batches import FIRST, WINDOW, start_of
from tests.rollouts import governed_of

SAVED = "autosave.save.completed"
SOON = timedelta(seconds=3)


def save(at: datetime, name: str, phase: str = "B", **fields: Any) -> dict[str, Any]:
    """A save that completed."""
    return {"schema_version": 1, "ts": iso(at), "event": SAVED, "phase": phase, "request_id": name, "duration_ms": 500,
            **fields}  # fmt: skip


@dataclass
class Bench:
    """A project in `root` and its collector. `now` is what its clock says."""

    root: Path
    sources: tuple[SourceRule, ...] = (FilesRule("app", paths=("telemetry/*.jsonl",)),)
    now: datetime = FIRST
    setting: Mapping[str, Any] = field(default_factory=dict)

    @property
    def governed(self) -> Governed:
        """AutoSave's governed files with these sources, in this project."""
        governed = governed_of()
        collector = replace(governed.policy.collector, sources=self.sources)
        return replace(governed, policy=replace(governed.policy, collector=collector, root=self.root))

    @property
    def logs(self) -> Path:
        """The folder of batches."""
        return self.root / "logs" / "autosave"

    @property
    def telemetry(self) -> Path:
        """What the application appends to."""
        folder = self.root / "telemetry"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "app.jsonl"

    def station(self) -> Station:
        """The collector, as a process that was just started has it."""
        given = {"ledger": self.root / "ledger" / "autosave.jsonl", **self.setting}
        setting = Setting(logs=self.logs, reports=self.root / "reports", now=lambda: self.now, environ={}, **given)
        return Station(self.governed, setting)

    def append(self, *events: Mapping[str, Any] | bytes, path: Path | None = None) -> None:
        """The application writes events, or bytes as they are."""
        with (path or self.telemetry).open("ab") as file:
            file.writelines(
                event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n" for event in events
            )

    def record(self, draft: Draft, at: datetime) -> None:
        """Append a record to the ledger."""
        with writing(self.root / "ledger" / "autosave.jsonl") as writer:
            writer.append([draft], at)

    def cycle(self, number: int, after: timedelta = SOON) -> list[Sealed]:
        """A run of the collector so long after the window with this number has ended."""
        self.now = start_of(number) + WINDOW + after
        station = self.station()
        with station.lock():
            return [station.collect(window) for window in station.due()]

    def lines(self, number: int) -> list[dict[str, Any]]:
        """The events of a batch, without the collector's own."""
        return [event for event in self.events(number) if not event["event"].startswith("collector.")]

    def events(self, number: int) -> list[dict[str, Any]]:
        """The events of a batch."""
        path = self.logs / f"{stamp(start_of(number))}.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def seal(self, number: int) -> dict[str, Any]:
        """The last line of a batch."""
        return self.events(number)[-1]

    def quarantine(self, number: int) -> list[dict[str, Any]]:
        """What was set aside when a window was sealed."""
        path = self.logs / "quarantine" / f"{stamp(start_of(number))}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def ids(self) -> Counter[str]:
        """How often each event is in a batch, by its request_id."""
        found: Counter[str] = Counter()
        for path in self.logs.glob("*.jsonl"):
            for line in path.read_text(encoding="utf-8").splitlines():
                found.update([event["request_id"]] if "request_id" in (event := json.loads(line)) else [])
        return found


def names(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """The request_ids of events."""
    return [event["request_id"] for event in events]
