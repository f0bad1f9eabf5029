"""Governed SQL runs locked: no file, no settings, no end without a deadline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer import sandbox
from checker.analyzer.sandbox import LockedEngine, loader
from checker.child import zygote
from checker.child.allowance import Allowance, Budget
from checker.child.handle import Child
from checker.errors import CannotDecide, QueryFailed
from tests.telemetry import check, make_project, replay, save, seal, slo_query, values, write_batch

READS = "events(window_start, request_id), windows(window_start, events)"
ENDLESS = "with recursive n as (select 1 as i union all select i % 7 + 1 from n) select count(*) from n"


@pytest.fixture
def engine() -> Iterator[LockedEngine]:
    with loader() as connection:
        connection.execute("create table rows as select 7 as x")
        yield LockedEngine(connection, 240)


def test_query_gives_its_columns_and_rows(engine: LockedEngine) -> None:
    found = engine.run("select x, x > $least as more from rows", {"least": 3, "not used": 1})
    assert (found.names, found.types, list(found.rows)) == (("x", "more"), ("INTEGER", "BOOLEAN"), [(7, True)])


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('{file}')",
        "select * from read_text('{file}')",
        "select * from read_json('{file}')",
        "select * from '{file}'",
        "select * from glob('{folder}/*')",
        "copy (select 1) to '{folder}/written'",
        "copy rows to '{folder}/written'",
        "attach '{folder}/written'",
        "export database '{folder}/written'",
        "install httpfs",
        "load httpfs",
        "select * from read_csv('http://127.0.0.1:9/x')",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "set threads = 8",
        "set memory_limit = '10GB'",
        "set temp_directory = '{folder}'",
        "reset memory_limit",
        "pragma threads = 8",
        "set timezone = 'CET'",
    ],
)
def test_out_of_reach(sql: str, engine: LockedEngine, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(QueryFailed):
        engine.run(sql.format(file=tmp_path / "secret.csv", folder=tmp_path), {})
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_variables_of_this_program_are_out_of_reach(engine: LockedEngine) -> None:
    import numpy as np

    here = np.arange(3)  # DuckDB would read it as a table
    with pytest.raises(QueryFailed, match="here"):
        engine.run("select * from here", {})
    assert len(here) == 3


def test_memory_is_limited(engine: LockedEngine) -> None:
    with pytest.raises(QueryFailed, match=r"[Mm]emory"):
        engine.run("select count(distinct range::varchar) from range(100000000)", {})


SET_BY_THE_LOCK = sorted({*sandbox._LOCKED} - {"allow_unsigned_extensions", "python_scan_all_frames"})  # off anyway


@pytest.mark.parametrize("setting", SET_BY_THE_LOCK)
def test_a_setting_that_does_not_read_back_is_no_lock(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: value for name, value in sandbox._LOCKED.items() if name != setting}
    monkeypatch.setattr(sandbox, "_LOCKED", others)
    with loader() as connection, pytest.raises(CannotDecide, match=f"cannot be locked: {setting} is '"):
        LockedEngine(connection, 240)


def test_an_engine_that_still_reads_files_is_not_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "lock_settings", lambda _: None)
    monkeypatch.setattr(sandbox, "_READ_BACK", {"threads": "1"})
    with loader() as connection, pytest.raises(CannotDecide, match="it still reads files"):
        LockedEngine(connection, 240)


def hasty(monkeypatch: pytest.MonkeyPatch, query_deadline_s: float, budget_s: float = 600) -> None:
    """Let queries take so long, and no longer; and let nothing be remembered as tried."""
    allowance = Allowance(query_deadline_s, 256, Budget(budget_s))
    monkeypatch.setattr("checker.analyzer.governed.allowance_of", lambda _: allowance)
    monkeypatch.setattr("checker.pipeline._PROVED", set())


def endless_project(folder: Path, order: str = "") -> Path:
    select = f"select window_start, ({ENDLESS}) as value, 1 as samples from windows{order}"
    return make_project(folder / "project", {"endless": slo_query("endless", select, "windows(window_start)")})


def test_slow_slo_is_an_error_and_the_others_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasty(monkeypatch, 0.4)
    write_batch(tmp_path / "logs", "11:45", [save("11:50", "r"), seal("12:00:30", "11:45", 30_000)])
    ran = check(tmp_path / "logs", "12:05", policy=endless_project(tmp_path))
    found = values(ran.document)
    assert found["endless"] == (None, 0, "error")
    assert found["save_latency_p95"] == (0.1, 1, "ok")
    assert ran.code == 0  # it is only observed
    reasons = {row["slo"]: row["reason"] for row in ran.document["slos"]}
    assert reasons["endless"] == "stopped after 0.4 s; a query must end within that time"


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize("order", ["", " order by 1 limit 100"])  # with it, windows are measured one by one
def test_query_without_an_end_costs_one_deadline_whatever_the_windows(
    order: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()
    asked: list[str] = []
    ask = Child.ask

    def counted(self: Child, request: Any) -> Any:
        asked.append(str(request))
        return ask(self, request)

    hasty(monkeypatch, 0.2)
    monkeypatch.setattr(Child, "ask", counted)
    starts = [f"{10 + number // 4}:{number % 4 * 15:02}" for number in range(count)]
    for start in starts:
        write_batch(tmp_path / "logs", start, [save(f"{start}:01", start)])
    policy = endless_project(tmp_path, order)
    rows = replay(tmp_path / "logs", "10:00", f"{starts[-1]}:01", "13:05", policy=policy)
    found = {start: values(row)["endless"] for start, row in rows.items()}
    assert found == dict.fromkeys(starts, (None, 0, "error"))
    # parsed once, tried once over made-up events, to see what it reads, and run once over the logs
    assert sum(ENDLESS in request for request in asked) == 3


def test_queries_of_a_command_have_a_budget_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasty(monkeypatch, 5, budget_s=0.5)
    write_batch(tmp_path / "logs", "11:45", [save("11:50", "r"), seal("12:00:30", "11:45", 30_000)])
    ran = check(tmp_path / "logs", "12:05", policy=endless_project(tmp_path))
    reasons = {row["slo"]: row["reason"] for row in ran.document["slos"]}
    assert reasons["endless"] == "not run: the queries of this command used up their 0.5 s"
    assert ran.document["outcome"] == "error"
    assert ran.code == 3


def test_a_window_that_does_not_fit_into_memory_is_an_error_and_the_others_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for start, count in (("10:00", 10), ("10:15", 60_000), ("10:30", 10)):
        lines = [save(f"{start}:01", f"{start}-{number}-{'x' * 100}") for number in range(count)]
        write_batch(tmp_path / "logs", start, [*lines, seal(f"{start}:59", start, 30_000)])
    monkeypatch.setattr("checker.analyzer.spans.loader", partial(loader, 12))
    monkeypatch.setattr("checker.pipeline._PROVED", {*()})
    select = "select window_start, max(length(request_id))::double as value, count(*) as samples from events group by 1"
    whole = slo_query("whole", f"{select} union all select window_start, 0.0, 0 from windows where events = 0", READS)
    policy = make_project(tmp_path / "project", {"whole": whole})
    zygote.shut_down()
    try:
        rows = replay(tmp_path / "logs", "10:00", "10:31", "10:50", policy=policy)
        ran = check(tmp_path / "logs", "10:35", policy=policy)
    finally:
        zygote.shut_down()
    statuses = {start: [values(row)[slo][2] for slo in ("whole", "save_latency_p95")] for start, row in rows.items()}
    assert statuses == {"10:00": ["ok", "ok"], "10:15": ["error", "ok"], "10:30": ["ok", "ok"]}
    (reason,) = (row["reason"] for row in ran.document["slos"] if row["slo"] == "whole")
    assert re.search("does not fit into 240 MB", reason)


def test_query_that_cannot_be_tried_is_measured_a_window_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts all events that it is shown, which must be its window's; over made-up events, of which there are
    many, it fails, so that its halves cannot be compared."""
    select = (
        "select window_start, (select case when count(*) > 9 then error('many') else count(*) end from events)::double"
        " as value, 1::bigint as samples from windows"
    )
    policy = make_project(
        tmp_path / "project", {"greedy": slo_query("greedy", select, "events(), windows(window_start)")}
    )
    monkeypatch.setattr("checker.pipeline._PROVED", set())
    (tmp_path / "logs").mkdir()
    for start in ("10:00", "10:15", "10:30"):
        write_batch(tmp_path / "logs", start, [save(f"{start}:01", start)])
    rows = replay(tmp_path / "logs", "10:00", "10:31", "13:05", policy=policy)
    assert [values(row)["greedy"][:2] for row in rows.values()] == [(1.0, 1)] * 3
