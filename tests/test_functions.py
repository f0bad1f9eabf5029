"""Governed SQL may call what is on a list; the list keeps to what DuckDB itself says of how stable a function is."""

from __future__ import annotations

import duckdb
import pytest

from checker.analyzer import functions

# Raises, and so has no result that could change.
RAISES = {"error"}


@pytest.fixture(scope="module")
def overloads() -> list[tuple[str, str | None, str]]:
    """Name, stability and types of every overload of a listed function."""
    rows = duckdb.connect().execute(
        "select function_name, stability, parameter_types, return_type from duckdb_functions()"
    )
    return [
        (name, stability, str([*types, returned]))
        for name, stability, types, returned in rows.fetchall()
        if name in functions.ALLOWED
    ]


def test_no_listed_function_is_volatile(overloads: list[tuple[str, str | None, str]]) -> None:
    assert {name for name, stability, _ in overloads if stability == "VOLATILE"} == RAISES


def test_a_listed_function_changes_within_a_day_only_by_the_zone(overloads: list[tuple[str, str | None, str]]) -> None:
    """What holds for one query alone takes a time with a zone, and the zone is UTC, locked."""
    unstable = [row for row in overloads if row[1] == "CONSISTENT_WITHIN_QUERY"]
    assert unstable
    assert [row for row in unstable if "TIME ZONE" not in row[2] and "TIMESTAMPTZ" not in row[2]] == []


def test_what_is_listed_is_there(overloads: list[tuple[str, str | None, str]]) -> None:
    words = {
        "->",
        "coalesce",
        "grouping",
        "ifnull",
        "percentile_cont",
        "percentile_disc",
    }  # of the grammar, no functions
    assert functions.ALLOWED - {name for name, *_ in overloads} == words
