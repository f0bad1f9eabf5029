"""Gate queries over judgements, windows, alerts and the ledger, in a locked engine."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from checker.analyzer.fast_path import timestamp
from checker.analyzer.queries import Query
from checker.analyzer.sandbox import LockedEngine, Rows, loader
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
    """One gate, asked at any moment of the history that was loaded."""

    def __init__(self, engine: LockedEngine, gate: Gate, query: Query, phase: str) -> None:
        self._engine, self._gate, self._query, self._phase = engine, gate, query, phase

    def ask(self, first: datetime, since: datetime, until: datetime, at: datetime) -> GateResult:
        """The gate as it stood at `at`: it sees windows in `[first, until)` and records not later than `at`."""
        try:
            criteria = tuple(_criteria(self.rows(first, since, until, at)))
        except QueryFailed as fault:
            return GateResult(self._gate.name, self._query.path, error=str(fault))
        return GateResult(self._gate.name, self._query.path, criteria)

    def rows(self, first: datetime, since: datetime, until: datetime, at: datetime) -> Rows:
        """What the query itself returns, seeing the same. Raises QueryFailed."""
        in_span = f"window_start >= {timestamp(first)} and window_start < {timestamp(until)}"
        for name in ("judgements", "windows"):
            self._engine.prepare(f"create or replace view {name} as select * from history.{name} where {in_span}")
        # an incident is an alert from the moment it is opened, not once its window is closed
        opened = f"name = '{INCIDENT_ALERT}' and window_start >= {timestamp(until)} and ts <= {timestamp(at)}"
        self._engine.prepare(
            f"create or replace view alerts as select * from history.alerts where {in_span} or {opened}"
        )
        self._engine.prepare(
            f'create or replace view ledger as select * from history.ledger where "at" <= {timestamp(at)}'
        )
        parameters = dict(self._gate.parameters) | {
            "phase": self._phase,
            "since": since.replace(tzinfo=None),
            "until": until.replace(tzinfo=None),
        }
        return self._engine.run(self._query.sql, parameters)


@contextmanager
def gate_runner(
    gate: Gate,
    query: Query,
    phase: str,
    windows: Sequence[GateWindow],
    alerts: Sequence[GateAlert],
    ledger: Sequence[GateLedgerRow],
) -> Iterator[GateRunner]:
    """A runner over this history. Windows must be every window of the span, oldest first."""
    with loader("128MB") as connection:
        connection.execute("create schema history")
        rows: dict[str, list[tuple[Any, ...]]] = {
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
                (
                    row.seq,
                    _naive(row.at),
                    row.kind,
                    row.phase,
                    _naive(row.window_start),
                    row.id,
                    json.dumps(dict(row.data)),
                )
                for row in ledger
            ],
        }
        for name, types in _RELATIONS.items():
            _fill(connection, name, types, rows[name])
        yield GateRunner(LockedEngine(connection), gate, query, phase)


def _fill(connection: duckdb.DuckDBPyConnection, name: str, types: str, rows: Sequence[tuple[Any, ...]]) -> None:
    connection.execute(f"create table history.{name} ({types})")
    if rows:
        kinds = [column.split()[1] for column in types.split(", ")]
        values = ", ".join(f"unnest(${number}::{kind}[])" for number, kind in enumerate(kinds, 1))
        connection.execute(
            f"insert into history.{name} select {values}", [list(column) for column in zip(*rows, strict=True)]
        )


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
