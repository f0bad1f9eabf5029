"""A locked child: what it hands over, what becomes of it when it dies, and that none outlives its command."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.analyzer.parser import NotOneSelect, parser
from checker.analyzer.sandbox import LockedEngine, loader, rows_of, sent_rows
from checker.child import wire, zygote
from checker.child.allowance import Allowance, Budget
from checker.child.handle import Child
from checker.child.serve import Opened
from checker.errors import CannotDecide, QueryDied, QueryFailed, QueryTimedOut
from tests.attacking import hostile
from tests.telemetry import ROOT


@contextmanager
def rows_service() -> Iterator[Opened]:
    with loader() as connection:
        engine = LockedEngine(connection, 256)
        yield "loaded", lambda sql: sent_rows(engine.run(sql, {}))


@contextmanager
def failing_service(fault: Exception) -> Iterator[Opened]:
    raise fault
    yield None, str


TAGS = ["int", "float", "decimal", "datetime", "date", "time", "interval", "uuid", "bytes", "dict", "other"]


def _json(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists, and mappings such as a child may send."""
    return st.lists(inner, max_size=3) | st.fixed_dictionaries({"t": st.sampled_from(TAGS) | inner, "v": inner})


ALLOWANCE = Allowance(5, 256, Budget(600))


def nothing() -> None:
    """The zygote prepares nothing."""


def hostile_child(folder: Path, allowance: Allowance | None = None) -> Child:
    return Child(partial(hostile.service, str(folder), os.getpid(), "nothing"), allowance or ALLOWANCE, nothing)


VALUES = {
    "null": "null",
    "true": "true",
    "a double": "0.1::double",
    "the largest double": "1.7976931348623157e308::double",
    "minus zero": "-0.0::double",
    "infinity": "'-inf'::double",
    "a bigint": "(-9223372036854775808)::bigint",
    "a hugeint": "170141183460469231731687303715884105727::hugeint",
    "a decimal": "1.10::decimal(9, 2)",
    "text": "'née 日本 \" \\ ' || chr(10) || chr(0)",
    "bytes": "'\\x00\\xff'::blob",
    "a time": "timestamp '2026-01-02 11:45:00.000001'",
    "a day": "date '0001-01-01'",
    "a time of day": "time '23:59:59.999999'",
    "an interval": "interval '1 hour 1 microsecond'",
    "a uuid": "'00000000-0000-0000-0000-0000000000ff'::uuid",
    "a list": "[1.5, null, 'nan'::double]",
    "a struct": "{'a': 1, 'b': [{'c': 'x'}]}",
    "a map": "map(['t', 'v'], [1, 2])",
    "json": '\'{"t": "float", "v": "nan"}\'::json',
    "a bit string": "'101'::bit",
    "an enumeration": "'x'::enum('x', 'y')",
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_is_what_duckdb_gives_here(kind: str) -> None:
    sql = f"select {VALUES[kind]} as value"
    with loader() as connection:
        expected = sent_rows(LockedEngine(connection, 256).run(sql, {}))
    with Child(rows_service, ALLOWANCE, nothing) as child:
        found = rows_of(child.ask(sql))
    assert repr(found) == repr(rows_of(wire.from_json(wire.to_json(expected))))
    assert repr(list(found.rows[0])) == repr(list(expected[2][0]))
    assert (found.names, found.types) == (tuple(expected[0]), tuple(expected[1]))


def test_not_a_number_stays_one() -> None:
    with Child(rows_service, ALLOWANCE, nothing) as child:
        ((value,),) = rows_of(child.ask("select 'nan'::double")).rows
    assert math.isnan(value)


@pytest.mark.parametrize("answer", [[], ["a"], [["a"], ["b"], "rows"], [["a"], ["b"], [[1, 2]]], {"names": 1}, None])
def test_an_answer_that_is_no_table_is_refused(answer: Any) -> None:
    with pytest.raises(QueryDied, match="no table"):
        rows_of(answer)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("crash", r"died \(SIGSEGV: Segmentation fault\)"),
        ("quit", r"died \(exit code 7\)"),
        ("nested answer", r"no answer \(JSONDecodeError\)"),
        ("another form", r"no answer \(an answer of another form\)"),
        ("pickle", r"no answer \(JSONDecodeError\)"),
    ],
)
def test_a_child_that_dies_or_lies_is_replaced(act: str, told: str, tmp_path: Path) -> None:
    with hostile_child(tmp_path) as child:
        with pytest.raises(QueryDied, match=told):
            child.ask(act)
        assert child.ask("nothing") == "done: nothing"


def test_an_answer_that_is_too_large_is_a_failure_and_the_child_goes_on(tmp_path: Path) -> None:
    with hostile_child(tmp_path) as child:
        with pytest.raises(QueryFailed, match="returns more than 16 MiB"):
            child.ask("a large answer")
        assert child.ask("nothing") == "done: nothing"


@pytest.mark.parametrize("fault", [CannotDecide("gone"), QueryFailed("faulty", 3)])
def test_a_child_that_cannot_load_says_why(fault: Exception) -> None:
    with pytest.raises(type(fault), match=str(fault)):
        Child(partial(failing_service, fault), ALLOWANCE, nothing)


def test_a_fault_of_the_programs_own_is_no_failed_query() -> None:
    with pytest.raises(RuntimeError, match="KeyError"):
        Child(partial(failing_service, KeyError("ours")), ALLOWANCE, nothing)


