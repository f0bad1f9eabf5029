"""Two disposable caches, keyed by content: each batch's index and typed events, each window's measurement.

One SQLite file and a folder of Parquet files. Nothing in it is believed over the logs: a row or a file whose checksum
does not fit is as good as missing, and a cache that cannot be opened or written is done without. Checksums are made
with a key: a cache that came with a project, made by whoever wrote that, is as good as empty.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checker.errors import CannotDecide
from checker.regular import is_link

_TABLES = ("files", "batches", "measurements", "proofs")
_KEY_BYTES = 32
MIN_FREE_BYTES = 64 << 20  # on a fuller disk the cache is done without
_CREATE = "create table if not exists {} (key text primary key, value text not null, checksum text not null)"


@dataclass(frozen=True, slots=True)
class CachePlace:
    """Where a cache lies, and the file of its key: where only the user can write, if others may write the folder."""

    folder: Path
    key_file: Path

    @classmethod
    def trusted(cls, folder: Path) -> CachePlace:
        """A folder that only the user writes to; its key lies in it."""
        return cls(folder, folder / "key")


class Cache:
    """Text values by table and key, with a folder beside it for the events of batches."""

    def __init__(self, folder: Path, key: bytes = b"") -> None:
        """Open or make the cache in `folder`. Raises OSError or sqlite3.Error where that cannot be."""
        self._key = key
        self.events_folder = folder / "events"
        for place in (self.events_folder, folder / "index.sqlite"):
            _refuse_link(place)
        self.events_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.events_folder):
            pass  # a folder that can be read but not written is of no use
        self._database = _open(folder / "index.sqlite")
        self._pending: list[tuple[str, str, str]] = []

    def get(self, table: str, keys: Iterable[str]) -> dict[str, Any]:
        """The values of those `keys` that are there and whole, decoded from JSON."""
        wanted = list(keys)
        found: dict[str, Any] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ", ".join("?" * len(part))
            try:
                rows = self._database.execute(f"select key, value, checksum from {table} where key in ({marks})", part)
                whole = ((key, value) for key, value, checksum in rows if checksum == self._checksum(key, value))
                found.update((key, json.loads(value)) for key, value in whole)
            except (sqlite3.Error, ValueError, TypeError):
                return found
        return found

    def put(self, table: str, values: Mapping[str, Any]) -> None:
        """Keep `values` (JSON-able) until `save`."""
        self._pending += [(table, key, json.dumps(value)) for key, value in values.items()]

    def save(self) -> None:
        """Write what was put; a cache that cannot be written is only slower next time."""
        with contextlib.suppress(sqlite3.Error), self._database:
            for table, key, value in self._pending:
                self._database.execute(
                    f"insert or replace into {table} values (?, ?, ?)", (key, value, self._checksum(key, value))
                )
        self._pending.clear()

    def _checksum(self, key: str, value: str) -> str:
        return hashlib.blake2b(f"{key}\n{value}".encode(), digest_size=16, key=self._key).hexdigest()

    def events_file(self, key: str) -> Path:
        """Where the typed events of the batch with this key lie, or will."""
        return self.events_folder / f"{key}.parquet"

    def close(self) -> None:
        """Save and let go of the database."""
        self.save()
        self._database.close()


def _open(path: Path) -> sqlite3.Connection:
    """Open the index, anew where it is damaged."""
    for attempt in ("as it is", "anew"):
        database = sqlite3.connect(path, timeout=5.0)
        try:
            database.execute("pragma synchronous = off")
            if database.execute("select 1 from sqlite_master where type not in ('table', 'index')").fetchone():
                raise sqlite3.DatabaseError("it holds what no cache of ours holds")
            for table in _TABLES:
                database.execute(_CREATE.format(table))
                database.execute(f"select key, value, checksum from {table} limit 1").fetchone()
        except sqlite3.OperationalError:
            database.close()
            raise
        except sqlite3.DatabaseError:
            database.close()
            if attempt == "anew":
                raise
            path.unlink()
        else:
            return database
    raise AssertionError("unreachable")


def _refuse_link(path: Path) -> None:
    if is_link(path):
        raise OSError(errno.ELOOP, "a cache lies behind no link", str(path))


def _key_in(path: Path) -> bytes:
    """The key in the file `path`, which is made where it is missing. Raises OSError."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=path.parent) as made:  # of mode 0600
            made.write(secrets.token_bytes(_KEY_BYTES))
            made.flush()
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(made.name, path)
    key = path.read_bytes()[:_KEY_BYTES]
    if len(key) < _KEY_BYTES:
        raise OSError(errno.EINVAL, "is no key", str(path))
    return key


def own_file(folder: Path, name: str) -> Path:
    """A path for a Parquet file in the making, that no other thread or process uses."""
    return folder / f"{name}-{os.getpid()}-{threading.get_ident()}.parquet"


def checksum_of(path: Path) -> str | None:
    """BLAKE2b (hex) of a file; None where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "blake2b").hexdigest()
    except OSError:
        return None


def _roomy(place: CachePlace) -> Cache | None:
    """The cache in `place`, None where its disk is all but full: to write half a batch helps nobody."""
    folder = place.folder
    if place.key_file.parent != folder:  # the folder is the project's, and may be a stranger's
        for part in (folder.parent, folder):
            _refuse_link(part)
    folder.mkdir(parents=True, exist_ok=True)
    return Cache(folder, _key_in(place.key_file)) if shutil.disk_usage(folder).free >= MIN_FREE_BYTES else None


def can_be_used(place: CachePlace) -> bool:
    """Whether the cache in `place` can be opened now: not locked for long, not on a full disk, and ours to write."""
    with contextlib.suppress(OSError, sqlite3.Error):
        if (cache := _roomy(place)) is not None:
            cache.close()
            return True
    return False


def _short_lived(stack: contextlib.ExitStack) -> Cache:
    try:
        scratch = tempfile.mkdtemp(prefix="phasegate-")
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        return Cache(Path(scratch))
    except (OSError, sqlite3.Error) as fault:
        raise no_room("measure in", fault) from fault


def no_room(what_for: str, fault: Exception) -> CannotDecide:
    """That the folder of temporary files cannot be written, and what to do."""
    return CannotDecide(f"there is no room to {what_for}: {fault}; free some in {tempfile.gettempdir()}")


@contextmanager
def open_cache(place: CachePlace | None) -> Iterator[Cache]:
    """The cache in `place`, or one that lives only as long as this run where `place` is None or of no use.

    Raises CannotDecide where there is no room even for that one, which lies in the system's folder for such files.
    """
    with contextlib.ExitStack() as stack:
        cache = None
        if place is not None:
            with contextlib.suppress(OSError, sqlite3.Error):
                cache = _roomy(place)
        if cache is None:
            cache = _short_lived(stack)
        stack.callback(cache.close)
        yield cache
