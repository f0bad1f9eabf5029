"""One check of a recovery: the SLOs over the events since a rollback, in the window's length that ends at an instant.

The collector leaves a file for each step of a recovery in `recovery/` below the log folder, named by its start. They
are no batches: nothing here reaches a decision or a streak.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from checker.analyzer.batches import LogFolder, hold, plain_bytes, read_lines
from checker.analyzer.cache import open_cache
from checker.analyzer.fixture import named_event
from checker.analyzer.governed import Governed
from checker.analyzer.history import Lens, load_history
from checker.analyzer.lines import MAX_LINE_BYTES
from checker.analyzer.telemetry import Mapper
from checker.errors import CannotDecide
from checker.model import Status, Window
from checker.policy.model import OFF
from checker.windows import floor_to_window, stamp, windows_between

FOLDER = "recovery"
_OWN_EVENTS = ("collector.", "alert.")  # what is not the target's


@dataclass(frozen=True, slots=True)
class Recovering:
    """What is checked: the phase that was rolled back to, and when the rollback ended."""

    phase: str
    since: datetime
    every: timedelta


@dataclass(frozen=True, slots=True)
class RecoveryFinding:
    """What one check found. `events` are those of the target; `violations` the SLOs that are violated."""

    window: Window
    outcome: Status
    violations: tuple[str, ...] = ()
    events: int = 0

    @property
    def met(self) -> bool:
        """Whether the check was met."""
        return self.outcome.is_met


def check_recovery(
    governed: Governed, logs: Path, recovering: Recovering, end: datetime, as_of: datetime, run: Mapper
) -> RecoveryFinding | None:
    """The check that is due at `end`; None where a file of its time is not there.

    In `off` it is met once no event of the target comes any more. Raises CannotDecide where a file cannot be read.
    """
    window = Window(end - governed.policy.window, end)
    folder = LogFolder(logs / FOLDER)
    first = floor_to_window(max(window.start, recovering.since), recovering.every)
    steps = [step.start for step in windows_between(first, end, recovering.every)]
    if any(start not in folder.by_start for start in steps):
        return None
    with tempfile.TemporaryDirectory(prefix="phasegate-recovery-") as name:
        events = _gather(folder, steps, window, recovering.since, Path(name) / f"{stamp(window.start)}.jsonl")
        if recovering.phase == OFF:
            return RecoveryFinding(window, Status.VIOLATION if events else Status.OK, events=events)
        return replace(_judged(governed, Path(name), recovering.phase, window, as_of, run), events=events)


def _judged(
    governed: Governed, folder: Path, phase: str, window: Window, as_of: datetime, run: Mapper
) -> RecoveryFinding:
    shifted = replace(governed, rules=governed.rules.from_origin(window.start))
    with open_cache(None) as cache:
        history = load_history(
            shifted, LogFolder(folder), cache, run, Lens(phase, phase, as_of), window.start, window.start
        )
    item = history.judged[window.start]
    violations = tuple(row.slo for row in item.judgements if row.status is Status.VIOLATION)
    return RecoveryFinding(window, item.outcome, violations)


def _gather(folder: LogFolder, steps: list[datetime], window: Window, since: datetime, batch: Path) -> int:
    """Write the lines of `steps` that count to `batch`; how many are events of the target's."""
    events = 0
    with batch.open("wb") as out:
        for start in steps:
            for content in _lines(folder, start):
                named = named_event(content)
                if named is None:
                    out.write(content + b"\n")  # broken: it counts among the quarantined
                    continue
                kind, at = named
                is_own = kind.startswith(_OWN_EVENTS)
                if (is_own and at >= window.start) or (not is_own and max(since, window.start) <= at < window.end):
                    out.write(content + b"\n")
                    events += not is_own
    return events


def _lines(folder: LogFolder, start: datetime) -> Iterator[bytes]:
    file = folder.by_start[start]
    try:
        with hold(file) as held, plain_bytes(held) as stream:
            for line in read_lines(stream, MAX_LINE_BYTES):
                yield line.content
    except (OSError, EOFError, ValueError) as fault:
        raise CannotDecide(f"{FOLDER}/{file.path.name}: cannot be read: {fault}") from fault
