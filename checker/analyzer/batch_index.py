"""What a batch holds, in short: counts by window, releases, alerts; and the same as JSON, for the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert among the events, as the gates see it."""

    at: datetime
    window_start: datetime
    phase: str
    name: str
    severity: str


@dataclass(frozen=True, slots=True)
class ReleaseSeen:
    """When a release's first event of a window and phase came."""

    window_start: datetime
    phase: str
    release: str
    first_at: datetime


@dataclass(frozen=True, slots=True)
class BatchIndex:
    """What a batch holds. Lines = all `events` + all `duplicates` + `too_late` + all `quarantined`.

    `events` and `duplicates` count by window, `phases` the events of each window by the phase that they carry, without
    the collector's own. `incomplete` are the sources that the batch was sealed without; None where nothing in it says
    how it was sealed. Columns that are not among `columns` are null throughout.
    `has_numbers` says that the file of events holds line numbers, since not every line is there.
    """

    digest: str
    lines: int
    too_late: int
    events: Mapping[datetime, int]
    duplicates: Mapping[datetime, int] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    releases: tuple[ReleaseSeen, ...] = ()
    alerts: tuple[Alert, ...] = ()
    last_seal_at: datetime | None = None
    incomplete: tuple[str, ...] | None = None
    phases: Mapping[datetime, Mapping[str, int]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    has_numbers: bool = False

    @property
    def touches(self) -> frozenset[datetime]:
        """Starts of the windows that the batch has events or copies for."""
        return frozenset(self.events) | frozenset(self.duplicates)


def index_document(index: BatchIndex) -> dict[str, Any]:
    """A BatchIndex as JSON; times as ISO texts."""
    document = asdict(index)
    for name in ("events", "duplicates", "phases"):
        document[name] = {start.isoformat(): count for start, count in document[name].items()}
    for name, times in (("releases", ("window_start", "first_at")), ("alerts", ("at", "window_start"))):
        document[name] = [row | {key: row[key].isoformat() for key in times} for row in document[name]]
    document["last_seal_at"] = index.last_seal_at.isoformat() if index.last_seal_at else None
    return document


def index_of(document: Mapping[str, Any]) -> BatchIndex:
    """The BatchIndex that `index_document` gave as JSON."""

    def at(text: str) -> datetime:
        return datetime.fromisoformat(text)

    return BatchIndex(
        digest=document["digest"],
        lines=document["lines"],
        too_late=document["too_late"],
        events={at(start): count for start, count in document["events"].items()},
        duplicates={at(start): count for start, count in document["duplicates"].items()},
        quarantined=document["quarantined"],
        releases=tuple(
            ReleaseSeen(at(row["window_start"]), row["phase"], row["release"], at(row["first_at"]))
            for row in document["releases"]
        ),
        alerts=tuple(
            Alert(at(row["at"]), at(row["window_start"]), row["phase"], row["name"], row["severity"])
            for row in document["alerts"]
        ),
        last_seal_at=at(document["last_seal_at"]) if document["last_seal_at"] else None,
        incomplete=None if document["incomplete"] is None else tuple(document["incomplete"]),
        phases={at(start): counts for start, counts in document["phases"].items()},
        columns=tuple(document["columns"]),
        has_numbers=document["has_numbers"],
    )