def test_a_layer_that_the_kernel_refuses_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from checker.child import kernel

    def refused() -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(kernel, "landlock", refused)
    zygote.shut_down()
    try:
        with pytest.raises(CannotDecide, match=r"cannot be locked: .*Invalid argument"):
            hostile_child(tmp_path)
    finally:
        zygote.shut_down()


def test_the_budget_is_for_all_queries_together(tmp_path: Path) -> None:
    allowance = Allowance(0.3, 256, Budget(0.5))
    with hostile_child(tmp_path, allowance) as child:
        with pytest.raises(QueryTimedOut, match=r"stopped after 0\.3 s; a query must end"):
            child.ask("spin")
        with pytest.raises(QueryTimedOut, match=r"stopped after 0\.\d+ s: the queries of this command used up"):
            child.ask("spin")
        with pytest.raises(QueryTimedOut, match=r"not run: .* used up their 0\.5 s"):
            child.ask("nothing")


def test_children_of_many_threads_do_not_mix_up() -> None:
    def asked(number: int) -> list[Any]:
        with Child(rows_service, ALLOWANCE, nothing) as child:
            return [rows_of(child.ask(f"select {number} + {step}")).rows[0][0] for step in range(20)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(asked, range(0, 800, 100))) == [
            list(range(start, start + 20)) for start in range(0, 800, 100)
        ]


def test_a_zygote_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with hostile_child(tmp_path) as child:
        assert child._running is not None
        os.kill(child._running[0]._pid, signal.SIGKILL)
        with pytest.raises(QueryDied, match="died"):
            child.ask("spin for ever")
        assert child.ask("nothing") == "done: nothing"
    with hostile_child(tmp_path) as child:
        assert child.ask("nothing") == "done: nothing"


def test_a_zygote_that_hangs_is_killed_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zygote.shut_down()
    monkeypatch.setattr(zygote, "_PATIENCE_S", 0.3)
    with hostile_child(tmp_path) as child:
        assert child._running is not None
        hung = child._running[0]._pid
        os.kill(hung, signal.SIGSTOP)
        with pytest.raises(QueryDied):
            child.ask("crash")
        assert child.ask("nothing") == "done: nothing"
    assert not is_running(hung)
    zygote.shut_down()


@pytest.mark.parametrize("forks", [1, 2, 3])
def test_a_check_whose_zygote_is_killed_never_passes_in_silence(forks: int) -> None:
    """The zygote is killed with the so-manieth child, as a machine that runs out of memory would."""
    as_of = (ROOT / "tests/samples/autosave/as-of").read_text().strip()
    options = ["check", "--phase", "B", "--as-of", as_of, "--logs", "tests/samples/autosave/logs", "--no-cache"]
    command = [sys.executable, "-c", KILLED, str(forks), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr
    assert done.stdout or "process" in done.stderr


KILLED = """
import os, signal, sys
from checker.child.zygote import Zygote
from checker.cli import main

fork, forks = Zygote.fork, [int(sys.argv.pop(1))]

def killing(self):
    forked = fork(self)
    forks[0] -= 1
    if forks[0] == 0:
        os.kill(self._pid, signal.SIGKILL)
    return forked

Zygote.fork = killing
main()
"""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b'{"t": "uuid", "v": 5}',
        b'{"t": "uuid"}',
        b'{"t": "decimal", "v": "sNaN"}',
        b'{"t": "decimal", "v": "1e999999999999999999999"}',
        b'{"t": "int", "v": "' + b"9" * 10_000 + b'"}',
        b'{"t": "dict", "v": [[[], 1]]}',
        b'{"t": "dict", "v": 7}',
        b'{"t": "datetime", "v": "2026-13-01"}',
        b'{"t": ["a"], "v": "x"}',
        b"[" + b"[]," * 1_000_000 + b"1]",
    ],
)
def test_what_is_no_answer_is_nonsense_and_nothing_else(content: bytes) -> None:
    with pytest.raises(wire.Nonsense):
        wire.from_json(content)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), _json, max_leaves=8))
def test_whatever_is_sent_is_read_or_nonsense(value: Any) -> None:
    content = json.dumps(value).encode()
    try:
        read = wire.from_json(content)
    except wire.Nonsense:
        return
    assert repr(wire.from_json(wire.to_json(read))) == repr(read)


ORPHAN = """
import os, sys, time
from functools import partial
from checker.child.handle import Child
from checker.child.allowance import Allowance, Budget
from tests.attacking import hostile

with Child(partial(hostile.service, sys.argv[1], os.getpid(), "nothing"), Allowance(60, 256, Budget(60)), int) as child:
    owner, pid, _ = child._running
    print(owner._pid, pid, flush=True)
    child.ask("spin for ever")
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_command(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHAN, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        assert run.stdout is not None
        processes = [int(text) for text in run.stdout.readline().split()]
        assert len(processes) == 2
        run.send_signal(number)
    patience = time.monotonic() + 20
    while any(map(is_running, processes)) and time.monotonic() < patience:
        time.sleep(0.01)
    assert not any(map(is_running, processes))


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended (one that nobody reaped is a zombie)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_the_parser_says_what_is_too_deep() -> None:
    with parser(ALLOWANCE) as reader:
        with pytest.raises(NotOneSelect, match="nested too deeply"):
            reader.select("with a as (" * 2000 + "select 1" + ") select * from a" * 2000)
        assert reader.select("select 1")["error"] is False
