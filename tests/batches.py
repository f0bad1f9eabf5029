"""Writes batches of AutoSave telemetry for tests: a few lines a window, each window met unless it says otherwise.

`write_batches(folder, "B", ["met"] * 95 + ["violation"])` gives every window from FIRST on its batch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checker.windows import iso, stamp

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = timedelta(minutes=15)
LATENESS = timedelta(minutes=5)
DURATIONS_MS = {"met": 500, "warn": 1700, "violation": 9000}  # for B: above 1.6 s a warning, above 2 s a violation
MISSING = "missing"


def start_of(number: int) -> datetime:
    """Start of the window with this number, from 0."""
    return FIRST + WINDOW * number


def closed(count: int) -> datetime:
    """The instant from which `count` windows are closed."""
    return start_of(count) + LATENESS


def event(kind: str, at: datetime, phase: str, /, **fields: Any) -> dict[str, Any]:
    """One event as a mapping."""
    return {"schema_version": 1, "ts": iso(at), "event": kind, "phase": phase, **fields}


def write_batches(
    folder: Path,
    phase: str,
    kinds: Sequence[str],
    *,
    releases: Mapping[int, str] | None = None,
    extra: Mapping[int, Iterable[Mapping[str, Any]]] | None = None,
) -> Path:
    """A batch for each of `kinds` that is not missing. `releases` begin, one minute into their window, at a number."""
    folder.mkdir(parents=True, exist_ok=True)
    release: dict[str, Any] = {}
    for number, kind in enumerate(kinds):
        if number in (releases or {}):
            release = {"release": (releases or {})[number]}
        if kind != MISSING:
            lines = [*_lines(number, phase, kind, release), *(extra or {}).get(number, ())]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / f"{stamp(start_of(number))}.jsonl").write_text(text, encoding="utf-8")
    return folder


def _lines(number: int, phase: str, kind: str, release: Mapping[str, Any]) -> list[dict[str, Any]]:
    start = start_of(number)
    counts = dict.fromkeys(("accepted", "duplicates", "quarantined", "errors_retryable", "errors_fatal"), 0)
    save = {"duration_ms": DURATIONS_MS[kind], "request_id": f"save-{number}"}
    seal = {"latency_ms": 30_000, "batch_start": iso(start)}
    return [
        event("autosave.save.completed", start + timedelta(minutes=1), phase, **save, **release),
        event("collector.latency", start + WINDOW + timedelta(seconds=30), phase, **seal, **counts),
    ]
