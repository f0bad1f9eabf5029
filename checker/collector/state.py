"""How far each source was read: a file for each sealed window, which counts once the window's batch is there.

A seal puts down `<window>.pending`, then the batch, then renames the pending file to `<window>.json`. Whatever it is
killed between, the next cycle finds either no batch and a pending file that counts for nothing, or a whole batch and
the state that goes with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from checker.collector.places import Places
from checker.errors import CannotDecide
from checker.whole_file import sync_folder, write_whole
from checker.windows import iso, iso_or_none, parse_iso, parse_stamp, stamp

KEPT = 4  # states of sealed windows; the newest counts, the others are for people
VERSION = 1


@dataclass(frozen=True, slots=True)
class State:
    """What the seal of `window_start` came to. `sources` are positions by source, `phase` is that of its seal line.

    `carried` says whether lines of later windows lie beside it; `sha256` is the batch's. `failures` are the sources
    that it was sealed without at `sealed_at`, with the reasons.
    """

    window_start: datetime
    sha256: str
    phase: str
    carried: bool = False
    sources: Mapping[str, Any] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    sealed_at: datetime | None = None


def newest_state(places: Places) -> State | None:
    """The state that counts, None before the first seal; a seal that was cut off with its batch in place is ended.

    May be asked while another process seals. Raises CannotDecide where a state cannot be read: without it nobody
    knows what was sealed already.
    """
    _settle(places)
    names = sorted(path.name for path in _files(places.states, ".json"))
    return _read(places.states / names[-1]) if names else None


def put_pending(places: Places, state: State) -> Path:
    """Put the state down so that it counts once its batch is there; what was cut off before goes. Raises OSError."""
    _settle(places)
    for left in [*places.states.glob(".*"), *_files(places.states, ".pending")]:
        left.unlink(missing_ok=True)
    times = {"window_start": iso(state.window_start), "sealed_at": iso_or_none(state.sealed_at)}
    document = asdict(state) | {"schema_version": VERSION} | times
    path = places.states / f"{stamp(state.window_start)}.pending"
    write_whole(path, json.dumps(document, sort_keys=True).encode() + b"\n")
    return path


def commit(pending: Path) -> None:
    """Have it count. Raises OSError."""
    counting = pending.with_suffix(".json")
    try:
        pending.rename(counting)
    except FileNotFoundError:  # where another process saw the batch first, it counts already
        if not counting.exists():
            raise
    sync_folder(pending.parent)


def forget_old(places: Places) -> None:
    """Remove what no later cycle needs: old states, and lines that were carried into batches since."""
    kept = sorted(path.stem for path in _files(places.states, ".json"))[-KEPT:]
    for folder, suffix in ((places.states, ".json"), (places.own / "carried", ".jsonl")):
        for path in _files(folder, suffix):
            if kept and path.stem < kept[0]:
                path.unlink(missing_ok=True)


def _settle(places: Places) -> None:
    """Have what is sealed count. The others are left: whoever put them down may be about to put the batch there."""
    for pending in _files(places.states, ".pending"):
        with suppress(FileNotFoundError):  # it counts, or is gone, since it was listed
            if _is_sealed(places, _read(pending)):
                commit(pending)


def _is_sealed(places: Places, state: State) -> bool:
    with suppress(FileNotFoundError), places.batch(state.window_start).open("rb") as batch:
        return file_digest(batch, "sha256").hexdigest() == state.sha256
    return False


def _files(folder: Path, suffix: str) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix == suffix and parse_stamp(path.stem)]
    except FileNotFoundError:
        return []


def _read(path: Path) -> State:
    try:
        document = json.loads(path.read_bytes())
        if document.pop("schema_version") != VERSION:
            raise ValueError("is of another version")
        sealed_at = document["sealed_at"]
        times = {"window_start": parse_iso(document["window_start"]), "sealed_at": sealed_at and parse_iso(sealed_at)}
        return State(**document | times)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
        told = "put back the one of a backup, or move the folder away to begin anew"
        raise CannotDecide(f"collector/state/{path.name}: cannot be read ({fault}); {told}") from fault
