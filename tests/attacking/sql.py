"""Hostile SQL: as a governed query, as a statement that got past the parser, and as a process that was taken over."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer import governed, header
from checker.analyzer.sandbox import LockedEngine, loader, locked_child, sent_rows
from checker.child import allowance, kernel, zygote
from checker.child.allowance import Allowance, Budget
from checker.child.handle import Child
from checker.child.serve import Opened
from checker.errors import CannotDecide, QueryFailed
from tests.attacking import hostile, sql_layers
from tests.attacking.model import Attack, Carry
from tests.attacking.sql_layers import LAYERS
from tests.telemetry import check, make_project, save, seal, slo_query, write_batch

READS = (
    "events(window_start, event, phase, duration_ms, ts, payload), windows(window_start, window_end, has_batch, events)"
)
_LANDLOCK = {"truncate a file": 3, "signal the command": 6}  # since which version it is stopped
LOGS = [save("11:50", "r"), seal("12:00:30", "11:45", 30_000)]


def allowed(attack: Attack) -> Allowance:
    return Allowance(attack.more.get("deadline_s", 5), attack.more.get("query_memory_mb", 256), Budget(600))


def query(attack: Attack, folder: Path) -> str:
    """Check a project with a hostile SLO query beside the sound ones; say what the check said, and what it left."""
    told = expanded(attack.does, folder)
    policy = make_project(folder / "project", {"q": slo_query("q", told, READS, attack.more.get("lookback", "0"))})
    for start in ("11:15", "11:30", "11:45")[-attack.more.get("logs", 1) :]:
        write_batch(folder / "logs", start, LOGS)
    (folder / "secret.csv").write_text("secret\n42\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(governed, "allowance_of", lambda _: allowed(attack))
        if "max_lookback_windows" in attack.more:
            patch.setattr(header, "MAX_LOOKBACK_WINDOWS", attack.more["max_lookback_windows"])
        try:
            ran = check(folder / "logs", "12:05", policy=policy)
        except RuntimeError as fault:  # an internal error, exit 70
            return f"{fault!r}"
    left = sorted(path.name for path in folder.iterdir() if path.name not in ("project", "logs", "secret.csv"))
    judged = [f"{row['slo']} {row['status']} {row['value']}: {row['reason']}" for row in slos(ran.out)]
    return "\n".join([f"exit {ran.code}", *judged, ran.err, f"left: {left}"])


def slos(out: str) -> list[dict[str, Any]]:
    return list(json.loads(out)["slos"]) if out.startswith("{") else []


def expanded(text: str, folder: Path) -> str:
    """`{folder}` is the attack's own; `{1000*x}` is x so many times."""
    text = text.replace("{folder}", str(folder))
    return re.sub(r"\{(\d+)\*(.*?)\}", lambda match: match[2] * int(match[1]), text, flags=re.DOTALL)


@contextmanager
def _rows_service() -> Iterator[Opened]:
    """In the child: runs whatever statement it is asked to, over the relation `rows`."""
    with loader() as connection:
        connection.execute("create table rows as select 7 as x")
        engine = LockedEngine(connection, 256)
        yield None, lambda sql: sent_rows(engine.run(sql, {}))


def statement(attack: Attack, folder: Path) -> str:
    """Run statements, one after the other, in a child whose gate let everything through."""
    (folder / "secret.csv").write_text("secret\n42\n")
    (folder / "here").mkdir(mode=0o777)
    (folder / "here").chmod(0o777)
    statements = [attack.does] if isinstance(attack.does, str) else attack.does
    with locked_child(_rows_service, allowed(attack)) as child:
        seen = [said(child, expanded(sql, folder)) for sql in statements]
    return "\n".join([*seen, f"left: {sorted(path.name for path in (folder / 'here').iterdir())}"])


def said(child: Child, request: str) -> str:
    try:
        answer = child.ask(request)
    except (QueryFailed, CannotDecide) as fault:
        return f"{type(fault).__name__}: {fault}"
    return f"answered {str(answer)[:200]}"


def taken_over(attack: Attack, folder: Path) -> str:
    """Let hostile code run in the child, in place of DuckDB, and say what it could do."""
    if attack.more.get("needs_root") and os.geteuid() != 0:
        pytest.skip("only root can stop being root")
    if kernel.landlock_version() < (least := _LANDLOCK.get(attack.does, 1 if attack.stopped_by == "landlock" else 0)):
        pytest.skip(f"this kernel has no Landlock {least}")
    here = folder / "here"
    here.mkdir()
    for path in (folder, here):
        path.chmod(0o777)
    (here / "removable").write_text("precious")
    (here / "removable").chmod(0o666)
    _let_nobody_in(folder)
    signals: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
    inherited = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    start = partial(hostile.service, str(here), os.getpid(), attack.more.get("early", "nothing"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLACK_TOKEN", hostile.SECRET)
            zygote.shut_down()
            with locked_child(start, allowed(attack)) as child:
                seen = [f"early {child.told}", said(child, attack.does), said(child, "nothing")]
    except CannotDecide as fault:
        seen = [str(fault)]
    finally:
        zygote.shut_down()
        os.close(inherited)
        signal.signal(signal.SIGUSR1, before)
    precious = (here / "removable").read_text() if (here / "removable").exists() else "gone"
    left = sorted(path.name for path in here.iterdir() if path.name not in ("removable", "kept"))
    return "\n".join([*seen, f"left: {left}", f"precious: {precious}", f"signals: {len(signals)}"])


def _let_nobody_in(folder: Path) -> None:
    """Let every user pass through the folders above: what stops the attack must not be their modes."""
    for parent in folder.parents:
        if parent.stat().st_uid == os.geteuid() and parent.parent != parent and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)


def _afresh(carry: Carry) -> Carry:
    """Carry an attack out without the layers that are off already, with children that know of it, and leave none."""

    def carried(attack: Attack, folder: Path) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(allowance, "CPU_GRACE_S", 0)
            patch.setattr(sql_layers, "PATIENCE_S", attack.more.get("patience_s", sql_layers.PATIENCE_S))
            if "more_memory_mb" in attack.more:
                patch.setattr(allowance, "MORE_MEMORY_BYTES", attack.more["more_memory_mb"] << 20)
            for layer in attack.more.get("already_off", ()):
                LAYERS[layer](patch)
            try:
                return carry(attack, folder)
            finally:
                zygote.shut_down()

    return carried


__all__ = ["KINDS", "LAYERS"]

KINDS = {"query": _afresh(query), "statement": _afresh(statement), "taken over": _afresh(taken_over)}
