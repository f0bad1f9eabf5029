"""Hostile SQL: as a governed query, as a statement that got past the parser, and as a process that was taken over."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer import governed, parser, queries, sandbox
from checker.analyzer.sandbox import LockedEngine, loader, locked_child, sent_rows
from checker.child import kernel, limits, wire, zygote
from checker.child.handle import Child
from checker.child.limits import Limits
from checker.child.serve import Opened
from checker.errors import CannotDecide, QueryFailed
from checker.policy import files, governed_text
from tests.attacking import hostile
from tests.attacking.model import Attack, Carry
from tests.telemetry import check, make_project, save, seal, slo_query, write_batch

READS = (
    "events(window_start, event, phase, duration_ms, ts, payload), windows(window_start, window_end, has_batch, events)"
)
PATIENCE_S = 2
LOGS = [save("11:50", "r"), seal("12:00:30", "11:45", 30_000)]


def limits_of(attack: Attack) -> Limits:
    return Limits(attack.more.get("deadline_s", 5), attack.more.get("query_memory_mb", 256))


def query(attack: Attack, folder: Path) -> str:
    """Check a project with a hostile SLO query beside the sound ones; say what the check said, and what it left."""
    told = expanded(attack.does, folder)
    sql = told if attack.more.get("whole") else slo_query("q", told, attack.more.get("reads", READS))
    policy = make_project(folder / "project", {"q": sql})
    write_batch(folder / "logs", "11:45", LOGS)
    (folder / "secret.csv").write_text("secret\n42\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(governed, "limits_of", lambda _: limits_of(attack))
        ran = check(folder / "logs", "12:05", policy=policy)
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
        engine = LockedEngine(connection)
        yield None, lambda sql: sent_rows(engine.run(sql, {}))


def statement(attack: Attack, folder: Path) -> str:
    """Run statements, one after the other, in a child whose gate let everything through."""
    (folder / "secret.csv").write_text("secret\n42\n")
    (folder / "here").mkdir(mode=0o777)
    (folder / "here").chmod(0o777)
    statements = [attack.does] if isinstance(attack.does, str) else attack.does
    with locked_child(_rows_service, limits_of(attack)) as child:
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
            with locked_child(start, limits_of(attack)) as child:
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
            patch.setattr(limits, "CPU_GRACE_S", 0)
            patch.setattr(sys.modules[__name__], "PATIENCE_S", attack.more.get("patience_s", PATIENCE_S))
            if "more_memory_mb" in attack.more:
                patch.setattr(limits, "MORE_MEMORY_BYTES", attack.more["more_memory_mb"] << 20)
            for layer in attack.more.get("already_off", ()):
                LAYERS[layer](patch)
            try:
                return carry(attack, folder)
            finally:
                zygote.shut_down()

    return carried


KINDS = {"query": _afresh(query), "statement": _afresh(statement), "taken over": _afresh(taken_over)}


def _off(place: Any, name: str, instead: Any) -> Any:
    """Switch a layer off, and let the next child be forked without it."""

    def switch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(place, name, instead)
        zygote.shut_down()

    return switch


def nothing(*_: Any, **__: Any) -> None:
    return None


def no_problems(*_: Any) -> list[Any]:
    return []


def _any_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever is no SELECT through as if it read nothing."""
    select = parser.Parser.select

    def unheard(self: parser.Parser, sql: str) -> Any:
        try:
            return select(self, sql)
        except parser.NotOneSelect:
            return select(self, "select 1")

    monkeypatch.setattr(parser.Parser, "select", unheard)


def _shared_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LockedEngine, "_session", lambda self: nullcontext(self._connection))
    zygote.shut_down()


def _unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lock_settings", "check_settings"):
        monkeypatch.setattr(sandbox, name, nothing)
    zygote.shut_down()


def _pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take pickles, too, as a command would that its child could talk into anything."""
    plain = wire.from_json

    def from_anything(content: bytes) -> Any:
        try:
            return plain(content)
        except wire.Nonsense:
            return pickle.loads(content)

    monkeypatch.setattr(wire, "from_json", from_anything)


def _bulky(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (files, governed_text):
        monkeypatch.setattr(module, "MAX_BYTES", 1 << 30)


def _endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock is watched; what is left is the limit on CPU time."""
    asked = Child._asked

    def patient(self: Child, message: Any, _: float) -> Any:
        try:
            return asked(self, message, time.monotonic() + PATIENCE_S)
        except TimeoutError:
            raise QueryFailed(f"waited for {PATIENCE_S} s in vain") from None

    monkeypatch.setattr(Child, "_asked", patient)


LAYERS = {
    "one select": _any_statement,
    "size of a governed file": _bulky,
    "relations": _off(queries, "_relation_problems", no_problems),
    "functions": _off(queries, "_function_problems", no_problems),
    "structure": _off(queries, "_structure_problems", no_problems),
    "parameters": _off(queries, "_parameter_problems", no_problems),
    "locked settings": _unlocked,
    "plain answers": _pickles,
    "closed descriptors": _off(kernel, "keep_only", lambda kept: kept),
    "a connection each": _shared_session,
    "rows": _off(sandbox, "MAX_RESULT_ROWS", 10_000_000),
    "size of an answer": _off(wire, "MAX_ANSWER_BYTES", 1 << 62),
    "deadline": _endless,
    "memory": _off(kernel, "limit_memory", nothing),
    "cpu": _off(kernel, "limit_cpu", nothing),
    "file size": _off(kernel, "limit_file_size", nothing),
    "processes": _off(kernel, "limit_processes", nothing),
    "descriptors": _off(kernel, "limit_descriptors", nothing),
    "nobody": _off(kernel, "drop_root", nothing),
    "no new privileges": _off(kernel, "no_new_privileges", nothing),
    "one thread": _off(kernel, "only_one_thread", nothing),
    "landlock": _off(kernel, "landlock", nothing),
    "environment": _off(kernel, "forget_environment", nothing),
}
