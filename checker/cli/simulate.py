"""`phasegate simulate`: make realistic telemetry, seeded."""

from __future__ import annotations

import difflib
import shlex
import sys
import textwrap
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import click

from checker.cli import say
from checker.errors import UsageError
from checker.simulate.batches import Batch, simulate
from checker.simulate.scenario import Run, Scenario, plan_run
from checker.simulate.scenarios import SCENARIOS
from checker.simulate.write import Written, write_file, write_folder
from checker.windows import iso, parse_iso

_CLOSES_AFTER = timedelta(minutes=5)
_MAX_WINDOWS = 100_000
_WIDTH = 80


@click.command(name="simulate")
@click.option("--scenario", "name", metavar="NAME", help="What happens; --list shows all of them.")
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Folder for a batch file of each window.")
@click.option(
    "--output", "file", type=click.Path(path_type=Path), help="One file for all, as check --fixture reads it."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option("--start", metavar="TS", help="Start of the first window, such as 2026-01-01T09:00:00Z.")
@click.option("--windows", type=click.IntRange(1, _MAX_WINDOWS), help="How many windows of 15 minutes.")
@click.option("--events-per-window", "saves", type=click.IntRange(1), help="Mean number of saves in a window.")
@click.option("--phase", help="Phase that the events carry.")
@click.option("--force", is_flag=True, help="Replace the batches that are there (other files stay).")
@click.option("--list", "listing", is_flag=True, help="List the scenarios, and stop.")
def command(
    name: str | None,
    folder: Path | None,
    file: Path | None,
    seed: int,
    start: str | None,
    windows: int | None,
    saves: int | None,
    phase: str | None,
    force: bool,
    listing: bool,
) -> None:
    """Make realistic AutoSave telemetry: a healthy rollout, each kind of violation, gaps, late and broken lines.

    The scenario decides what is not asked for here. The same arguments give the same bytes.

    Example: phasegate simulate --scenario violation-latency --out /tmp/logs
    """
    if listing:
        say.text(_listed())
        return
    run = plan_run(_scenario(name), seed, _instant(start), windows, saves, phase)
    written = _write(simulate(run), run.windows, folder, file, force)
    say.text(_told(run, written, "--logs" if folder else "--fixture", folder or file))


def _write(batches: Iterator[Batch], windows: int, folder: Path | None, file: Path | None, force: bool) -> Written:
    shown = _with_progress(batches, windows)
    if folder is not None and file is None:
        return write_folder(folder, shown, replace=force)
    if file is not None and folder is None:
        return write_file(file, shown, replace=force)
    raise UsageError("expected either --out DIR (a file for each window) or --output FILE (one file for all)")


def _scenario(name: str | None) -> Scenario:
    if name is None:
        raise UsageError("--scenario is missing; phasegate simulate --list shows them")
    if name in SCENARIOS:
        return SCENARIOS[name]
    near = difflib.get_close_matches(name, SCENARIOS, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"--scenario {name}: there is no such scenario; {hint}phasegate simulate --list shows them")


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_iso(text)
    except (ValueError, OverflowError) as fault:
        raise UsageError(
            f"--start {text}: expected a time with a zone, such as 2026-01-01T09:00:00Z ({fault})"
        ) from fault


def _listed() -> str:
    """Each scenario with what happens in it, beside its name, in lines of at most `_WIDTH`."""
    size = max(map(len, SCENARIOS)) + 2
    lines = (
        textwrap.fill(f"{name:<{size}}{scenario.summary}", _WIDTH, subsequent_indent=" " * size)
        for name, scenario in SCENARIOS.items()
    )
    return "".join(f"{line}\n" for line in lines)


def _with_progress(batches: Iterator[Batch], windows: int) -> Iterator[Batch]:
    if not sys.stderr.isatty():
        yield from batches
        return
    with say.bar(batches, windows, "windows") as bar:
        yield from bar


def _told(run: Run, written: Written, option: str, path: Path | None) -> str:
    return (
        f"{run.scenario.name}: {run.windows} windows from {iso(run.start)} to {iso(run.end)}, phase {run.phase}; "
        f"{written.batches} batches, {written.lines:,} lines, {written.size_bytes:,} bytes\n"
        f"phasegate check --phase {run.phase} {option} {shlex.quote(str(path))} --as-of {iso(run.end + _CLOSES_AFTER)}"
    )
