"""What governed SQL may not say: each refusal names its line, and all faults come at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from checker.analyzer.parser import parser
from checker.analyzer.queries import read_query
from checker.analyzer.sandbox import allowance_of
from checker.errors import GovernedFilesInvalid
from checker.policy.model import Limits
from tests.telemetry import ROOT, autosave_schema, check, make_project, save, seal, slo_query, values, write_batch

ALLOWANCE = allowance_of(Limits())
COLUMNS = frozenset(autosave_schema().columns)
READS = "events(window_start, event, phase, duration_ms, ts), windows(window_start, window_end, has_batch, events)"


def problems(sql: str, kind: str = "slo", parameters: Mapping[str, int] | None = None) -> list[str]:
    """The problems of a query whose file is called `q`, as the user reads them."""
    with parser(ALLOWANCE) as connection:
        found = read_query(connection, f"{kind}/q.sql", sql, parameters or {}, COLUMNS)[1]
        return [str(problem) for problem in found]


def slo(select: str) -> list[str]:
    """The problems of an SLO query with a sound header; `select` begins on line 8."""
    return problems(slo_query("q", select, READS))


NOT_ONE_SELECT = {
    "select 1; select 2": "SELECT, SELECT",
    "select 1; drop table events": "SELECT, DROP",
    "create table x as select 1": "CREATE",
    "create temp view events as select 1": "CREATE",
    "create macro f() as 1": "CREATE",
    "insert into events values (1)": "INSERT",
    "delete from events": "DELETE",
    "update events set phase = 'A'": "UPDATE",
    "drop table events": "DROP",
    "alter table events add column x int": "ALTER",
    "attach 'x.db'": "ATTACH",
    "copy events to 'x'": "COPY",
    "copy (select 1) to 'x'": "COPY",
    "export database 'x'": "EXPORT",
    "install httpfs": "LOAD",
    "load httpfs": "LOAD",
    "set threads = 4": "SET",
    "set variable x = 1": "SET",
    "use main": "SET",
    "pragma database_list": "PRAGMA",
    "call pragma_version()": "CALL",
    "explain select 1": "EXPLAIN",
    "vacuum": "VACUUM",
    "begin": "TRANSACTION",
    "prepare p as select 1": "PREPARE",
    "pivot events on event using count(*)": "MULTI",
    "": "nothing",
    "-- only a comment": "nothing",
}


@pytest.mark.parametrize(("select", "kinds"), NOT_ONE_SELECT.items())
def test_a_query_is_one_select(select: str, kinds: str) -> None:
    assert slo(select) == [f"queries/slo/q.sql:1: a query is one SELECT statement; found {kinds}"]


# Each on line 9 of its file: `select` stands on line 8.
REFUSED = [
    ("from 'file.csv'", "9: reads 'file.csv'; there are events, windows"),
    ("from read_csv('x')", "9: calls read_csv(), which is not allowed: it reads no relation"),
    ("from read_text('/etc/hosts')", "9: calls read_text(), which is not allowed: it reads no relation"),
    ("from glob('*')", "9: calls glob(), which is not allowed: it reads no relation"),
    ("from duckdb_settings()", "9: calls duckdb_settings(), which is not allowed: it reads no relation"),
    ("from query_table('events')", "9: calls query_table(), which is not allowed: it reads no relation"),
    ("from query('select 1')", "9: calls query(), which is not allowed: it reads no relation"),
    ("from repeat(1, 10)", "9: calls repeat(), which is not allowed: it reads no relation"),
    (", random()", "9: calls random(), which is not on the list of pure functions; did you mean 'rank'?"),
    (", (select random())", "9: calls random(), which is not on the list of pure functions; did you mean 'rank'?"),
    (", {'a': random()}", "9: calls random(), which is not on the list of pure functions; did you mean 'rank'?"),
    ("order by random()", "9: calls random(), which is not on the list of pure functions; did you mean 'rank'?"),
    (", now()", "9: calls now(), which is not on the list of pure functions; did you mean 'row'?"),
    (", today()", "9: calls today(), which is not on the list of pure functions; did you mean 'to_days'?"),
    (", uuid()", "9: calls uuid(), which is not on the list of pure functions"),
    (", nextval('s')", "9: calls nextval(), which is not on the list of pure functions; did you mean 'nth_value'?"),
    (", current_setting('threads')", "9: calls current_setting(), which is not on the list of pure functions"),
    (", version()", "9: calls version(), which is not on the list of pure functions"),
    (", read_blob('x')", "9: calls read_blob(), which is not on the list of pure functions"),
    (", 1 at time zone 'CET'", "9: calls timezone(), which is not on the list of pure functions"),
    (
        ", approx_quantile(1, 0.5)",
        "9: calls approx_quantile(), which is not on the list of pure functions; did you mean 'quantile'?",
    ),
    (", current_timestamp", "9: uses current_timestamp, whose value is not fixed by the logs"),
    (", date_trunc('day', current_date)", "9: uses current_date, whose value is not fixed by the logs"),
    (", localtime", "9: uses localtime, whose value is not fixed by the logs"),
    (", user", "9: uses user, whose value is not fixed by the logs"),
    ("from evnts", "9: reads 'evnts'; there are events, windows; did you mean 'events'?"),
    ("from sqlite_master", "9: reads 'sqlite_master'; there are events, windows"),
    ("from loaded", "9: reads 'loaded'; there are events, windows"),
    ("from windows, lateral (select * from spine)", "9: reads 'spine'; there are events, windows"),
    ("from windows where exists (select 1 from loaded)", "9: reads 'loaded'; there are events, windows"),
    ("from main.windows", "9: uses the qualified name main.windows, which is not allowed"),
    ("from information_schema.tables", "9: uses the qualified name information_schema.tables, which is not allowed"),
    (", main.abs(1)", "9: uses main.abs, which is not allowed"),
    (", $nope", "9: uses $nope, which the header does not declare (declared: $phase)"),
    (", ?", "9: uses $1, which the header does not declare (declared: $phase)"),
    (", code from events", "9: reads events.code, which the header does not declare"),
    ("from windows using sample 10", "1: uses a sample, which is not allowed"),
    ("from windows tablesample reservoir(5 rows)", "1: uses a sample, which is not allowed"),
    (", #1 from events", "9: uses a column by its position, which is not allowed"),
    (", (select max(#2) from events)", "9: uses a column by its position, which is not allowed"),
    ("from events as t(a, b, c)", "9: uses an alias for columns, which is not allowed"),
    ("from (select ts from events) as t(a)", "9: uses an alias for columns, which is not allowed"),
    ("from windows positional join events", "9: uses a positional join, which is not allowed"),
    ("from (describe windows)", "1: uses show ref, which is not allowed"),
    ("from (show tables)", "1: uses show ref, which is not allowed"),
]


@pytest.mark.parametrize(("rest", "expected"), REFUSED)
def test_refused_with_its_line(rest: str, expected: str) -> None:
    assert f"queries/slo/q.sql:{expected}" in slo(f"select 1\n{rest}")


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("with d as (delete from events returning *) select * from d", "1: uses delete query, which is not allowed"),
        ("with d as (insert into events select 1 returning *) from d", "1: uses insert query, which is not allowed"),
        ("with d as (update events set phase = 'A' returning *) from d", "1: uses update query, which is not allowed"),
        ("unpivot events on duration_ms into name x value y", "1: uses pivot, which is not allowed"),
        ("with events as (select 1) from events", "a CTE is called 'events', which hides the relation of that name"),
        ("from loaded, (with loaded as (select 1) from loaded)", "a CTE is called 'loaded', which hides the relation"),
        ("with a as (from pg_tables), pg_tables as (select 1) from a", "a CTE is called 'pg_tables', which hides"),
        ('with "main.loaded" as (select 1) from main.loaded', "uses the qualified name main.loaded"),
        ("select (\nselect 1", '9: Parser Error: syntax error at or near "1"'),
        ("selec 1", '8: Parser Error: syntax error at or near "selec"'),
    ],
)
def test_refused_for_its_shape(select: str, expected: str) -> None:
    found = slo(select)
    assert any(expected in problem for problem in found), found


def test_all_faults_come_at_once() -> None:
    found = slo("select random(), $nope,\n  current_date, code\nfrom evnts\njoin events using (window_start)")
    assert [problem.removeprefix("queries/slo/q.sql:") for problem in sorted(found)] == [
        "10: reads 'evnts'; there are events, windows; did you mean 'events'?",
        "8: calls random(), which is not on the list of pure functions; did you mean 'rank'?",
        "8: uses $nope, which the header does not declare (declared: $phase)",
        "9: reads events.code, which the header does not declare",
        "9: uses current_date, whose value is not fixed by the logs",
    ]


SOUND = "select window_start, 1.0 as value, count(*) as samples from windows group by window_start"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("-- name: q\n", "", "1: header: no '-- name: …' line"),
        ("-- unit: s\n", "", "1: header: no '-- unit: …' line"),
        ("-- lookback: 0\n", "", "1: header: no '-- lookback: …' line"),
        ("-- name: q\n", "-- name: p\n", "1: header: name is 'p', the file 'q.sql'"),
        ("-- unit: s\n", "-- unti: s\n", "3: header: unknown key 'unti'; did you mean 'unit'?"),
        ("lookback: 0", "lookback: an hour", "6: header: lookback: 'an hour' is no lookback"),
        ("lookback: 0", "lookback: 1.5 hours", "6: header: lookback: '1.5 hours' is no lookback"),
        ("lookback: 0", "lookback: $n windows", "6: header: lookback: an SLO's lookback is a length of time"),
        ("returns: window_start timestamp", "returns: start timestamp", "7: header: returns: expected 'window_start"),
        ("windows(window_start,", "widows(window_start,", "4: header: reads: there is no relation 'widows'"),
        ("duration_ms", "duration", "4: header: reads: events has no column 'duration'; did you mean 'duration_ms'?"),
        ("-- unit: s\n", "-- unit: s\n-- worst: everything\n", "4: header: worst: write '<rows> by <columns>'"),
    ],
)
def test_header_fault(old: str, new: str, expected: str) -> None:
    sound = slo_query("q", SOUND, READS)
    assert problems(sound) == []
    assert sound.count(old) == 1
    found = problems(sound.replace(old, new))
    assert any(problem.startswith(f"queries/slo/q.sql:{expected}") for problem in found), found


@pytest.mark.parametrize(
    ("lookback", "parameters", "expected"),
    [
        ("$batches windows", {"batches": 8}, None),
        ("$batches windows", {"hours": 8}, "3: header: lookback: $batches is None; a lookback needs a number"),
        ("$batches windows", {"batches": -1}, "3: header: lookback: $batches is -1; a lookback needs a number"),
    ],
)
def test_lookback_of_a_gate(lookback: str, parameters: Mapping[str, int], expected: str | None) -> None:
    text = (ROOT / "queries/gate/consecutive_batches.sql").read_text()
    head = "-- name: q\n-- measures: x\n" + f"-- lookback: {lookback}\n"
    body = "".join(line for line in text.splitlines(True) if not line.startswith(("-- name", "-- meas", "-- look")))
    found = [problem for problem in problems(head + body, "gate", parameters) if "lookback" in problem]
    assert (found == []) if expected is None else found[0].startswith(f"queries/gate/q.sql:{expected}")


@pytest.mark.parametrize("path", sorted((ROOT / "queries").rglob("*.sql")), ids=lambda path: path.stem)
def test_shipped_query_keeps_the_contract(path: Path) -> None:
    text = path.read_text()
    gate_parameters = {"batches": 8, "hours": 24, "max_critical_alerts": 0, "max_incident_notices": 0}
    with parser(ALLOWANCE) as connection:
        parameters = gate_parameters if path.parent.name == "gate" else {}
        query, problems = read_query(connection, f"{path.parent.name}/{path.name}", text, parameters, COLUMNS)
    assert problems == []
    assert query is not None
    assert query.name == path.stem


@pytest.mark.parametrize(
    ("select", "ordered", "columns"),
    [
        (SOUND, False, {"window_start"}),
        ("select quantile_cont(duration_ms, 0.95) from events", False, {"duration_ms"}),
        ("select avg(duration_ms) from events", True, {"duration_ms"}),
        ("select first(duration_ms) from events", True, {"duration_ms"}),
        ("select row_number() over () from events", True, set()),
        ("select max(ts) over (order by phase) from events", True, {"ts", "phase"}),
        ("select distinct on (phase) ts from events", True, {"phase", "ts"}),
        ("select distinct phase from events", False, {"phase"}),
        ("select ts from events limit 2", True, {"ts"}),
        ("select count(*) from (select ts from events order by phase limit 2)", True, {"ts", "phase"}),
        ("select ts from events limit 10%", True, {"ts"}),
        ("select ts from events order by ts offset 1", True, {"ts"}),
        ("select max(ts) from (from events order by phase)", False, None),
        ("select * from events", False, None),
        ("select events from events", False, None),
        ("select count(*) from events natural join windows", False, None),
    ],
)
def test_what_a_query_depends_on(select: str, ordered: bool, columns: set[str] | None) -> None:
    with parser(ALLOWANCE) as connection:
        # names that are no columns of the events are not held against them here
        query, _ = read_query(connection, "slo/q.sql", slo_query("q", select, READS), {}, None)
    assert query is not None
    assert query.ordered is ordered
    assert query.columns == (None if columns is None else frozenset(columns))


def test_faulty_query_stops_everything_with_exit_code_2(tmp_path: Path) -> None:
    policy = make_project(tmp_path, {"faulty": slo_query("faulty", "select random()\nfrom evnts", READS)})
    ran = check(tmp_path, "12:05", policy=policy)
    assert ran.code == GovernedFilesInvalid.exit_code == 2
    assert ran.out == ""
    assert ran.err.splitlines() == [
        "queries/slo/faulty.sql:8: calls random(), which is not on the list of pure functions; did you mean 'rank'?",
        "queries/slo/faulty.sql:9: reads 'evnts'; there are events, windows; did you mean 'events'?",
        "2 problems in the governed files; nothing was checked",
    ]


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("select window_start, nothing as value, 1 as samples from windows", 'Referenced column "nothing" not found'),
        ("select window_start, rowid as value, 1 as samples from events", 'Referenced column "rowid" not found'),
        ("select window_start, 1.0 as value from windows", "the first columns must be window_start, value, samples"),
        ("select window_start, 1.0 as v, 1 as samples from windows", "the first columns must be window_start, value,"),
        ("select 1 as window_start, 1.0 as value, 1 as samples from windows", "expected TIMESTAMP"),
        ("select window_start, 'x' as value, 1 as samples from windows", "value is VARCHAR, expected DOUBLE"),
        ("select window_start, 1.0 as value, 1 as samples from windows, range(2)", "twice; group by window_start"),
        ("select window_start, 1.0 as value, 1 as samples from windows where false", "returns no row for the window"),
        ("select window_start, error('as asked') as value, 1 as samples from windows", "as asked"),
        (
            "select window_start, 1.0 as value, 1 as samples from windows at (version => 1)",
            "does not support time travel",
        ),
    ],
)
def test_query_that_breaks_its_contract_when_it_runs_is_an_error_of_its_slo(
    select: str, expected: str, tmp_path: Path
) -> None:
    lines = [save("11:50", "r1"), seal("12:00:41", "11:45", 41000)]
    write_batch(tmp_path / "logs", "11:45", lines)
    policy = make_project(tmp_path / "project", {"broken": slo_query("broken", select, READS)})
    document = check(tmp_path / "logs", "12:05", policy=policy).document
    assert values(document)["broken"] == (None, 0, "error")
    assert values(document)["save_latency_p95"] == (0.1, 1, "ok")
    reason = next(row["reason"] for row in document["slos"] if row["slo"] == "broken")
    assert expected in reason
