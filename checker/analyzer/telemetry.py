"""What the logs hold for a stretch of time: which batches touch which window, under which digests."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from checker.analyzer.batch_index import Alert, BatchIndex, ReleaseSeen, index_document, index_of
from checker.analyzer.batches import BatchFile, LogFolder, file_digest
from checker.analyzer.cache import Cache, checksum_of, own_file
from checker.analyzer.ingest import ingest
from checker.analyzer.rules import IngestRules
from checker.analyzer.sandbox import loader
from checker.errors import CannotDecide
from checker.model import InputCounts
from checker.windows import stamp, windows_between

PORTION = 16  # batches that one connection reads; opening one costs as much as a small batch

# Runs a function over items, in any order, and gives the results in the items' order.
Mapper = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class KnownBatch:
    """A batch that has been read: its index, its key in the cache and the file of its typed events."""

    file: BatchFile
    index: BatchIndex
    key: str
    events_file: Path
    events_checksum: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Batches of a stretch of time. `unreadable` says why a batch (by its window) could not be read.

    What is more than `max_late` old when its batch ends is not counted any more.
    """

    window: timedelta
    max_late: timedelta
    as_of: datetime
    batches: Mapping[datetime, KnownBatch]
    unreadable: Mapping[datetime, str]
    touching: Mapping[datetime, tuple[KnownBatch, ...]]

    def has_batch(self, window_start: datetime) -> bool:
        """Whether the window has a batch of its own, readable or not."""
        return window_start in self.batches or self.is_unreadable(window_start)

    def is_unreadable(self, window_start: datetime) -> bool:
        """Whether a batch that bears a time in the window could not be read."""
        return any(window_start <= start < window_start + self.window for start in self.unreadable)

    def touches(self, window_start: datetime) -> tuple[KnownBatch, ...]:
        """Batches that hold events of the window, oldest first."""
        return self.touching.get(window_start, ())

    def inputs_digest(self, window_start: datetime, lookback: timedelta = timedelta(0)) -> str:
        """SHA-256 over the digests of every batch with events of the window or of its lookback."""
        parts = []
        start = window_start - lookback
        while start <= window_start:
            own = f"{stamp(start)}{'+' if self.has_batch(start) else '-'}{'!' if self.is_unreadable(start) else ''}"
            own += "".join(f"~{source}" for source in self.missing_sources(start))
            parts.append(
                own + ",".join(f"{stamp(batch.file.start)}={self._seen(batch)}" for batch in self.touches(start))
            )
            start += self.window
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def missing_sources(self, window_start: datetime) -> tuple[str, ...]:
        """Sources that the window's batch was sealed without, and that no later batch was sealed with; sorted.

        What they hold of the window has not come yet; with the first batch that has them it has. A batch for which
        lines of the window are too late brings nothing, and with a source that stays away for longer nothing will.
        """
        own = self.batches.get(window_start)
        missing = set(own.index.incomplete or ()) if own else set()
        for later in windows_between(window_start + self.window, window_start + self.max_late, self.window):
            if not missing:
                break
            batch = self.batches.get(later.start)
            if batch and batch.index.incomplete is not None and not self.seal_is_later(batch):
                missing &= set(batch.index.incomplete)
        return tuple(sorted(missing))

    def events_by_phase(self, window_start: datetime) -> Counter[str]:
        """The window's events by the phase that they carry, the collector's own aside.

        Copies in two batches, which no query counts twice, are counted twice here.
        """
        found: Counter[str] = Counter()
        for batch in self.touches(window_start):
            found.update(batch.index.phases.get(window_start, {}))
        return found

    def _seen(self, batch: KnownBatch) -> str:
        """The batch's key, marked where its seal lies after `as_of` and therefore does not exist."""
        return f"{batch.key}@{self.as_of.isoformat()}" if self.seal_is_later(batch) else batch.key

    def seal_is_later(self, batch: KnownBatch) -> bool:
        """Whether the batch holds a seal line later than `as_of`."""
        return batch.index.last_seal_at is not None and batch.index.last_seal_at > self.as_of

    def logs_digest(self, starts: Iterable[datetime]) -> str:
        """SHA-256 over the bytes of all batches that touch these windows or belong to them."""
        wanted = set(starts)
        used = [batch for start in wanted for batch in self.touches(start)]
        used += [self.batches[start] for start in wanted if start in self.batches]
        lines = sorted({f"{stamp(batch.file.start)} {batch.index.digest}" for batch in used})
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def counts(self, window_start: datetime, events: int, duplicates: int) -> InputCounts:
        """Where the window's lines went; `events` and `duplicates` are those of the window over all batches."""
        own = self.batches.get(window_start)
        used = {batch.file.start for batch in self.touches(window_start)} | ({window_start} if own else set())
        return InputCounts(
            batches=len(used),
            lines=own.index.lines if own else 0,
            events=events,
            duplicates=duplicates,
            too_late=own.index.too_late if own else 0,
            quarantined=sum(own.index.quarantined.values()) if own else 0,
            quarantined_by_reason=dict(own.index.quarantined) if own else {},
        )

    def alerts(self) -> tuple[Alert, ...]:
        """Every alert among the events, oldest first."""
        return tuple(
            sorted((alert for batch in self.batches.values() for alert in batch.index.alerts), key=_alert_order)
        )

    def releases(self, phase: str) -> tuple[ReleaseSeen, ...]:
        """When each release was seen in a window of `phase`, oldest first."""
        seen = (row for batch in self.batches.values() for row in batch.index.releases if row.phase == phase)
        return tuple(sorted(seen, key=lambda row: (row.first_at, row.release)))


