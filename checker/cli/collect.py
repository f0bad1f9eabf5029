"""`phasegate collect`: one cycle of the Collector."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checker.cli import say
from checker.cli.common import ledger_file, logs_folder, read_governed, reports_folder, source_options
from checker.cli.durations import Duration
from checker.errors import CannotDecide, UsageError
from checker.windows import iso, stamp

if TYPE_CHECKING:
    from checker.analyzer.governed import Governed
    from checker.collector.cycle import Sealed
    from checker.collector.station import Station
    from checker.model import Window

STAMP = "TS"  # in the name of --output it stands for the window


@click.command("collect")
@click.option("--window", type=Duration(), help="Length of the window; the policy's, or the call is refused.")
@source_options
@click.option("--output", type=click.Path(path_type=Path), help="A copy of the batch; TS in its name is the window.")
@click.option("--phase", help="The phase of the collector's own lines, where the ledger names none.")
@click.option("--reports", type=click.Path(path_type=Path), help="Folder (default: reports of the project).")
@click.option("--retry/--no-retry", default=True, help="Try sources that fail again, beside the cycle (default: yes).")
@click.option("--simulate-latency", type=Duration(), help="A rehearsal: the seal says that it took so long.")
@click.option("--simulate-failure", metavar="SOURCE", multiple=True, help="A rehearsal: this source cannot be read.")
@click.pass_context
def command(
    ctx: click.Context,
    window: timedelta | None,
    policy: Path,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    output: Path | None,
    phase: str | None,
    reports: Path | None,
    retry: bool,
    simulate_latency: timedelta | None,
    simulate_failure: tuple[str, ...],
) -> None:
    """Seal the window that has just ended, and every one since the last seal, from the policy's sources.

    A sealed batch is never written again: lines that come later go into the next one. A source that fails is left out,
    and tried again beside the cycle; its lines come with a later batch.

    Exit codes: 0 sealed, or nothing to seal; 2 wrong call or governed files; 3 not sealed; 4 sealed without a source.
    """
    governed = read_governed(policy)
    if window is not None and window != governed.policy.window:
        wanted = _told(governed.policy.window)
        raise UsageError(f"--window {_told(window)}: the policy's windows are {wanted}; leave it out")
    check_call(governed, phase)
    station = _station(governed, logs, ledger, as_of, phase, reports, simulate_latency, frozenset(simulate_failure))
    with station.lock():
        station.note_failures()
        sealed = seal_due(station)
        if output is not None:
            _copy(station, sealed, output)
        if retry:
            _retry(station, waits=as_of is None)
    ctx.exit(4 if any(batch.seal.incomplete for batch in sealed) else 0)


def check_call(governed: Governed, phase: str | None) -> None:
    """Raises UsageError for a phase that there is not, and where there is nothing to collect from."""
    policy = governed.policy
    if phase is not None and phase not in policy.phase_names:
        raise UsageError(f"there is no phase {phase!r}; the policy has {', '.join(policy.phase_names)}")
    if not policy.collector.sources:
        told = "declare where telemetry comes from in collector.sources (docs/collector.md)"
        raise UsageError(f"{policy.path.name}: the policy has no source, so there is nothing to collect; {told}")


def _told(span: timedelta) -> str:
    return f"{span / timedelta(minutes=1):g}m"


def _station(
    governed: Governed,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    phase: str | None,
    reports: Path | None,
    latency: timedelta | None,
    pretended: frozenset[str],
) -> Station:
    from checker.collector.station import Setting, Station

    setting = Setting(
        logs=logs_folder(governed, logs),
        ledger=ledger_file(governed, ledger, is_written=True),
        reports=reports_folder(governed, reports),
        now=lambda: as_of or datetime.now(UTC),
        environ=os.environ,
        phase=phase,
        simulated_latency=latency,
        pretended=pretended,
    )
    return Station(governed, setting)


def seal_due(station: Station) -> list[Sealed]:
    """Seal what is due, oldest first, and say so. Raises CannotDecide where one cannot be."""
    due = station.due()
    if not due:
        say.note("nothing to seal: the window that has just ended has its batch")
    sealed = []
    try:
        with _progress(due) as windows:
            for window in windows:
                sealed.append(station.collect(window))
                if windows is due:
                    say.text(line_of(sealed[-1]))
    except OSError as fault:
        told = f"nothing more is sealed: {fault.strerror or fault}"
        raise CannotDecide(f"{told}; the next run makes up for it") from fault
    _tell(sealed)
    if len(due) > 1 and sys.stderr.isatty():
        events = sum(batch.seal.accepted for batch in sealed)
        first, last = (stamp(window.start) for window in (due[0], due[-1]))
        say.text(f"sealed {len(sealed)} windows, {first} to {last}: {events:,} events")
    return sealed


@contextmanager
def _progress(due: Sequence[Window]) -> Iterator[Iterable[Window]]:
    """The windows, with a bar on a terminal where there are many; elsewhere themselves, to be told of a line each."""
    if len(due) > 1 and sys.stderr.isatty():
        with say.bar(due, len(due), "windows") as bar:
            yield bar
    else:
        yield due


def line_of(sealed: Sealed) -> str:
    """A sealed window in one line."""
    seal = sealed.seal
    parts = [f"{seal.accepted:,} events", f"{seal.duplicates:,} copies", f"{seal.quarantined:,} quarantined"]
    seconds = seal.latency / timedelta(seconds=1)
    missing = f", WITHOUT {', '.join(seal.incomplete)}" if seal.incomplete else ""
    return f"sealed {stamp(seal.window.start)}: {', '.join(parts)}, {seconds:.1f} s after its end{missing}"


def _tell(sealed: Sequence[Sealed]) -> None:
    from checker.collector.cycle import left_out

    for batch in sealed[-1:]:
        for line in left_out(batch.failures):
            say.note(line)
    for batch in sealed:
        for told in batch.told:
            say.note(told)


def _copy(station: Station, sealed: Sequence[Sealed], output: Path) -> None:
    """A copy of each batch that was sealed, or of the newest. Raises CannotDecide, UsageError."""
    from checker.collector.state import newest_state
    from checker.whole_file import write_whole

    state = newest_state(station.places)
    places = {batch.seal.window.start: batch.path for batch in sealed}
    if not places and state is not None:
        places = {state.window_start: station.places.batch(state.window_start)}
    if STAMP not in output.name:
        places = dict([*places.items()][-1:])
    for start, path in places.items():
        try:
            write_whole(output.with_name(output.name.replace(STAMP, stamp(start))), path.read_bytes())
        except OSError as fault:
            raise CannotDecide(f"--output {output}: {fault.strerror or fault}; the batch itself is sealed") from fault


def _retry(station: Station, waits: bool) -> None:
    """Try sources again until none is due any more, and say what came of it; one that is due later is waited for."""
    while (due := station.next_retry()) is not None:
        wait = (due - station.setting.now()) / timedelta(seconds=1)
        if wait > 0:
            if not waits:
                return
            names = ", ".join(station.retries.known())
            say.note(f"waiting until {iso(due.replace(microsecond=0))} to try again: {names}")
            time.sleep(wait)
        for exhausted in station.try_again():
            say.note(f"source {exhausted.source}: given up after {exhausted.attempts} retries: {exhausted.reason}")
