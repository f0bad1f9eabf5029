"""Mutants of SQL: which there are of a query, where they point, and that none of them is the query itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from checker.analyzer.parser import Parser, parser
from checker.analyzer.sandbox import allowance_of
from checker.policy.model import Limits
from checker.querytest.nudges import numbers_beside, put, without
from checker.querytest.sql_mutants import sql_mutants
from tests.telemetry import ROOT

EVENTS = ("load", "save", "crash")
SHIPPED = sorted((ROOT / "queries").rglob("*.sql"))


@pytest.fixture(scope="module")
def reader() -> Iterator[Parser]:
    with parser(allowance_of(Limits())) as opened:
        yield opened


def nudged(reader: Parser, sql: str) -> list[tuple[str, str]]:
    """(what stands there, what was done) of each mutant of `select … from events`, in the text's order."""
    return [(found.spelled, found.told) for found in sql_mutants(reader.select(sql), sql, EVENTS)]


def texts(reader: Parser, sql: str) -> list[str]:
    return [reader.text(found.tree) for found in sql_mutants(reader.select(sql), sql, EVENTS)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a > b", [("a > b", "> -> >=")]),
        ("a >= b", [("a >= b", ">= -> >")]),
        ("a < b", [("a < b", "< -> <=")]),
        ("a <= b", [("a <= b", "<= -> <")]),
        ("a = b", [("a = b", "= -> <>")]),
        ("a <> b", [("a <> b", "<> -> =")]),
        ("a or b", [("a or b", "or -> and"), ("a", "dropped"), ("b", "dropped")]),
        ("not a", [("not a", "negated")]),
        ("a * 1000", [("1000", "1000 -> 999"), ("1000", "1000 -> 1001")]),
        ("a * 0.95", [("0.95", "0.95 -> 0.94"), ("0.95", "0.95 -> 0.96")]),
        ("'save'", [("'save'", "'save' -> 'crash'")]),
        ("'load'", [("'load'", "'load' -> 'save'")]),
        ("'other'", [("'other'", "'other' -> 'other~'")]),
        ("false", [("false", "false -> true")]),
        ("interval '45 minutes'", [(f"interval '{45} minutes'", f"45 minutes -> {now} minutes") for now in (44, 46)]),
        ("timestamp '2026-01-01'", []),
        ("max(a)", [("max(a)", "max -> min")]),
        ("bool_and(a)", [("bool_and(a)", "bool_and -> bool_or")]),
        ("median(a)", [("median(a)", "median -> avg")]),
        ("count(a)", [("count(a)", "count -> count(distinct)"), ("count(a)", "count -> count(*)")]),
        ("count(window_start)", [("count(window_start)", "count -> count(distinct)")]),
        ("count(distinct a)", [("count(distinct a)", "count(distinct) -> count")]),
        ("count(*)", []),
        ("nullif(a, 0)", [("nullif(a, 0)", "without its default")]),
        ("coalesce(a, b)", [("coalesce(a, b)", "without its default")]),
        ("list(a order by b)", [("b", "order -> desc")]),
        ("list(a order by b desc)", [("b", "order -> asc")]),
        ("case when a then b end", [("a", "dropped")]),
        ("case when a then b else c end", [("case when a then b else c end", "without its default"), ("a", "dropped")]),
    ],
)
def test_what_becomes_of_an_expression(reader: Parser, expression: str, expected: list[tuple[str, str]]) -> None:
    assert nudged(reader, f"select {expression} as x from events") == expected


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("where a", ["SELECT x FROM events", "SELECT x FROM events WHERE (NOT a)"]),
        ("where a = b", ["SELECT x FROM events", "SELECT x FROM events WHERE (a != b)"]),
        ("where not a", ["SELECT x FROM events", "SELECT x FROM events WHERE a"]),
        ("where true", ["SELECT x FROM events WHERE false"]),
        (
            "where a and b",
            [
                "SELECT x FROM events WHERE (NOT (a AND b))",
                "SELECT x FROM events WHERE (a OR b)",
                "SELECT x FROM events WHERE b",
                "SELECT x FROM events WHERE a",
            ],
        ),
        ("left join windows using (w)", ["SELECT x FROM (events INNER JOIN windows USING (w))"]),
        ("join windows using (w)", []),
        (
            "join windows on a = b",
            [
                "SELECT x FROM (events INNER JOIN windows ON (true))",
                "SELECT x FROM (events INNER JOIN windows ON ((a != b)))",
            ],
        ),
        ("order by x", []),
        ("order by x limit a", ["SELECT x FROM events ORDER BY x DESC LIMIT a"]),
    ],
)
def test_what_becomes_of_the_rest(reader: Parser, rest: str, expected: list[str]) -> None:
    assert sorted(texts(reader, f"select x from events {rest}")) == sorted(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(a > b)", ["(a >= b)"]),
        ("(a >= b)", ["(a > b)"]),
        ("(a < b)", ["(a <= b)"]),
        ("(a <= b)", ["(a < b)"]),
        ("(a = b)", ["(a != b)"]),
        ("(a != b)", ["(a = b)"]),
        ("(a OR b OR c)", ["(a AND b AND c)", "(b OR c)", "(a OR c)", "(a OR b)"]),
        ("(a / 1000)", ["(a / 999)", "(a / 1001)"]),
        ("(a = 'save')", ["(a != 'save')", "(a = 'crash')"]),
        ("CAST('1 hour' AS INTERVAL)", ["CAST('0 hour' AS INTERVAL)", "CAST('2 hour' AS INTERVAL)"]),
        ("quantile_cont(a, b)", ["quantile_disc(a, b)"]),
        ("max_by(a, b)", ["min_by(a, b)"]),
        ("count(a)", ["count(DISTINCT a)", "count_star()"]),
        ("count(DISTINCT a)", ["count(a)"]),
        ('"nullif"(a, 0)', ["a"]),
        ("COALESCE(a, b, c)", ["COALESCE(a, b)"]),
        ("CASE  WHEN (a) THEN (b) ELSE c END", ["CASE  WHEN (a) THEN (b) ELSE NULL END", "c"]),
        ("sum(a) OVER (ORDER BY b)", ["avg(a) OVER (ORDER BY b)", "sum(a) OVER (ORDER BY b DESC)"]),
    ],
)
def test_what_an_expression_becomes(reader: Parser, expression: str, expected: list[str]) -> None:
    found = texts(reader, f"select {expression} as x from events")
    assert sorted(found) == sorted(f"SELECT {other} AS x FROM events" for other in expected)


