"""One JSONL file instead of a log folder: its lines are dealt out to the batches of their windows."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from checker.analyzer.batches import Line, read_lines
from checker.analyzer.lines import MAX_LINE_BYTES
from checker.analyzer.rules import IngestRules
from checker.analyzer.unpack import PLAIN, unpacked
from checker.errors import CannotDecide, UsageError
from checker.model import Window
from checker.regular import open_regular, signature_of
from checker.windows import floor_to_window, parse_iso, stamp, window_at

MAX_FIXTURE_BYTES = 256 << 20
MAX_FIXTURE_WINDOWS = 10_000  # a file each
_HELD_BYTES = 16 << 20  # lines kept in memory before they are written to their batches
_LINE_BYTES = 64  # what a line costs beside its bytes


@contextmanager
def deal_out(fixture: Path, rules: IngestRules) -> Iterator[tuple[Path, Window]]:
    """A temporary log folder with the fixture's lines, and its newest window.

    A line goes to the batch of its own window, so nothing in a fixture is late; one that names no time goes to the
    newest. Raises UsageError where the file cannot be read, CannotDecide where no line names a time.
    """
    folder = Path(tempfile.mkdtemp(prefix="phasegate-fixture-"))
    try:
        with _held(fixture) as descriptor:
            newest = _newest(fixture, descriptor, rules)
            _deal(descriptor, rules, newest, folder)
        yield folder, window_at(newest, rules.window)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def dealt_numbers(fixture: Path, rules: IngestRules, window: Window) -> tuple[int, ...]:
    """Numbers (from 0) that the lines of the window's batch have in the fixture. Raises as `deal_out` does."""
    with _held(fixture) as descriptor:
        newest = _newest(fixture, descriptor, rules)
        return tuple(
            line.number for line in _lines(descriptor) if (_window_start(line, rules) or newest) == window.start
        )


@contextmanager
def _held(fixture: Path) -> Iterator[int]:
    """The fixture, held open. Raises UsageError where it is no regular file, or cannot be read."""
    try:
        with open_regular(fixture) as descriptor:
            before = signature_of(os.fstat(descriptor))
            _check_size(before[0])
            yield descriptor
            if signature_of(os.fstat(descriptor)) != before:
                raise ValueError("changed while it was read; run the command again once it lies still")
    except OSError as fault:
        raise UsageError(f"--fixture {fixture}: {fault.strerror or fault}") from None
    except ValueError as fault:
        raise UsageError(f"--fixture {fixture}: {fault}") from None


def _lines(descriptor: int) -> Iterator[Line]:
    with unpacked(descriptor, PLAIN) as stream:
        yield from read_lines(stream, MAX_LINE_BYTES)


def _check_size(size: int) -> None:
    if size > MAX_FIXTURE_BYTES:
        raise ValueError(
            f"has {size:,} bytes, at most {MAX_FIXTURE_BYTES:,} are read; give a folder of batches (--logs)"
        )


def _check_windows(windows: int) -> None:
    if windows > MAX_FIXTURE_WINDOWS:
        raise ValueError(f"names times of more than {MAX_FIXTURE_WINDOWS:,} windows; give a folder of batches (--logs)")


def _newest(fixture: Path, descriptor: int, rules: IngestRules) -> datetime:
    """Start of the newest window that a line names. Raises CannotDecide where none does, ValueError for too many."""
    starts: set[datetime] = set()
    for line in _lines(descriptor):
        if start := _window_start(line, rules):
            starts.add(start)
            _check_windows(len(starts))
    if not starts:
        raise CannotDecide(f"--fixture {fixture}: no line carries a time; there is nothing to judge")
    return max(starts)


def _deal(descriptor: int, rules: IngestRules, newest: datetime, folder: Path) -> None:
    """Write each line to the batch of its window, in the fixture's order; few lines are in memory at a time."""
    dealt: dict[datetime, list[bytes]] = defaultdict(list)
    held = 0
    for line in _lines(descriptor):
        content = line.content + (b"\n" if line.whole else b"")
        dealt[_window_start(line, rules) or newest].append(content)
        held += len(content) + _LINE_BYTES
        if held > _HELD_BYTES:
            _write(dealt, folder)
            held = 0
    _write(dealt, folder)


def _write(dealt: dict[datetime, list[bytes]], folder: Path) -> None:
    for start, contents in dealt.items():
        with (folder / f"{stamp(start)}.jsonl").open("ab") as batch:
            batch.writelines(contents)
    dealt.clear()


def _window_start(line: Line, rules: IngestRules) -> datetime | None:
    """Start of the window that the line names, None where it names none."""
    named = named_event(line.content)
    try:
        return floor_to_window(named[1], rules.window) if named else None
    except OverflowError:
        return None


def named_event(content: bytes) -> tuple[str, datetime] | None:
    """A line's event and the instant that it is placed at, None where it names none: no JSON, say."""
    import orjson

    try:
        event: Any = orjson.loads(content)
        name, text = event["event"], event["ts"]
        if name.startswith("collector."):
            text = event.get("batch_start", text)
        return name, parse_iso(text)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
