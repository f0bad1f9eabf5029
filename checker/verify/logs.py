"""Step 1: the batches of the time are there, sealed and readable, and every line is accounted for."""

from __future__ import annotations

from checker.analyzer.batch_index import BatchIndex
from checker.analyzer.batches import BatchFile
from checker.analyzer.cache import open_cache
from checker.analyzer.ingest import cause_of
from checker.analyzer.telemetry import Telemetry, load_telemetry
from checker.model import Window
from checker.units import counted, number
from checker.verify.model import Evidence, Look, Step
from checker.verify.raw import SEAL, batch_lines, instant_of, parsed
from checker.windows import iso, stamp

TITLE = "batches there, sealed, every line accounted for"


def logs_step(look: Look) -> Step:
    """The step; not applicable where the folder holds no batch at all. Raises CannotDecide."""
    if not look.folder.batches:
        return Step("logs", TITLE, missing="the folder of logs holds no batch")
    with open_cache(look.request.cache) as cache:
        telemetry = load_telemetry(
            look.folder, cache, look.governed.rules, look.first, look.newest.start, look.request.as_of, look.request.run
        )
    return Step("logs", TITLE, tuple(_evidence(look, telemetry, window) for window in look.windows))


def _evidence(look: Look, telemetry: Telemetry, window: Window) -> Evidence:
    batch = look.folder.by_start.get(window.start)
    if batch is None:
        return Evidence(f"{stamp(window.start)}: no batch", {"window": iso(window.start)}, is_fault=True)
    name = batch.path.name
    known = telemetry.batches.get(window.start)
    if known is None:
        why = telemetry.unreadable.get(window.start, f"{name}: cannot be read")
        return Evidence(why, {"window": iso(window.start), "batch": name}, is_fault=True)
    try:
        return _looked_at(look, batch, known.index)
    except (OSError, EOFError, ValueError) as fault:
        why = f"{name}: cannot be read: {cause_of(fault)}"
        return Evidence(why, {"window": iso(window.start), "batch": name}, is_fault=True)


def _looked_at(look: Look, batch: BatchFile, index: BatchIndex) -> Evidence:
    lines, last = batch_lines(batch)
    events, copies = sum(index.events.values()), sum(index.duplicates.values())
    broken = sum(index.quarantined.values())
    latency_s, faults = _seal(look, last), []
    if latency_s is None:
        faults.append(f"not sealed: its last line is no {SEAL} by {iso(look.request.as_of)}")
    if not lines == index.lines == events + copies + index.too_late + broken:
        faults.append(f"{lines:,} lines are not the {index.lines:,} that were accounted for")
    odd = {"duplicates": copies, "too late": index.too_late, "quarantined": broken}
    told = [f"{counted(lines, 'line')} = {counted(events, 'event')}"]
    told += [f"{count:,} {name}" for name, count in odd.items() if count]
    sealed = "" if latency_s is None else f", sealed after {number(latency_s)} s"
    values = {
        "window": iso(batch.start),
        "batch": batch.path.name,
        "lines": lines,
        "events": events,
        "duplicates": copies,
        "too_late": index.too_late,
        "quarantined": broken,
        "seal_latency_s": latency_s,
        "faults": faults,
    }
    text = "; ".join([f"{batch.path.name}: {' + '.join(told)}{sealed}", *faults])
    return Evidence(text, values, is_fault=bool(faults))


def _seal(look: Look, line: bytes) -> float | None:
    """Seconds from the window's end to the seal that `line` is; None where it is none, or later than the clock."""
    event = parsed(line)
    if event is None or event.get("event") != SEAL:
        return None
    latency, ts = event.get("latency_ms"), instant_of(event.get("ts"))
    if isinstance(latency, bool) or not isinstance(latency, (int, float)) or ts is None:
        return None
    return latency / 1000 if ts <= look.request.as_of else None
