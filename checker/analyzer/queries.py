"""Governed queries: a file, its header, and what its SQL may mention. Nothing is run here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from checker.analyzer import functions
from checker.analyzer.header import (
    Header,
    Lookback,
    did_you_mean,
    header_problems,
    parse_lookback,
    read_header,
)
from checker.analyzer.parser import NotOneSelect, Parser
from checker.analyzer.syntax import Mentions, line_of
from checker.errors import Problem

RELATIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "slo": {"events": (), "windows": ("window_start", "window_end", "has_batch", "events")},
    "gate": {
        "judgements": ("window_start", "slo", "value", "samples", "threshold", "status"),
        "windows": ("window_start", "window_end", "has_batch", "events"),
        "alerts": ("ts", "window_start", "name", "severity"),
        "ledger": ("seq", "at", "kind", "phase", "window_start", "id", "data"),
    },
}
PARAMETERS = {"slo": ("phase", "window"), "gate": ("phase", "since", "until")}
# Relations that a query must not reach, and a CTE of their name elsewhere in the query would seem to explain.
_HIDDEN = re.compile(r"loaded|spine|seen_.*|history|(pg|duckdb|sqlite|pragma|information_schema).*|.*\..*")
_ORDER_FREE = functions.ORDER_FREE_AGGREGATES | functions.SCALARS | functions.OPERATORS


@dataclass(frozen=True, slots=True)
class Query:
    """A governed query that keeps its contract so far as can be seen without running it.

    `path` is relative to `queries/`. `ordered` says whether its result may depend on the order of rows. `columns` are
    the names that it may read of a relation, None for all of them.
    """

    path: str
    header: Header
    sql: str
    lookback: Lookback
    ordered: bool
    columns: frozenset[str] | None

    @property
    def name(self) -> str:
        """The query's name: its file's name without `.sql`."""
        return self.header.get("name")

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the file's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def reads_payload(self) -> bool:
        """Whether it may read whole lines."""
        return self.columns is None or "payload" in self.columns

    def lookback_length(self, window: timedelta, parameters: Mapping[str, Any] | None = None) -> timedelta:
        """How far before a window's start the query may read. Raises ValueError for a bad parameter."""
        return self.lookback.length(window, parameters or {})


def read_query(
    parser: Parser,
    path: str,
    sql: str,
    gate_parameters: Mapping[str, Any] | None,
    event_columns: frozenset[str] | None,
) -> tuple[Query | None, list[Problem]]:
    """The query `queries/<path>` with the text `sql`, and all that it breaks of its contract, seen without running it.

    The query is None where there is a problem. Parameters or columns that are None are not known, and names of them
    are not held against anything.
    """
    shown, kind, header = f"queries/{path}", path.split("/", 1)[0], read_header(sql)
    problems = list(header_problems(shown, kind, header))
    try:
        seen = parser.mentions(sql)
    except NotOneSelect as fault:
        return None, [*problems, Problem(shown, fault.line, 0, str(fault))]
    problems += _relation_problems(shown, kind, sql, seen)
    problems += _function_problems(shown, sql, seen)
    problems += _structure_problems(shown, sql, seen)
    problems += _parameter_problems(shown, kind, sql, seen, header, gate_parameters)
    problems += _reads_problems(shown, kind, sql, seen, header, event_columns)
    if problems:
        return None, problems
    query = Query(
        path=path,
        header=header,
        sql=sql,
        lookback=parse_lookback(header.get("lookback")),
        ordered=bool(seen.functions.keys() - _ORDER_FREE),
        columns=None if seen.reads_whole_rows else frozenset(seen.columns),
    )
    return query, []


def _relation_problems(shown: str, kind: str, sql: str, seen: Mentions) -> Iterator[Problem]:
    known = RELATIONS[kind]
    for name, offset in seen.tables.items():
        if name not in known and name not in seen.ctes:
            hint = did_you_mean(name, [*known, *seen.ctes])
            yield Problem(shown, line_of(sql, offset), 0, f"reads '{name}'; there are {', '.join(known)}{hint}")
    for name in seen.ctes:
        if name in known or _HIDDEN.fullmatch(name):
            yield Problem(shown, 1, 0, f"a CTE is called '{name}', which hides the relation of that name; rename it")


def _function_problems(shown: str, sql: str, seen: Mentions) -> Iterator[Problem]:
    for name, offset in seen.table_functions.items():
        if name not in functions.TABLE_FUNCTIONS:
            yield Problem(shown, line_of(sql, offset), 0, f"calls {name}(), which is not allowed: it reads no relation")
    for name, offset in seen.functions.items():
        if name not in functions.ALLOWED and name not in seen.table_functions:
            hint = did_you_mean(name, functions.ALLOWED)
            yield Problem(
                shown,
                line_of(sql, offset),
                0,
                f"calls {name}(), which is not on the list of pure functions{hint}",
            )
    for name in seen.single_columns & functions.SQL_VALUE_NAMES:
        yield Problem(shown, line_of(sql, seen.columns[name]), 0, f"uses {name}, whose value is not fixed by the logs")


def _structure_problems(shown: str, sql: str, seen: Mentions) -> Iterator[Problem]:
    for name, offset in seen.forbidden.items():
        yield Problem(shown, line_of(sql, offset), 0, f"uses {name}, which is not allowed")


def _parameter_problems(
    shown: str, kind: str, sql: str, seen: Mentions, header: Header, gate_parameters: Mapping[str, Any] | None
) -> Iterator[Problem]:
    declared = header.parameters
    given = (*PARAMETERS[kind], *(gate_parameters or ()))
    for name, offset in seen.parameters.items():
        if name not in declared:
            listed = ", ".join(f"${item}" for item in declared) or "none"
            yield Problem(
                shown, line_of(sql, offset), 0, f"uses ${name}, which the header does not declare (declared: {listed})"
            )
        elif gate_parameters is not None and name not in given:
            listed = ", ".join(f"${item}" for item in given)
            yield Problem(shown, line_of(sql, offset), 0, f"uses ${name}, which nothing provides (there are {listed})")
    if "lookback" in header.values and kind == "gate" and gate_parameters is not None:
        try:
            parse_lookback(header.get("lookback")).length(timedelta(days=1), gate_parameters)  # the longest window
        except ValueError as fault:
            yield Problem(shown, header.line("lookback"), 0, f"header: lookback: {fault}")


def _reads_problems(
    shown: str, kind: str, sql: str, seen: Mentions, header: Header, event_columns: frozenset[str] | None
) -> Iterator[Problem]:
    declared = header.reads
    line = header.line("reads")
    used = set(seen.tables) & set(RELATIONS[kind]) - {"windows"}
    for name in sorted(used - set(declared)):
        yield Problem(shown, line, 0, f"header: reads: '{name}' is read but not declared")
    for name in sorted(set(declared) - set(RELATIONS[kind])):
        yield Problem(
            shown, line, 0, f"header: reads: there is no relation '{name}'{did_you_mean(name, RELATIONS[kind])}"
        )
    if kind != "slo" or event_columns is None:
        return
    known = event_columns | {"window_start", "payload"}
    for name in sorted(declared.get("events", frozenset()) - known):
        yield Problem(shown, line, 0, f"header: reads: events has no column '{name}'{did_you_mean(name, known)}")
    if "events" in used and not seen.star:
        hidden = set(seen.columns) & (event_columns | {"payload"}) - declared.get("events", frozenset())
        for name in sorted(hidden):
            yield Problem(
                shown, line_of(sql, seen.columns[name]), 0, f"reads events.{name}, which the header does not declare"
            )
