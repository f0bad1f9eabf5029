"""Attacks by what lies in the log folder: what is no batch, lines, packed files, and what changes while it is read."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer import batches, fixture, ingest, lines, regular, scan, typed, unpack
from checker.windows import iso
from tests.attacking.log_parts import CHANGES, PACKED, SWAPS, THINGS, bytes_of
from tests.attacking.model import Attack, Carry, SwitchOff
from tests.batches import closed, start_of, write_batches
from tests.telemetry import ROOT, Ran, phasegate

ATTACKED = "20260101T001500Z.jsonl"  # the newest of two windows; the one before must be judged whatever comes
BUDGET_S = 0.8  # of the processor, for a command over one small batch: it takes a tenth of it
WAIT_S = 1.5
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
def _proved() -> Path:
    """A cache that knows the governed files and no logs."""
    folder = Path(tempfile.mkdtemp(prefix="phasegate-attacks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    logs = write_batches(folder / "logs", "A", ["met"])
    _command("check", logs, folder / "cache", "--phase", "B")
    return folder / "cache"


def _command(name: str, logs: Path, cached: Path, *more: str) -> Ran:
    where = ("--policy", ROOT / "policy/policy.yaml", "--logs", logs, "--as-of", iso(closed(2)))
    return phasegate(name, *where, *more, cache=cached)


def _seen(ran: Ran) -> str:
    return f"exit {ran.code}\n{ran.out}\n{ran.err}\n"


def _judged(logs: Path, folder: Path) -> str:
    """What `check` says of the newest window, and `replay` of both."""
    cached = Path(shutil.copytree(_proved(), folder / "cache"))
    checked = _command("check", logs, cached, "--phase", "B", "--format", "json")
    span = ("--since", iso(start_of(0)), "--until", iso(start_of(2)), "--format", "jsonl")
    windows = _command("replay", logs, cached, "--phase", "B", *span).documents
    outcomes = " ".join(f"{row['window']['start'][11:16]} is {row['outcome']}." for row in windows)
    return f"{_seen(checked)}\n{outcomes}\nkept: {_kept(cached)}"


def _kept(cached: Path) -> list[str]:
    """Files of events in the cache that nobody finished, or whose batch was refused."""
    return sorted(
        path.name for path in (cached / "events").iterdir() if not re.fullmatch(r"\w{64}\.parquet", path.name)
    )


def _logs(folder: Path) -> Path:
    return write_batches(folder / "logs", "B", ["met", "met"])


def carry_folder(attack: Attack, folder: Path) -> str:
    """`does` lists `{put, as}`: what is put in the folder, under which name, instead of what is there."""
    logs = _logs(folder)
    for item in attack.does:
        for number in range(item.get("times", 1)):
            path = Path(os.fsdecode(os.fsencode(logs) + b"/" + item["as"].format(number).encode("latin-1")))
            path.unlink(missing_ok=True)
            THINGS[item["put"]](path)
    return _judged(logs, folder)


# Lines.


def carry_line(attack: Attack, folder: Path) -> str:
    """`does` are the bytes of lines put after the sound ones of a batch."""
    logs = _logs(folder)
    with (logs / ATTACKED).open("ab") as batch:
        batch.write(bytes_of(attack.does) + b"\n")
    cached = Path(shutil.copytree(_proved(), folder / "cache"))
    begun = time.process_time()
    try:
        told = _command("explain", logs, cached, "--phase", "B", "--quarantined", "--format", "json")
    except RecursionError as fault:
        return f"crashed: {fault}"
    spent = time.process_time() - begun
    shutil.rmtree(cached)
    if attack.more.get("timed"):
        return f"{_seen(told)}\n{'in time' if spent < BUDGET_S else 'too long'}"
    return f"{_seen(told)}\n{_small_judged(logs, folder)}"


def _small_judged(logs: Path, folder: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), value in SMALL.items():
            patch.setattr(module, name, value)
        return _judged(logs, folder)


# Packed files.


def carry_packed(attack: Attack, folder: Path) -> str:
    """`does` names the content; `more` the suffix of the batch's name."""
    logs = _logs(folder)
    (logs / ATTACKED).unlink()
    (logs / f"{ATTACKED}{attack.more.get('suffix', '')}").write_bytes(PACKED[attack.does]())
    return _small_judged(logs, folder)


# What changes while it is read.


@contextmanager
def _after(module: Any, name: str, act: Callable[[], None]) -> Iterator[None]:
    """Act once, right after the program's own `name` has returned for the batch that is attacked."""
    real = getattr(module, name)
    left = [act]

    def then(*arguments: Any, **more: Any) -> Any:
        result = real(*arguments, **more)
        if left and any(ATTACKED in str(argument) for argument in arguments):
            left.pop()()
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, then)
        yield


def carry_change(attack: Attack, folder: Path) -> str:
    """`does` names what becomes of the batch after it was scanned, before it is loaded."""
    logs = _logs(folder)
    with _after(ingest, "scan", lambda: CHANGES[attack.does](logs / ATTACKED)):
        cached = Path(shutil.copytree(_proved(), folder / "cache"))
        checked = _command("check", logs, cached, "--phase", "B", "--format", "json")
    return f"{_seen(checked)}\nkept: {_kept(cached)}"


