"""Tries sources again that failed, beside the cycles, and says so when that is no use. What it knows is on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from checker.collector.events import OwnEvents
from checker.collector.places import Places
from checker.collector.retry import Failing, GivenUp, failed_again, failed_in_cycle, failing_document, failing_of
from checker.collector.state import State
from checker.whole_file import sync_folder, write_whole
from checker.windows import iso


@dataclass(frozen=True, slots=True)
class Retries:
    """The sources of one target that are being tried again, after each of `pauses`.

    `failures` is the file that keeps what was exhausted for people to read.
    """

    places: Places
    pauses: Sequence[timedelta]
    own: OwnEvents
    target: str
    failures: Path

    def known(self) -> dict[str, Failing]:
        """The sources that fail, by name; what cannot be read is begun anew with the next failure."""
        return self._read()[1]

    def after_cycle(self, state: State | None, read: Sequence[str]) -> None:
        """Note what the seal of `state` says of sources, unless that is noted: those among `read` that it could read
        are fine again. A process that was killed after its seal is made up for so. What is still to be told as given
        up stays until it is. Raises OSError.
        """
        cycle, known = self._read()
        if state is None or state.sealed_at is None or cycle == iso(state.window_start):
            return
        kept = {name: item for name, item in known.items() if name not in read or _is_to_be_told(item)}
        kept |= {
            name: failed_in_cycle(known.get(name), name, state.sealed_at, why) for name, why in state.failures.items()
        }
        self._write(iso(state.window_start), kept)

    def _read(self) -> tuple[str, dict[str, Failing]]:
        """The window whose seal was noted last, and the sources that fail."""
        try:
            document = json.loads(self.places.failures.read_bytes())
            return str(document["noted"]), failing_of(document["sources"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return "", {}

    def _write(self, cycle: str, failing: Mapping[str, Failing]) -> None:
        for scratch in self.places.own.glob(f".{self.places.failures.name}.*"):  # of one that was cut off in it
            scratch.unlink(missing_ok=True)
        document = {"noted": cycle, "sources": failing_document(failing)}
        write_whole(self.places.failures, json.dumps(document).encode() + b"\n")

    def next_at(self) -> datetime | None:
        """When the next retry is due, None where none is; one that is still to be told as given up is due at once."""
        known = self.known().values()
        due = [at for item in known if (at := item.next_at(self.pauses))]
        return min([*due, *(item.last for item in known if _is_to_be_told(item))], default=None)

    def try_again(self, probe: Callable[[str], str], phase: str, now: Callable[[], datetime]) -> list[GivenUp]:
        """Make every retry that is due; `probe` says why a source cannot be read, empty where it can.

        Gives those that were exhausted, and are told. Raises OSError.
        """
        known = self.known()
        for name, item in list(known.items()):
            due = item.next_at(self.pauses)
            if due is None or due > now():
                continue
            why = probe(name)
            before = dict(known)
            known.pop(name)
            if why:
                known[name] = failed_again(item, now(), why, self.pauses)
            self._keep(known, before)
        return self.tell(phase)

    def tell(self, phase: str) -> list[GivenUp]:
        """Say of every source that is exhausted that it is, once: to the next batch, and to people. Raises OSError."""
        known = self.known()
        told = []
        for name, item in known.items():
            if not _is_to_be_told(item):
                continue
            line = self.own.exhausted(name, item.retries, item.last, phase)
            _append_once(self.places.said, line)
            _append_once(self.failures, self._line(item))
            told.append(GivenUp(name, item.last, item.retries, item.reason))
        if told:
            self._keep({name: replace(item, is_told=item.is_exhausted) for name, item in known.items()}, known)
        return told

    def _line(self, item: Failing) -> bytes:
        document: dict[str, Any] = {
            "at": iso(item.last),
            "target": self.target,
            "source": item.source,
            "failing_since": iso(item.since),
            "attempts": item.retries,
            "reason": item.reason,
        }
        return json.dumps(document).encode() + b"\n"

    def _keep(self, failing: Mapping[str, Failing], before: Mapping[str, Failing]) -> None:
        if dict(failing) != dict(before):
            self._write(self._read()[0], failing)


def _is_to_be_told(item: Failing) -> bool:
    return item.is_exhausted and not item.is_told


def _append_once(path: Path, line: bytes) -> None:
    """Append the line, on disk, unless a run that was cut off did; what one that was cut off in it left is cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a+b") as file:
        begin = max(0, file.tell() - 64 * len(line))
        file.seek(begin)
        tail = file.read()
        if line in tail:
            return
        file.truncate(begin + tail.rfind(b"\n") + 1)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_folder(path.parent)
