"""The benchmark: phasegate cold and warm, a hand-written scan, and Polars, side by side in one run.

Each line is a whole process; the best of a few runs counts, since the machine is shared. Ratios are what travels.
Usage: python bench/run.py [--windows 288] [--events 34720] [--history 2880] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from data import LENGTH, START, make

HERE = Path(__file__).parent
PHASE = "C"
LATENESS = timedelta(minutes=5)
PHASEGATE = [sys.executable, "-m", "checker"]
AIMS = {"cold": "at most 6 × the scan, 4 × is the aim", "warm": "at most 3 × bare DuckDB + 0.3 s"}


@dataclass(frozen=True, slots=True)
class Run:
    """Wall time in s and peak memory in MB of one process and its children."""

    seconds: float
    peak_mb: float


def main() -> None:
    """Make the data, run everything, print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--windows", type=int, default=288)
    options.add_argument("--events", type=int, default=34_720)
    options.add_argument("--history", type=int, default=2_880, help="windows of the long, thin history")
    options.add_argument("--data", type=Path, default=HERE / "data")
    given = options.parse_args()
    thick = given.data / f"thick-{given.windows}-{given.events}"
    thin = given.data / f"thin-{given.history}"
    make(thick, given.windows, given.events, PHASE)
    make(thin, given.history, 50, PHASE)
    size = sum(path.stat().st_size for path in thick.glob("*.jsonl"))
    events = given.windows * (given.events + 1)
    print(f"{given.windows} batches, {events:,} events, {size / 1e9:.2f} GB, {os.cpu_count()} cores\n")
    with tempfile.TemporaryDirectory(prefix="phasegate-bench-") as place:
        _table(_measure(thick, thin, given.windows, given.history, Path(place)))


def _measure(thick: Path, thin: Path, windows: int, history: int, place: Path) -> list[tuple[str, Run]]:
    bare = best([sys.executable, "-c", "import duckdb; duckdb.connect()"], 5)
    scan_command = [sys.executable, str(HERE / "hand_written.py"), str(thick), PHASE]
    run(scan_command)  # the files are in memory from here on, for everybody
    scans, colds = [], []
    for _ in range(4):  # in turns, so that what else the machine does falls on both
        scans.append(run(scan_command))
        _forget(place / "cold")
        colds.append(run(check(thick, windows, place / "cold")))
    scan, cold = fastest(scans), fastest(colds)
    polars = best([sys.executable, str(HERE / "with_polars.py"), str(thick), PHASE], 2)
    known = best(check(thick, windows, place / "cold"), 5)
    newest = best_of_newest(thick, windows, place)
    run(check(thin, history, place / "thin"))
    long_history = best(check(thin, history, place / "thin"), 5)
    run(check(thin, min(history, windows), place / "short"))
    short_history = best(check(thin, min(history, windows), place / "short"), 5)
    return [
        ("bare DuckDB: import, connect", bare),
        ("hand-written scan", scan),
        ("Polars", polars),
        ("phasegate, cold", cold),
        ("phasegate, nothing new", known),
        ("phasegate, one new batch", newest),
        (f"phasegate, nothing new, {min(history, windows)} thin batches", short_history),
        (f"phasegate, nothing new, {history} thin batches", long_history),
    ]


def check(logs: Path, windows: int, cache: Path) -> list[str]:
    """The check of the newest of `windows` windows, with its cache in a folder of its own."""
    as_of = START + LENGTH * windows + LATENESS
    return [
        "env",
        f"PHASEGATE_CACHE={cache}",
        *PHASEGATE,
        "check",
        f"--phase={PHASE}",
        f"--policy={HERE.parent / 'policy' / 'policy.yaml'}",
        f"--logs={logs}",
        f"--as-of={as_of:%Y-%m-%dT%H:%M:%SZ}",
        "--format=json",
    ]


def best_of_newest(thick: Path, windows: int, place: Path) -> Run:
    """The check when the newest batch has just come: everything before it is known."""
    before = place / "before"
    run(check(thick, windows - 1, before))

    def as_before() -> None:
        _forget(place / "newest")
        shutil.copytree(before, place / "newest")

    return best(check(thick, windows, place / "newest"), 5, as_before)


def best(command: Sequence[str], times: int, prepare: object = None) -> Run:
    """The fastest of a few runs, with its own peak memory."""
    runs = []
    for _ in range(times):
        if callable(prepare):
            prepare()
        runs.append(run(command))
    return fastest(runs)


def fastest(runs: Sequence[Run]) -> Run:
    """The run that was disturbed least."""
    return min(runs, key=lambda item: item.seconds)


def run(command: Sequence[str]) -> Run:
    """Run a process to its end; its answer does not matter here, a crash does."""
    start = time.perf_counter()
    with Path(os.devnull).open("wb") as nowhere:
        pid = os.posix_spawnp(
            command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)]
        )
        _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        sys.exit(f"{' '.join(command)}: exit {os.waitstatus_to_exitcode(status)}")
    return Run(seconds, usage.ru_maxrss / 1024)


def _forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _table(runs: list[tuple[str, Run]]) -> None:
    named = dict(runs)
    bare, scan = named["bare DuckDB: import, connect"].seconds, named["hand-written scan"].seconds
    print("| what (a whole process) | s | × scan | × bare | peak MB |\n| --- | ---: | ---: | ---: | ---: |")
    for name, item in runs:
        ratios = f"{item.seconds / scan:.1f} | {item.seconds / bare:.1f}"
        print(f"| {name} | {item.seconds:.2f} | {ratios} | {item.peak_mb:.0f} |")
    limit = 3 * bare + 0.3
    print(f"\ncold: {named['phasegate, cold'].seconds / scan:.1f} × the scan ({AIMS['cold']})")
    print(f"one new batch: {named['phasegate, one new batch'].seconds:.2f} s of {limit:.2f} s ({AIMS['warm']})")


if __name__ == "__main__":
    main()
