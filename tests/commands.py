"""Runs commands as they are typed, in this process, and writes small logs for them to read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from checker.cli import main

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "tests/samples/autosave/logs"
SAMPLE_AS_OF = "2026-01-02T12:05:00Z"


class Done(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


def phasegate(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Done:
    """Run `phasegate` with these arguments on this repository's policy, without a cache."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["phasegate", *map(str, arguments)])
        patch.chdir(ROOT)
        with pytest.raises(SystemExit) as ended:
            main()
    captured = capsys.readouterr()
    return Done(int(ended.value.code or 0), captured.out, captured.err)


def event(name: str, ts: str, phase: str = "B", **fields: Any) -> bytes:
    """One line of telemetry."""
    return json.dumps({"schema_version": 1, "ts": ts, "event": name, "phase": phase, **fields}).encode()


def saved(ts: str, duration_ms: float, request_id: str = "", **fields: Any) -> bytes:
    """A completed save."""
    named = request_id or f"{ts}-{duration_ms}"
    return event("autosave.save.completed", ts, duration_ms=duration_ms, request_id=named, **fields)


def write_batch(folder: Path, stamp: str, lines: Iterable[bytes], *, last_newline: bool = True) -> Path:
    """Write the batch of the window called `stamp`, as in 20260101T000000Z."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stamp}.jsonl"
    path.write_bytes(b"\n".join(lines) + (b"\n" if last_newline else b""))
    return path
