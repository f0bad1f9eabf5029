"""One JSONL file instead of a log folder: its lines are dealt out to the batches of their windows."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from checker.analyzer.batches import Line, read_lines
from checker.analyzer.lines import MAX_LINE_BYTES
from checker.analyzer.rules import IngestRules
from checker.errors import CannotDecide, UsageError
from checker.model import Window
from checker.windows import floor_to_window, parse_iso, stamp, window_at


@contextmanager
def deal_out(fixture: Path, rules: IngestRules) -> Iterator[tuple[Path, Window]]:
    """A temporary log folder with the fixture's lines, and its newest window.

    A line goes to the batch of its own window, so nothing in a fixture is late; one that names no time goes to the
    newest. Raises UsageError where the file cannot be read, CannotDecide where no line names a time.
    """
    batches, newest = _dealt(fixture, rules)
    folder = Path(tempfile.mkdtemp(prefix="phasegate-fixture-"))
    try:
        for start, lines in batches.items():
            contents = (line.content + (b"\n" if line.whole else b"") for line in lines)
            (folder / f"{stamp(start)}.jsonl").write_bytes(b"".join(contents))
        yield folder, window_at(newest, rules.window)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def dealt_numbers(fixture: Path, rules: IngestRules, window: Window) -> tuple[int, ...]:
    """Numbers (from 0) that the lines of the window's batch have in the fixture. Raises as `deal_out` does."""
    return tuple(line.number for line in _dealt(fixture, rules)[0].get(window.start, ()))


def _dealt(fixture: Path, rules: IngestRules) -> tuple[Mapping[datetime, Sequence[Line]], datetime]:
    """Lines by the start of the window whose batch they go to, and the newest of those."""
    try:
        with fixture.open("rb") as stream:
            lines = list(read_lines(stream, MAX_LINE_BYTES))
    except OSError as fault:
        raise UsageError(f"--fixture {fixture}: {fault.strerror or fault}") from None
    starts = [_window_start(line, rules) for line in lines]
    newest = max((start for start in starts if start is not None), default=None)
    if newest is None:
        raise CannotDecide(f"--fixture {fixture}: no line carries a time; there is nothing to judge")
    batches: dict[datetime, list[Line]] = defaultdict(list)
    for line, start in zip(lines, starts, strict=True):
        batches[start or newest].append(line)
    return batches, newest


def _window_start(line: Line, rules: IngestRules) -> datetime | None:
    """Start of the window that the line names, None where it names none."""
    import orjson

    try:
        event: Any = orjson.loads(line.content)
        name, text = event["event"], event["ts"]
        if name.startswith("collector."):
            text = event.get("batch_start", text)
        return floor_to_window(parse_iso(text), rules.window)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