def _alert_order(alert: Alert) -> tuple[Any, ...]:
    return alert.at, alert.window_start, alert.phase, alert.name, alert.severity


def load_telemetry(
    folder: LogFolder,
    cache: Cache,
    rules: IngestRules,
    first: datetime,
    last: datetime,
    as_of: datetime,
    run: Mapper,
    verify: bool = False,
) -> Telemetry:
    """Know every batch that can hold events of the windows that start in `[first, last]`, as of `as_of`.

    A batch reaches forward by the lateness and back by `max_late`. Batches that the cache knows are not opened, unless
    `verify` asks for their digests again.
    """
    reach = rules.window * (-(-rules.lateness // rules.window))
    latest = min(last + rules.max_late, as_of - rules.window)
    files = folder.between(first - reach, latest)
    known, unreadable = _know(files, folder, cache, rules, run, verify)
    touching: dict[datetime, list[KnownBatch]] = {}
    for batch in sorted(known.values(), key=lambda item: item.file.start):
        for start in batch.index.touches:
            touching.setdefault(start, []).append(batch)
    return Telemetry(
        window=rules.window,
        max_late=rules.max_late,
        as_of=as_of,
        batches={batch.file.start: batch for batch in known.values()},
        unreadable=unreadable,
        touching={start: tuple(batches) for start, batches in touching.items()},
    )


def _know(
    files: Sequence[BatchFile], folder: LogFolder, cache: Cache, rules: IngestRules, run: Mapper, verify: bool
) -> tuple[dict[datetime, KnownBatch], dict[datetime, str]]:
    place = hashlib.sha256(os.fsencode(folder.path.resolve())).hexdigest()[:16]
    unreadable = folder.refused(files, rules.window, rules.origin)
    files = [batch for batch in files if batch.start not in unreadable]
    names = {batch: f"{place}/{batch.path.name}" for batch in files}
    digests = _known_digests(files, names, cache, verify)
    keys = {batch: batch_key(rules, batch, digest) for batch, digest in digests.items()}
    rows = cache.get("batches", keys.values())
    known: dict[datetime, KnownBatch] = {}
    missing: list[BatchFile] = []
    for batch in files:
        key = keys.get(batch, "")
        row = rows.get(key)
        if row and cache.events_file(key).exists():
            known[batch.start] = _known_batch(batch, index_of(row["index"]), key, cache, row["checksum"])
        else:
            missing.append(batch)
    for batch, result in zip(missing, _read_missing(missing, cache, rules, run), strict=True):
        if isinstance(result, str):
            unreadable[batch.start] = result
            continue
        signature, index, key, checksum = result
        known[batch.start] = _known_batch(batch, index, key, cache, checksum)
        cache.put("files", {names[batch]: [*signature, index.digest]})
        cache.put("batches", {key: {"index": index_document(index), "checksum": checksum}})
    return known, unreadable


def _known_digests(
    files: Sequence[BatchFile], names: Mapping[BatchFile, str], cache: Cache, verify: bool
) -> dict[BatchFile, str]:
    """Digests of the batches that lie as they lay when they were last hashed."""
    rows = cache.get("files", names.values())
    digests: dict[BatchFile, str] = {}
    for batch in files:
        row = rows.get(names[batch])
        try:
            if row and tuple(row[:4]) == batch.signature():
                digests[batch] = file_digest(batch) if verify else row[4]
        except (OSError, ValueError):
            continue  # it is read, and fails, as one that the cache does not know
    return digests


def batch_key(rules: IngestRules, batch: BatchFile, digest: str) -> str:
    """The key of what reading this batch under these rules gives."""
    return hashlib.sha256(f"{rules.digest} {batch.path.name} {digest}".encode()).hexdigest()


@dataclass(slots=True)
class _Reader:
    """Reads batches for one mapper; remembers which columns the last batch had."""

    rules: IngestRules
    folder: Path
    likely: tuple[str, ...] = field(default=())

    def read(self, batches: Sequence[BatchFile]) -> list[Any]:
        with loader() as connection:
            return [self._read_one(connection, batch) for batch in batches]

    def _read_one(self, connection: Any, batch: BatchFile) -> Any:
        scratch = own_file(self.folder, f"reading-{stamp(batch.start)}")
        try:
            signature = batch.signature()
            index = ingest(connection, batch, self.rules, scratch, self.likely)
            if batch.signature() != signature:
                scratch.unlink()
                return f"{batch.path.name}: changed while it was read; run the command again once it lies still"
        except OSError as fault:
            return f"{batch.path.name}: cannot be read: {fault.strerror}"
        except CannotDecide as fault:
            return str(fault)
        self.likely = tuple(name for name in index.columns if name != "payload")
        key = batch_key(self.rules, batch, index.digest)
        checksum = checksum_of(scratch)
        scratch.replace(self.folder / f"{key}.parquet")
        return signature, index, key, checksum


def _read_missing(missing: Sequence[BatchFile], cache: Cache, rules: IngestRules, run: Mapper) -> Iterator[Any]:
    """Results for `missing`, in order: what `_Reader` gives, or a text that says why a batch could not be read."""
    portions = [missing[start : start + PORTION] for start in range(0, len(missing), PORTION)]

    def read(portion: Sequence[BatchFile]) -> list[Any]:
        return _Reader(rules, cache.events_folder).read(portion)

    for results in run(read, portions):
        yield from results


def _known_batch(batch: BatchFile, index: BatchIndex, key: str, cache: Cache, checksum: str) -> KnownBatch:
    return KnownBatch(batch, index, key, cache.events_file(key), checksum)
