"""Appends to a ledger: one writer at a time, whole or not at all, on disk before anything is done about it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checker.errors import NotRecorded
from checker.ledger.lines import MAX_LEDGER_BYTES, MAX_LINE_BYTES, MAX_RECORDS
from checker.ledger.records import End, Ledger, Record, read_ledger, schema_faults_of, shown_name
from checker.whole_file import sync_folder
from checker.windows import iso

LOCK_WAIT_S = 10.0
RACE = timedelta(minutes=1)  # how much earlier than the newest record a command may have read its clock
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to be made. Without `id` it is named by its kind and number. None in `data` is left out of it."""

    kind: str
    phase: str
    data: Mapping[str, Any]
    window_start: datetime | None = None
    id: str | None = None


@dataclass(slots=True)
class LedgerWriter:
    """A ledger that this process alone may append to, with all records that it has."""

    path: Path
    ledger: Ledger
    _descriptor: int

    def append(self, drafts: Sequence[Draft], at: datetime) -> tuple[Record, ...]:
        """Append records, all of them or none, made at `at`; on disk when this returns.

        Raises NotRecorded where they cannot be written (the ledger then is what it was) or the clock is behind the
        newest record's by more than another process can have been faster; ValueError for a draft that the schema
        refuses.
        """
        if not drafts:
            return ()
        end = self.ledger.end
        if end.at is not None and at < end.at - RACE:
            raise NotRecorded(
                f"the clock says {iso(at)}, but the newest record of {shown_name(self.path)} is of {iso(end.at)};"
                " nothing is recorded into the past"
            )
        at = max(at, end.at or at)
        records, lines, end = _lines(drafts, at, end)
        self._write(b"".join(lines))
        self.ledger = Ledger((*self.ledger.records, *records), None, end)
        return tuple(records)

    def append_now(self, drafts: Sequence[Draft], now: datetime) -> tuple[Record, ...]:
        """Like `append`, at `now` or where the ledger's newest record is later, at that: what was done is recorded."""
        return self.append(drafts, max(now, self.ledger.end.at or now))

    def _write(self, content: bytes) -> None:
        size = self.ledger.end.size
        try:
            if size + len(content) > MAX_LEDGER_BYTES or self.ledger.end.seq + content.count(b"\n") > MAX_RECORDS:
                raise OSError(0, f"it would have more than {MAX_LEDGER_BYTES:,} bytes or {MAX_RECORDS:,} records")
            _write_all(self._descriptor, content)
            os.fsync(self._descriptor)
        except OSError as fault:
            _take_back(self._descriptor, size)
            raise NotRecorded(
                f"{shown_name(self.path)}: cannot be written: {fault.strerror}; nothing was recorded or done"
            ) from fault


@contextmanager
def writing(path: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[LedgerWriter]:
    """The ledger in `path`, locked against other writers; a missing one is begun with the first record.

    What a crash cut off is moved into a file beside it (`<name>.torn-…`) before anything is appended. Raises
    NotRecorded where another process holds the lock for `wait_s` or the file cannot be opened; LedgerInvalid.
    """
    with locked(path, f"another phasegate is writing {shown_name(path)}", wait_s):
        ledger = read_ledger(path, END_OF_TIME)
        descriptor = _opened(path)
        try:
            if ledger.torn:
                _set_aside(path, descriptor, ledger.end.size)
            yield LedgerWriter(path, ledger, descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def locked(path: Path, told: str, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold `<path>.lock`. Raises NotRecorded, which says `told`, where another process has it for `wait_s`."""
    from filelock import FileLock, Timeout

    name = f"{shown_name(path)}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock", timeout=wait_s)
        lock.acquire()
    except Timeout:
        raise NotRecorded(
            f"{told} (it holds {name}; waited {wait_s:g} s); nothing was recorded or done:"
            " run the command again when the other one has ended"
        ) from None
    except OSError as fault:
        raise NotRecorded(f"{name}: cannot be opened: {fault.strerror}; nothing was recorded or done") from fault
    try:
        yield
    finally:
        lock.release()


def _opened(path: Path) -> int:
    try:
        is_new = not path.exists()
        descriptor = os.open(path, _APPEND, 0o644)
        if is_new:
            sync_folder(path.parent)
            sync_folder(path.parent.parent)
        return descriptor
    except OSError as fault:
        raise NotRecorded(f"{shown_name(path)}: cannot be opened: {fault.strerror}; nothing was recorded") from fault


def _set_aside(path: Path, descriptor: int, size: int) -> None:
    """Move what lies behind the first `size` bytes into a file of its own, named by its content, then cut it off.

    A crash in between leaves it in both places; the next writer then finds the same content and the same name.
    """
    torn = os.pread(descriptor, os.fstat(descriptor).st_size - size, size)
    beside = path.with_name(f"{path.name}.torn-{hashlib.sha256(torn).hexdigest()[:12]}")
    try:
        aside = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            _write_all(aside, torn)
            os.fsync(aside)
        finally:
            os.close(aside)
        sync_folder(path.parent)
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    except OSError as fault:
        raise NotRecorded(
            f"{shown_name(beside)}: cannot be written: {fault.strerror}; the torn end of the ledger could not be set"
            " aside, so nothing was recorded"
        ) from fault


def _lines(drafts: Sequence[Draft], at: datetime, end: End) -> tuple[list[Record], list[bytes], End]:
    records: list[Record] = []
    lines: list[bytes] = []
    for number, draft in enumerate(drafts):
        document = _document(draft, at, end, more=number < len(drafts) - 1)
        line = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        faults = schema_faults_of(json.loads(line))
        if faults or len(line) >= MAX_LINE_BYTES:
            raise ValueError(f"a {draft.kind} record that cannot be read back: {'; '.join(faults) or 'too long'}")
        end = End(end.seq + 1, at, hashlib.sha256(line).hexdigest(), end.size + len(line) + 1)
        name, data = document["id"], document["data"]
        more = "more" in document
        records.append(Record(end.seq, at, draft.kind, draft.phase, draft.window_start, name, data, more))
        lines.append(line + b"\n")
    return records, lines, end


def _document(draft: Draft, at: datetime, end: End, *, more: bool) -> dict[str, Any]:
    seq = end.seq + 1
    return {
        "schema_version": 1,
        "seq": seq,
        "at": iso(at),
        "kind": draft.kind,
        "phase": draft.phase,
        "window_start": None if draft.window_start is None else iso(draft.window_start),
        "id": draft.id or f"{draft.kind}-{seq}",
        "prev": end.digest,
        **({"more": True} if more else {}),
        "data": {key: value for key, value in draft.data.items() if value is not None or _may_be_null(draft, key)},
    }


def _may_be_null(draft: Draft, key: str) -> bool:
    return draft.kind == "rollback" and key == "incident"


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _take_back(descriptor: int, size: int) -> None:
    """Cut off what was written of records that are not whole; where even that fails, the reader sets it aside."""
    try:
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    except OSError:
        return
