"""The parts of the loop, each with what it needs: the collector, the pages, a pass. They run in forked processes."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from checker.analyzer.governed import Governed
from checker.collector.places import Places
from checker.collector.station import Setting, Station
from checker.pipeline import Request
from checker.reporter.transports.credentials import Transports
from checker.running.collecting import Collecting
from checker.running.judging import Order, Pass
from checker.running.pages import Pages
from checker.running.process import Say
from checker.running.receivers import open_receivers
from checker.running.serving import Address, serve
from checker.running.standing import FILE
from checker.running.supervisor import Parts


class RunClock(Protocol):
    """Time for the whole loop."""

    def now(self) -> datetime:
        """The instant."""
        ...

    def seconds_until(self, instant: datetime) -> float:
        """How long to wait, in real seconds, until it is `instant`."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What the loop is run with, whatever the policy says. `request` is what a pass asks, at its own time.

    `listen` is where /healthz and /metrics are, None for nowhere; `pretended` and `simulated_latency` are for
    rehearsals.
    """

    request: Request
    ledger: Path
    reports: Path
    environ: Mapping[str, str]
    clock: RunClock
    listen: Address | None = None
    simulated_latency: timedelta | None = None
    pretended: frozenset[str] = frozenset()

    @property
    def places(self) -> Places:
        """Where the collector keeps what."""
        return Places(self.request.logs)

    def parts(self) -> Parts:
        """The parts, ready to be forked."""
        return Parts(self.collect, self.serve, self.judge)

    def station(self, governed: Governed) -> Station:
        """The collector."""
        return Station(
            governed,
            Setting(
                logs=self.request.logs,
                ledger=self.ledger,
                reports=self.reports,
                now=self.clock.now,
                environ=self.environ,
                phase=self.request.phase or None,
                simulated_latency=self.simulated_latency,
                pretended=self.pretended,
            ),
        )

    def collect(self, governed: Governed, say: Say) -> None:
        """The collector's process: until SIGTERM."""
        stop = _stop_at_sigterm()
        Collecting(self.station(governed), say, stop, self.clock.seconds_until).run()

    def serve(self, governed: Governed, say: Say) -> None:
        """The pages' process: receivers of telemetry, and the loop's own pages, until SIGTERM."""
        stop = _stop_at_sigterm()
        with ExitStack() as stack:
            receivers = stack.enter_context(open_receivers(governed.policy.collector, self.places))
            if self.listen is not None:
                pages = Pages(self.places.own, self.clock.now, self._age_s, receivers.counts)
                stack.enter_context(serve(pages, self.listen))
            say({"kind": "serves", "addresses": receivers.addresses})
            stop.wait()

    def judge(self, governed: Governed, order: Order, say: Say) -> None:
        """A pass."""
        carriers = Transports(self.environ, self.clock.now)
        request = replace(self.request, as_of=order.at)
        say(Pass(governed, request, self.ledger, self.reports, carriers, self.environ, order).run())

    def _age_s(self) -> float:
        try:
            return time.time() - (self.places.own / FILE).stat().st_mtime
        except OSError:
            return float("inf")


def _stop_at_sigterm() -> threading.Event:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return stop