def carry_swap(attack: Attack, folder: Path) -> str:
    """`does` names what takes the batch's place between the look at it and its opening."""
    logs = _logs(folder)
    path = logs / ATTACKED
    waited: list[str] = []

    def let_go() -> None:  # whoever waits for the pipe's other end goes on
        with suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            waited.append("waited for the pipe")

    alarm = threading.Timer(WAIT_S, let_go)
    alarm.start()
    with _after(regular, "_refuse_named", lambda: SWAPS[attack.does](path)):
        cached = Path(shutil.copytree(_proved(), folder / "cache"))
        checked = _command("check", logs, cached, "--phase", "B", "--format", "json")
    alarm.cancel()
    alarm.join()
    return f"{_seen(checked)}\n{waited or 'waited for nothing'}"


def carry_there_and_back(attack: Attack, folder: Path) -> str:
    """Another folder takes the place of the logs while the batch is loaded; no file in it is touched."""
    logs, away = _logs(folder), folder / "away"
    write_batches(folder / "other", "B", ["met", attack.does])

    def there() -> None:
        logs.rename(away)
        (folder / "other").rename(logs)

    def back() -> None:
        logs.rename(folder / "other")
        away.rename(logs)

    cached = Path(shutil.copytree(_proved(), folder / "cache"))
    with _after(ingest, "scan", there), _after(ingest, "_load_whole", back):
        return _seen(_command("check", logs, cached, "--phase", "B", "--format", "json"))


# One file instead of a folder.


def carry_fixture(attack: Attack, folder: Path) -> str:
    """`does` is what lies at the place of `--fixture`: one of THINGS, or bytes of lines."""
    path = folder / "one.jsonl"
    if isinstance(attack.does, str):
        THINGS[attack.does](path)
    else:
        path.write_bytes(bytes_of(attack.does))
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), value in SMALL.items():
            patch.setattr(module, name, value)
        return _seen(
            phasegate(
                "check", "--phase=B", f"--fixture={path}", "--policy", ROOT / "policy/policy.yaml", cache=_proved()
            )
        )


KINDS: dict[str, Carry] = {
    "folder": carry_folder,
    "line": carry_line,
    "packed": carry_packed,
    "change": carry_change,
    "swap": carry_swap,
    "there and back": carry_there_and_back,
    "fixture": carry_fixture,
}


def off(*places: tuple[Any, str, Any]) -> SwitchOff:
    """Puts something in the place of a layer, wherever it is named."""

    def switch(patch: pytest.MonkeyPatch) -> None:
        for owner, name, value in places:
            patch.setattr(owner, name, value)

    return switch


def _passes(*_: Any) -> None:
    """Refuses nothing."""


def _quadratic_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    return dict(pairs) if all(keys.count(key) == 1 for key in keys) else _object(pairs)


_object = lines._object
UNBOUNDED = 1 << 40
LAYERS: dict[str, SwitchOff] = {
    "only a regular file is opened": off((regular, "_refuse", _passes)),
    "no link is followed": off((regular, "OPEN_FLAGS", regular.OPEN_FLAGS & ~os.O_NOFOLLOW)),
    "no pipe is waited for": off((regular, "OPEN_FLAGS", regular.OPEN_FLAGS & ~os.O_NONBLOCK)),
    "one file is held": off((batches.HeldBatch, "path", property(lambda held: held.file.path))),
    "nothing changes while it is read": off((ingest, "check_unchanged", _passes)),
    "a window has one batch, named by its start": off((batches.LogFolder, "refused", lambda *_: {})),
    "few names are shown": off((batches, "MAX_NAMED", UNBOUNDED)),
    "a batch's size": off((unpack, "check_size", _passes), (batches, "check_size", _passes)),
    "how far a file unpacks": off((unpack, "_check_ratio", _passes)),
    "how many parts a file has": off((unpack, "_check_frames", _passes)),
    "how far a part looks back": off((unpack, "MAX_WINDOW_BYTES", 1 << 30)),
    "a batch's lines": off((scan, "_check_lines", _passes)),
    "a batch's broken lines": off((typed, "_check_broken", _passes)),
    "what an index keeps": off((ingest, "_check_indexed", _passes)),
    "a line's length": off(*((module, "MAX_LINE_BYTES", UNBOUNDED) for module in (lines, scan, typed))),
    "a line's depth": off((lines, "MAX_DEPTH", UNBOUNDED)),
    "strings are found in one go": off((lines, "_STRINGS", re.compile(r'"(?:[^"\\]|\\.)*"'))),
    "keys are counted in one go": off((lines, "_object", _quadratic_object)),
    "a line's errors": off((lines, "MAX_ERRORS", None)),
    "a fixture's size": off((fixture, "_check_size", _passes)),
    "a fixture's windows": off((fixture, "_check_windows", _passes)),
}
