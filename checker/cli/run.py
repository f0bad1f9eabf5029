"""`phasegate run`: the loop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from checker.cli import say
from checker.cli.clock import LoopClock
from checker.cli.common import (
    cache_option,
    cache_place,
    ledger_file,
    logs_folder,
    read_governed,
    reports_folder,
    source_options,
    threads_option,
)
from checker.cli.durations import Duration
from checker.errors import UsageError
from checker.windows import iso

if TYPE_CHECKING:
    from checker.analyzer.governed import Governed
    from checker.running.parts import Setup
    from checker.running.process import Message

DEFAULT_LISTEN, NOWHERE = "127.0.0.1:9464", "none"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was called with, as click gives it."""

    policy: Path
    logs: Path | None
    ledger: Path | None
    as_of: datetime | None
    once: bool
    phase: str | None
    reports: Path | None
    listen: str
    speed: float
    simulate_latency: timedelta | None
    simulate_failure: tuple[str, ...]
    threads: int | None
    use_cache: bool


@click.command("run")
@source_options
@click.option("--once", is_flag=True, help="One pass: collect, check, report, verify; then end.")
@click.option("--phase", help="The phase to go by, where the ledger names none (default: the first).")
@click.option("--reports", type=click.Path(path_type=Path), help="Folder (default: reports of the project).")
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, help="Where /healthz and /metrics are, or none.")
@click.option("--speed", type=click.FloatRange(1, 10_000), default=1.0, help="A rehearsal: time runs so much faster.")
@click.option("--simulate-latency", type=Duration(), help="A rehearsal: every seal says that it took so long.")
@click.option("--simulate-failure", metavar="SOURCE", multiple=True, help="A rehearsal: this source cannot be read.")
@threads_option
@cache_option
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """The loop: collect on each window's boundary; check, report and verify when the window closes.

    After downtime it catches up window by window. One runs for a target at a time. SIGTERM finishes the step at hand.
    With --as-of its clock begins there, and with --speed it runs faster: for rehearsals.

    Exit codes: 0 stopped when it was told to, with --once met; 1, 3 with --once as `check`; 2 wrong call or governed
    files; 4 another loop runs already, with --once something was not collected, recorded or delivered.
    """
    from checker.cli.collect import check_call
    from checker.ledger.append import locked

    options = Options(**given)
    governed = read_governed(options.policy)
    check_call(governed, options.phase)
    if options.once and options.speed != 1.0:
        raise UsageError("--speed goes with the loop, not with --once")
    setup = _setup(governed, options)
    with locked(setup.places.own / "run", f"another loop of {governed.policy.target} is running", 0.5):
        ctx.exit(_once(governed, setup) if options.once else _loop(governed, setup, options))


def _setup(governed: Governed, options: Options) -> Setup:
    from checker.engines.local import local_mapper
    from checker.pipeline import Request
    from checker.running.parts import Setup
    from checker.running.serving import parse_address

    ledger = ledger_file(governed, options.ledger, is_written=True)
    if ledger is None:
        raise UsageError("the loop records what it decides; it cannot run with --no-ledger")
    clock = LoopClock(options.as_of, options.speed)
    try:
        listen = None if options.listen == NOWHERE else parse_address(options.listen)
    except ValueError as fault:
        raise UsageError(f"--listen: {fault}") from None
    return Setup(
        request=Request(
            phase=options.phase or "",
            as_of=clock.now(),
            logs=logs_folder(governed, options.logs),
            ledger=ledger,
            cache=cache_place(governed.policy.root, options.use_cache),
            run=local_mapper(options.threads),
        ),
        ledger=ledger,
        reports=reports_folder(governed, options.reports),
        environ=os.environ,
        clock=clock,
        listen=listen,
        simulated_latency=options.simulate_latency,
        pretended=frozenset(options.simulate_failure),
    )


def _loop(governed: Governed, setup: Setup, options: Options) -> int:
    """Run until SIGTERM or SIGINT."""
    from checker.analyzer.batches import LogFolder
    from checker.child.zygote import shut_down
    from checker.running.receivers import check_receivers
    from checker.running.serving import check_free
    from checker.running.supervisor import Supervisor

    setup.station(governed)  # what this refuses is told before anything is started, and so it is with addresses
    check_receivers(governed.policy.collector)
    if setup.listen is not None:
        check_free(setup.listen)
    shut_down()  # every part that measures forks a zygote of its own
    stop = threading.Event()
    with _stopping(stop):
        supervisor = Supervisor(
            governed=governed,
            parts=setup.parts(),
            own=setup.places.own,
            now=setup.clock.now,
            seconds_until=setup.clock.seconds_until,
            stop=stop,
            tell=say.note,
            cache=setup.request.cache,
            is_new=not LogFolder(setup.request.logs).batches,
            progress=say.growing_bar("catching up") if sys.stderr.isatty() else None,
        )
        say.note(f"watching {governed.policy.target}: {_told(governed, options, setup.clock.now())}; stop with SIGTERM")
        supervisor.run()
    say.note("stopped")
    return 0


def _told(governed: Governed, options: Options, now: datetime) -> str:
    sources = ", ".join(source.name for source in governed.policy.collector.sources)
    pages = "" if options.listen == NOWHERE else f", http://{options.listen}/healthz"
    is_rehearsal = options.as_of is not None or options.speed != 1.0
    clock = f", a rehearsal from {iso(now)} on, {options.speed:g} times as fast" if is_rehearsal else ""
    return f"sources {sources}{pages}{clock}"


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Within, SIGTERM and SIGINT set `stop`; a second one does nothing more, since the step at hand is finished."""

    def hear(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    before = {number: signal.signal(number, hear) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _once(governed: Governed, setup: Setup) -> int:
    """One pass in this process, and its exit code."""
    from checker.cli.collect import seal_due
    from checker.running.judging import Order
    from checker.running.supervisor import told_of

    station = setup.station(governed)
    with station.lock():
        station.note_failures()
        sealed = seal_due(station)
        given_up = station.try_again()
    said: list[Message] = []
    order = Order(setup.clock.now(), given_up=tuple(given_up))
    setup.judge(governed, order, said.append)
    for line in told_of("pass", said[0]):
        say.text(line)
    if said[0]["faults"] or any(batch.seal.incomplete for batch in sealed):
        return 4
    return {"violation": 1, "no_data": 3, "error": 3}.get(said[0].get("outcome", ""), 0)
