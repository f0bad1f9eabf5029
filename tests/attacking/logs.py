"""Attacks by what lies in the log folder: what is no batch, lines, packed files, and what changes while it is read."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from checker import regular
from checker.analyzer import ingest
from tests.attacking.log_commands import ATTACKED, SMALL, command, judged, kept, logs, proved, seen, small_judged
from tests.attacking.log_growth import carry_growing_line
from tests.attacking.log_layers import LAYERS as LAYERS
from tests.attacking.log_parts import CHANGES, PACKED, SWAPS, THINGS, bytes_of
from tests.attacking.model import Attack, Carry
from tests.batches import write_batches
from tests.telemetry import ROOT, phasegate

WAIT_S = 1.5


def carry_folder(attack: Attack, folder: Path) -> str:
    """`does` lists `{put, as}`: what is put in the folder, under which name, instead of what is there."""
    log_folder = logs(folder)
    for item in attack.does:
        for number in range(item.get("times", 1)):
            path = Path(os.fsdecode(os.fsencode(log_folder) + b"/" + item["as"].format(number).encode("latin-1")))
            path.unlink(missing_ok=True)
            THINGS[item["put"]](path)
    return judged(log_folder, folder)


# Lines.


def carry_line(attack: Attack, folder: Path) -> str:
    """`does` are the bytes of lines put after the sound ones of a batch."""
    log_folder = logs(folder)
    with (log_folder / ATTACKED).open("ab") as batch:
        batch.write(bytes_of(attack.does) + b"\n")
    cached = Path(shutil.copytree(proved(), folder / "cache"))
    try:
        told = command("explain", log_folder, cached, "--phase", "B", "--quarantined", "--format", "json")
    except RecursionError as fault:
        return f"crashed: {fault}"
    shutil.rmtree(cached)
    return f"{seen(told)}\n{small_judged(log_folder, folder)}"


# Packed files.


def carry_packed(attack: Attack, folder: Path) -> str:
    """`does` names the content; `more` the suffix of the batch's name."""
    log_folder = logs(folder)
    (log_folder / ATTACKED).unlink()
    (log_folder / f"{ATTACKED}{attack.more.get('suffix', '')}").write_bytes(PACKED[attack.does]())
    return small_judged(log_folder, folder)


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
    log_folder = logs(folder)
    with _after(ingest, "scan", lambda: CHANGES[attack.does](log_folder / ATTACKED)):
        cached = Path(shutil.copytree(proved(), folder / "cache"))
        checked = command("check", log_folder, cached, "--phase", "B", "--format", "json")
    return f"{seen(checked)}\nkept: {kept(cached)}"


def carry_swap(attack: Attack, folder: Path) -> str:
    """`does` names what takes the batch's place between the look at it and its opening."""
    log_folder = logs(folder)
    path = log_folder / ATTACKED
    waited: list[str] = []

    def let_go() -> None:  # whoever waits for the pipe's other end goes on
        with suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            waited.append("waited for the pipe")

    alarm = threading.Timer(WAIT_S, let_go)
    alarm.start()
    with _after(regular, "_refuse_named", lambda: SWAPS[attack.does](path)):
        cached = Path(shutil.copytree(proved(), folder / "cache"))
        checked = command("check", log_folder, cached, "--phase", "B", "--format", "json")
    alarm.cancel()
    alarm.join()
    return f"{seen(checked)}\n{waited or 'waited for nothing'}"


def carry_there_and_back(attack: Attack, folder: Path) -> str:
    """Another folder takes the place of the logs while the batch is loaded; no file in it is touched."""
    log_folder, away = logs(folder), folder / "away"
    write_batches(folder / "other", "B", ["met", attack.does])

    def there() -> None:
        log_folder.rename(away)
        (folder / "other").rename(log_folder)

    def back() -> None:
        log_folder.rename(folder / "other")
        away.rename(log_folder)

    cached = Path(shutil.copytree(proved(), folder / "cache"))
    with _after(ingest, "scan", there), _after(ingest, "load_at_once", back):
        return seen(command("check", log_folder, cached, "--phase", "B", "--format", "json"))


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
        return seen(
            phasegate(
                "check", "--phase=B", f"--fixture={path}", "--policy", ROOT / "policy/policy.yaml", cache=proved()
            )
        )


KINDS: dict[str, Carry] = {
    "folder": carry_folder,
    "line": carry_line,
    "growing line": carry_growing_line,
    "packed": carry_packed,
    "change": carry_change,
    "swap": carry_swap,
    "there and back": carry_there_and_back,
    "fixture": carry_fixture,
}
