"""The collector's part of the loop: it seals what is due, tries sources again, and does nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from checker.collector.cycle import Sealed
from checker.collector.station import Station
from checker.errors import PhasegateError
from checker.running.process import Say
from checker.windows import floor_to_window, iso

POLL_S = 0.5  # how late it notices that a boundary has passed, or that a recovery has begun
AFTER_FAULT_S = 5.0


@dataclass(slots=True)
class Collecting:
    """Runs a station until `stop` is set. `seconds_until` says how long to wait, in real seconds, for an instant."""

    station: Station
    say: Say
    stop: threading.Event
    seconds_until: Callable[[datetime], float]
    _begun_at: datetime = field(init=False)
    _last_fault: str = field(default="")
    _has_noted: bool = field(default=False)
    _waited_at: datetime | None = field(default=None)  # the boundary after which it last said that it waits

    def __post_init__(self) -> None:
        self._begun_at = self.station.setting.now()

    def run(self) -> None:
        """Collect until told to stop; the step at hand is always finished."""
        while not self.stop.is_set():
            at = self.station.setting.now()  # before the look: what falls due after it is not waited out
            try:
                worked = self._step()
            except PhasegateError as fault:
                self._fault(str(fault))
            except OSError as fault:
                self._fault(f"{fault.strerror or fault}")
            else:
                self._last_fault = ""
                if not worked:
                    self._wait(at)

    def _step(self) -> bool:
        """One thing that is due; False where nothing is."""
        station = self.station
        if not self._has_noted:
            with station.lock():
                station.note_failures()
            self._has_noted = True
        if (retry := station.next_retry()) and retry <= station.setting.now():
            with station.lock():
                for item in station.try_again():
                    self._say("given_up", source=item.source, at=iso(item.at), attempts=item.attempts, why=item.reason)
            return True
        if slices := station.slices():
            with station.lock():
                self._sealed("slice", station.collect_slice(slices[0]), len(slices) - 1)
            return True
        if due := station.due(self._begun_at):
            with station.lock():
                if station.due(self._begun_at)[:1] == due[:1]:  # nobody sealed it while the lock was waited for
                    self._sealed("sealed", station.collect(due[0]), len(due) - 1)
            return True
        return False

    def _sealed(self, kind: str, sealed: Sealed, behind: int) -> None:
        seal = sealed.seal
        self._say(
            kind,
            window=iso(seal.window.start),
            behind=behind,
            latency_s=seal.latency / timedelta(seconds=1),
            accepted=seal.accepted,
            duplicates=seal.duplicates,
            quarantined=seal.quarantined,
            failures=dict(sealed.failures),
            told=list(sealed.told),
        )

    def _say(self, kind: str, **more: Any) -> None:
        self.say({"kind": kind, **more})

    def _wait(self, at: datetime) -> None:
        length = self.station.cycle.rules.window
        before = floor_to_window(at, length)
        if self._waited_at != before:
            self.say({"kind": "waits", "at": iso(at)})
            self._waited_at = before
        boundary = before + length
        self.stop.wait(max(0.005, min(POLL_S, self.seconds_until(boundary))))

    def _fault(self, told: str) -> None:
        """Say what a step met, once while it stays the same, and wait before the next."""
        if told != self._last_fault:
            self._say("fault", told=told)
        self._last_fault = told
        self.stop.wait(AFTER_FAULT_S)