def test_a_filter_is_dropped_and_negated(reader: Parser) -> None:
    found = texts(reader, "select count(*) filter (where a) from events")
    assert found == ["SELECT count_star() FROM events", "SELECT count_star() FILTER (WHERE (NOT a)) FROM events"]


def test_what_the_contract_grants_is_left_alone(reader: Parser) -> None:
    sql = "select x from windows where windows.window_start >= $since and windows.window_start < $until"
    told = [told for spelled, told in nudged(reader, sql) if spelled == "windows.window_start < $until"]
    assert told == []
    assert ("windows.window_start >= $since", "dropped") in nudged(reader, sql)


def test_a_cte_that_nothing_reads_is_left_alone(reader: Parser) -> None:
    sql = "with used as (select 1 as a), idle as (select 2 as b), late as (select b from idle) select a from used"
    assert {spelled for spelled, _ in nudged(reader, sql)} == {"1"}


def test_a_mutant_points_at_its_line(reader: Parser) -> None:
    sql = "-- ä: a header\nselect x\nfrom events\nwhere a > 1\n  and b = 'save'\n"
    found = {(row.line, row.spelled, row.told) for row in sql_mutants(reader.select(sql), sql, EVENTS)}
    assert {(4, "a > 1", "> -> >="), (4, "1", "1 -> 2"), (5, "b = 'save'", "dropped")} <= found


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_mutant_is_the_query_itself_nor_another_one(reader: Parser, path: object) -> None:
    sql = path.read_text("utf-8")  # type: ignore[attr-defined]
    tree = reader.select(sql)
    before = reader.text(tree)
    found = [reader.text(mutant.tree) for mutant in sql_mutants(tree, sql, EVENTS)]
    assert len(found) > 10
    assert len({*found, before}) == len(found) + 1
    assert reader.text(tree) == before  # the tree itself is left as it was


@pytest.mark.parametrize(
    ("written", "beside"),
    [
        ("8", ("7", "9")),
        ("0", ("-1", "1")),
        ("0.95", ("0.94", "0.96")),
        ("2.0", ("1.9", "2.1")),
        ("1e3", ("999", "1001")),
    ],
)
def test_a_number_is_nudged_by_its_last_digit(written: str, beside: tuple[str, str]) -> None:
    assert numbers_beside(written) == beside


def test_a_value_is_put_beside_what_is_shared() -> None:
    tree = {"a": [1, {"b": 2}], "c": {"d": 3}}
    assert put(tree, ("a", 1, "b"), 5) == {"a": [1, {"b": 5}], "c": {"d": 3}}
    assert put(tree, ("c", "new"), 4)["c"] == {"d": 3, "new": 4}
    assert without(tree, ("c", "d")) == {"a": [1, {"b": 2}], "c": {}}
    assert tree == {"a": [1, {"b": 2}], "c": {"d": 3}}
