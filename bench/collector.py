"""What a cycle of the collector costs, beside a floor that only copies the lines: one core, in the same run.

python bench/collector.py [LINES]    prints lines/s for clean lines, for one broken line in each block, and the floor
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from checker.analyzer.governed import load_governed
from checker.collector.compose import Terms, sort_lines
from checker.collector.gather import Block, BlockSink
from checker.collector.sources.base import Ask
from checker.model import Window

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
WANTED = 200_000  # lines a second that are validated, on one core
RUNS = 3


def lines(count: int, broken_every: int) -> Iterator[bytes]:
    """Saves of one window; every so many of them is broken."""
    for number in range(count):
        if broken_every and number % broken_every == broken_every // 2:
            yield b'{"broken": \n'
            continue
        event = {
            "schema_version": 1,
            "ts": f"2026-01-01T00:{number % 15:02d}:{number % 60:02d}.{number % 1000:03d}Z",
            "event": "autosave.save.completed",
            "phase": "B",
            "release": "1.2.3",
            "request_id": f"r{number}",
            "duration_ms": number % 1999 + 0.25,
        }
        yield json.dumps(event).encode() + b"\n"


def blocks(folder: Path, count: int, broken_every: int) -> list[Block]:
    """The lines as a source would hand them over."""
    window = Window(FIRST, FIRST + timedelta(minutes=15))
    sink = BlockSink("app", "app", folder, Ask(window, window.end, "B", True))
    portion: list[bytes] = []
    for line in lines(count, broken_every):
        portion.append(line)
        if len(portion) == 5000:
            sink.add(b"".join(portion), "app.jsonl", is_verbatim=True)
            portion.clear()
    sink.add(b"".join(portion), "app.jsonl", is_verbatim=True)
    sink.flush()
    return sink.blocks


def best(work: Callable[[], object]) -> float:
    """The shortest of a few runs, in seconds of one core."""
    found = []
    for _ in range(RUNS):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def main() -> int:
    """Measure, print, and give 1 where it is slower than WANTED."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    governed = load_governed(Path(__file__).resolve().parent.parent / "policy" / "policy.yaml")
    terms = Terms(governed.rules, Window(FIRST, FIRST + timedelta(minutes=15)), FIRST + timedelta(minutes=15))
    slow = 0
    for name, broken_every in (("clean", 0), ("one broken line in 50,000", 50_000), ("one in 1,000", 1_000)):
        with tempfile.TemporaryDirectory(prefix="phasegate-bench-") as scratch:
            made = blocks(Path(scratch), count, broken_every)
            copied = best(lambda made=made: [shutil.copyfile(block.path, os.devnull) for block in made])
            seconds = best(lambda made=made, folder=Path(scratch): sort_lines(made, terms, folder, lambda *_: None))
        print(f"{name:<28}{count / seconds:>12,.0f} lines/s   {seconds / max(copied, 1e-9):>8,.1f} × a copy")
        slow += count / seconds < WANTED and broken_every != 1_000
    return int(slow > 0)


if __name__ == "__main__":
    raise SystemExit(main())
