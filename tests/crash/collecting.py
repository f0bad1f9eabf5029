"""A collector's story, run by run: what happens before each, and the worker that makes them.

A run is the command, or the loop's part up to where it waits.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from checker.analyzer.governed import Governed, load_governed
from checker.analyzer.sandbox import loader
from checker.cli import collect
from checker.collector.station import Setting, Station
from checker.running.collecting import Collecting
from checker.windows import iso, parse_iso
from tests.batches import FIRST, start_of
from tests.collectors import save
from tests.crash.worker import IMPORTED, serve
from tests.crashing import Ended, run, run_in_child
from tests.ledgers import LedgerBuilder

SOURCES = (
    "      paths: [telemetry/*.jsonl]\n",
    "      paths: [telemetry/*.jsonl]\n    - {name: gw, kind: files, paths: [gw/*.jsonl]}\n",
)
SOON, SLICE = timedelta(seconds=3), timedelta(minutes=5)
FAILED, ROLLED_BACK, LAST = start_of(2), start_of(3), 4
COMMAND, LOOP = "command", "loop"
STEPS = {  # when each is run, and as what
    "begin": (FIRST + SOON, COMMAND),
    "first": (start_of(1) + SOON, COMMAND),
    "failing": (FAILED + SOON, LOOP),
    "retry 1": (FAILED + timedelta(seconds=60), COMMAND),
    "retry 2": (FAILED + timedelta(seconds=150), LOOP),
    "retry 3": (FAILED + timedelta(seconds=300), COMMAND),
    "retry 4": (FAILED + timedelta(seconds=570), LOOP),
    "back": (start_of(3) + SOON, COMMAND),
    "slice 1": (ROLLED_BACK + SLICE + SOON, LOOP),
    "slice 2": (ROLLED_BACK + SLICE * 2 + SOON, LOOP),
    "slice 3 and batch": (ROLLED_BACK + SLICE * 3 + SOON, LOOP),
}


def write(path: Path, *lines: Mapping[str, Any] | bytes) -> None:
    """The product appends events, or bytes as they are."""
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.writelines(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)


def happens(step: str, root: Path) -> None:
    """What the product, and people, do before a step."""
    app, gateway = root / "telemetry" / "app.jsonl", root / "gw" / "1.jsonl"
    ledger = LedgerBuilder().phase_change("off", "B", at=iso(FIRST - SLICE))
    match step:
        case "begin":
            ledger.write(root / "ledger" / "autosave.jsonl")
            for path in (app, gateway):
                write(path, save(FIRST - SLICE, f"begin {path.name}"))
        case "first":
            write(app, *(save(FIRST + timedelta(seconds=each), f"0-{each}") for each in range(8)))
            write(app, b"broken\n", b"{}\n", save(FIRST, "0-1"), save(start_of(1), "ahead 1"))
            write(gateway, save(FIRST, "gw-0"), save(start_of(1), "ahead 2"))
        case "failing":
            write(app, save(start_of(1), "before"))
            app.rename(app.with_name("app-1.jsonl"))
            write(app, save(start_of(1), "after"), save(start_of(2), "ahead 3"), b"[]\n")
            write(gateway, save(start_of(1), "gw-1", duration_ms=9000))
            gateway.parent.rename(root / "away")
        case "back":
            (root / "away").rename(gateway.parent)
            write(gateway, save(start_of(2), "gw-2"), b"\xff\n")
            write(app, save(start_of(2), "2"), save(start_of(2), "2"))
        case "slice 1":
            ledger.incident("opened", "i", slos=["save_p95"], at=iso(ROLLED_BACK + SOON * 2))
            ledger.rollback("begun", "B", "off", incident="i", at=iso(ROLLED_BACK + SOON * 3))
            ledger.rollback("ended", "B", "off", incident="i", at=iso(ROLLED_BACK + SOON * 4))
            ledger.write(root / "ledger" / "autosave.jsonl")
            write(app, save(ROLLED_BACK, "3-1"), save(start_of(2), "late"), b"{}\n", save(ROLLED_BACK + SLICE, "3-2"))
        case "slice 2":
            app.rename(app.with_name("app-2.jsonl"))
            write(app, save(ROLLED_BACK + SLICE, "3-3"), save(ROLLED_BACK + SLICE, "3-3"))
        case "slice 3 and batch":
            write(app, save(ROLLED_BACK + SLICE * 2, "3-4"))
            write(gateway, save(ROLLED_BACK + SLICE, "gw-3"), save(start_of(4), "ahead 4"))


def _collects(governed: Governed, root: Path, at: datetime) -> None:
    """What the loop's collector does at an instant, to where it waits."""
    stop = threading.Event()
    said: list[Mapping[str, Any]] = []

    def say(message: Mapping[str, Any]) -> None:
        said.append(message)
        if message["kind"] in ("waits", "fault"):
            stop.set()

    logs, ledger = root / "logs" / "autosave", root / "ledger" / "autosave.jsonl"
    setting = Setting(logs=logs, ledger=ledger, reports=root / "reports", now=lambda: at, environ={})
    Collecting(Station(governed, setting), say, stop, seconds_until=lambda _: 0.0).run()
    sys.stderr.write(json.dumps(said))
    sys.stderr.flush()
    raise SystemExit(3 if said[-1]["kind"] == "fault" else 0)


def _job(governed: Governed, way: str, arguments: list[str], folder: Path, **terms: Any) -> Ended:
    if way == COMMAND:
        return run(arguments, folder, **terms)
    return run_in_child(partial(_collects, governed, folder, parse_iso(arguments[0])), folder, **terms)


def main() -> None:
    """Serve until stdin is closed. The governed files are read once, for all that are forked."""
    for name in (*IMPORTED, "jsonschema"):
        importlib.import_module(name)
    with loader() as connection:
        connection.execute("select 1")  # a first query makes much that later ones share
    policy = Path(sys.argv[1])
    known = {policy: load_governed(policy)}
    vars(collect)["read_governed"] = known.__getitem__
    serve(partial(_job, known[policy]))


if __name__ == "__main__":
    main()
