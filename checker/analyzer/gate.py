"""Gate queries over judgements, windows, alerts and the ledger, in a locked child."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from checker.analyzer.fast_path import timestamp
from checker.analyzer.queries import Query
from checker.analyzer.sandbox import LockedEngine, Rows, loader, loading, locked_child, rows_of, sent_rows
from checker.child.allowance import Allowance
from checker.child.handle import Child
from checker.child.serve import Opened
from checker.errors import QueryFailed
from checker.model import Criterion, GateResult, Judgement, Window
from checker.policy.model import Gate

if TYPE_CHECKING:
    import duckdb

INCIDENT_ALERT = "incident"
COLUMNS = ("criterion", "observed", "required", "passed", "since", "reason")
_RELATIONS = {
    "judgements": "window_start timestamp, slo varchar, value double, samples bigint, threshold double, status varchar",
    "windows": "window_start timestamp, window_end timestamp, has_batch boolean, events bigint",
    "alerts": "ts timestamp, window_start timestamp, name varchar, severity varchar",
    "ledger": 'seq bigint, "at" timestamp, kind varchar, phase varchar, window_start timestamp, id varchar, data json',
}


@dataclass(frozen=True, slots=True)
class GateAlert:
    """A row of `alerts`."""

    at: datetime
    window_start: datetime
    name: str
    severity: str


@dataclass(frozen=True, slots=True)
class GateWindow:
    """A row of `windows`, with the judgements that count in it."""

    window: Window
    has_batch: bool
    events: int
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True)
class GateLedgerRow:
    """A row of `ledger`."""

    seq: int
    at: datetime
    kind: str
    phase: str | None
    window_start: datetime | None
    id: str | None
    data: Mapping[str, Any]


class GateRunner:
    """One gate, asked at any moment of the history that was loaded in a locked child."""

    def __init__(self, child: Child, gate: Gate, query: Query, phase: str) -> None:
        self._child, self._gate, self._query, self._phase = child, gate, query, phase

    def asking(self, gate: Gate, query: Query) -> GateRunner:
        """Another gate over the same history, in the same child."""
        return GateRunner(self._child, gate, query, self._phase)

    def ask(self, first: datetime, since: datetime, until: datetime, at: datetime) -> GateResult:
        """The gate as it stood at `at`: it sees windows in `[first, until)` and records not later than `at`."""
        try:
            criteria = tuple(_criteria(self.rows(first, since, until, at)))
        except QueryFailed as fault:
            return GateResult(self._gate.name, self._query.path, error=str(fault))
        return GateResult(self._gate.name, self._query.path, criteria)

    def rows(self, first: datetime, since: datetime, until: datetime, at: datetime) -> Rows:
        """What the query itself returns, seeing the same. Raises QueryFailed."""
        parameters = dict(self._gate.parameters) | {
            "phase": self._phase,
            "since": since.replace(tzinfo=None),
            "until": until.replace(tzinfo=None),
        }
        return rows_of(self._child.ask((first, until, at, self._query.sql, parameters)))


@contextmanager
def gate_runner(
    gate: Gate,
    query: Query,
    phase: str,
    windows: Sequence[GateWindow],
    alerts: Sequence[GateAlert],
    ledger: Sequence[GateLedgerRow],
    allowance: Allowance,
) -> Iterator[GateRunner]:
    """A runner over this history. Windows must be every window of the span, oldest first."""
    columns = {name: list(zip(*rows, strict=True)) for name, rows in _history(windows, alerts, ledger).items()}
    with locked_child(partial(_service, columns, allowance.query_memory_mb), allowance) as child:
        yield GateRunner(child, gate, query, phase)


def _history(
    windows: Sequence[GateWindow], alerts: Sequence[GateAlert], ledger: Sequence[GateLedgerRow]
) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each relation."""
    return {
        "judgements": [
            (_naive(row.window.start), row.slo, row.value, row.samples, row.threshold.limit, row.status.value)
            for item in windows
            for row in item.judgements
        ],
        "windows": [
            (_naive(item.window.start), _naive(item.window.end), item.has_batch, item.events) for item in windows
        ],
        "alerts": [(_naive(row.at), _naive(row.window_start), row.name, row.severity) for row in alerts],
        "ledger": [
            (row.seq, _naive(row.at), row.kind, row.phase, _naive(row.window_start), row.id, json.dumps(dict(row.data)))
            for row in ledger
        ],
    }


@contextmanager
def _service(columns: Mapping[str, Sequence[Sequence[Any]]], memory_mb: int) -> Iterator[Opened]:
    """In the child: `(first, until, at, sql, parameters)` gives the rows of the query at that moment."""
    with loader() as connection:
        with loading():
            connection.execute("create schema history")
            for name, types in _RELATIONS.items():
                _fill(connection, name, types, columns[name])
        engine = LockedEngine(connection, memory_mb)

        def answer(request: tuple[datetime, datetime, datetime, str, Mapping[str, Any]]) -> Any:
            first, until, at, sql, parameters = request
            _show_history(engine, first, until, at)
            return sent_rows(engine.run(sql, parameters))

        yield None, answer


def _show_history(engine: LockedEngine, first: datetime, until: datetime, at: datetime) -> None:
    """Let the relations of a gate show windows in `[first, until)` and what was recorded not later than `at`."""
    in_span = f"window_start >= {timestamp(first)} and window_start < {timestamp(until)}"
    # an incident is an alert from the moment it is opened, not once its window is closed
    opened = f"name = '{INCIDENT_ALERT}' and window_start >= {timestamp(until)} and ts <= {timestamp(at)}"
    for name, shown in (
        ("judgements", in_span),
        ("windows", in_span),
        ("alerts", f"{in_span} or {opened}"),
        ("ledger", f'"at" <= {timestamp(at)}'),
    ):
        engine.prepare(f"create or replace view {name} as select * from history.{name} where {shown}")


def _fill(connection: duckdb.DuckDBPyConnection, name: str, types: str, columns: Sequence[Sequence[Any]]) -> None:
    connection.execute(f"create table history.{name} ({types})")
    if columns:
        kinds = [column.split()[1] for column in types.split(", ")]
        values = ", ".join(f"unnest(${number}::{kind}[])" for number, kind in enumerate(kinds, 1))
        connection.execute(f"insert into history.{name} select {values}", [list(column) for column in columns])


def _naive(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.replace(tzinfo=None)


def _number(value: Any) -> float | None:
    if value is None or (isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)):
        return None if value is None else float(value)
    raise QueryFailed(f"a row has {value!r} as observed or required; expected a number")


def _criteria(result: Rows) -> Iterator[Criterion]:
    """The rows held against the contract. Raises QueryFailed; a null `passed` or a NaN is not passed."""
    if result.names != COLUMNS:
        raise QueryFailed(f"returns {', '.join(result.names)}; expected {', '.join(COLUMNS)}")
    for criterion, observed, required, passed, since, reason in result.rows:
        if criterion is None or not isinstance(passed, (bool, type(None))):
            raise QueryFailed(
                f"a row has the criterion {criterion!r} and passed {passed!r}; expected a name and a truth value"
            )
        seen, needed = _number(observed), _number(required)
        yield Criterion(
            str(criterion),
            seen,
            needed,
            passed is True and all(number is None or math.isfinite(number) for number in (seen, needed)),
            since.replace(tzinfo=UTC) if isinstance(since, datetime) else None,
            None if reason is None else str(reason),
        )
