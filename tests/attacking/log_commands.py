"""Commands over a small folder of logs that somebody attacks: what they say, and what they leave in their cache."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from checker.analyzer import fixture, ingest, scan, typed, unpack
from checker.windows import iso
from tests.batches import closed, start_of, write_batches
from tests.telemetry import ROOT, Ran, phasegate

ATTACKED = "20260101T001500Z.jsonl"  # the newest of two windows; the one before must be judged whatever comes
# Limits as small as the tests' files; what matters is that each is kept.
SMALL = {
    (unpack, "MAX_PLAIN_BYTES"): 1 << 20,
    (unpack, "FREE_BYTES"): 64 << 10,
    (unpack, "MAX_FRAMES"): 500,
    (scan, "MAX_LINES"): 1000,
    (typed, "MAX_BROKEN_LINES"): 100,
    (ingest, "MAX_INDEXED"): 50,
    (fixture, "MAX_FIXTURE_BYTES"): 1 << 20,
    (fixture, "MAX_FIXTURE_WINDOWS"): 50,
}


@cache
def proved() -> Path:
    """A cache that knows the governed files and no logs."""
    folder = Path(tempfile.mkdtemp(prefix="phasegate-attacks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    log_folder = write_batches(folder / "logs", "A", ["met"])
    command("check", log_folder, folder / "cache", "--phase", "B")
    return folder / "cache"


def command(name: str, log_folder: Path, cached: Path, *more: str) -> Ran:
    where = ("--policy", ROOT / "policy/policy.yaml", "--logs", log_folder, "--as-of", iso(closed(2)))
    return phasegate(name, *where, *more, cache=cached)


def seen(ran: Ran) -> str:
    return f"exit {ran.code}\n{ran.out}\n{ran.err}\n"


def judged(log_folder: Path, folder: Path) -> str:
    """What `check` says of the newest window, and `replay` of both."""
    cached = Path(shutil.copytree(proved(), folder / "cache"))
    checked = command("check", log_folder, cached, "--phase", "B", "--format", "json")
    span = ("--since", iso(start_of(0)), "--until", iso(start_of(2)), "--format", "jsonl")
    windows = command("replay", log_folder, cached, "--phase", "B", *span).documents
    outcomes = " ".join(f"{row['window']['start'][11:16]} is {row['outcome']}." for row in windows)
    return f"{seen(checked)}\n{outcomes}\nkept: {kept(cached)}"


def kept(cached: Path) -> list[str]:
    """Files of events in the cache that nobody finished, or whose batch was refused."""
    return sorted(
        path.name for path in (cached / "events").iterdir() if not re.fullmatch(r"\w{64}\.parquet", path.name)
    )


def logs(folder: Path) -> Path:
    return write_batches(folder / "logs", "B", ["met", "met"])


def small_judged(log_folder: Path, folder: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), value in SMALL.items():
            patch.setattr(module, name, value)
        return judged(log_folder, folder)
