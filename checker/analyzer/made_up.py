"""Made-up relations that queries are tried on: every event of the schema, unevenly over windows, the same each time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from checker.analyzer.event_schema import EventSchema
from checker.analyzer.fast_path import quote
from checker.analyzer.gate import GateAlert, GateLedgerRow, GateWindow
from checker.analyzer.queries import Query
from checker.model import Judgement, Status, Window
from checker.policy.model import Policy

if TYPE_CHECKING:
    import duckdb

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_TEXT = re.compile(r"'((?:[^']|'')*)'")
_GAP = 7  # one window of so many has neither batch nor events
_KINDS = ("phase_change", "decision", "notice", "delivery", "incident", "rollback", "approval", "pause", "resume")


def has_batch(number: int) -> bool:
    """Whether the made-up window with this number has a batch."""
    return number % _GAP != _GAP - 2


def event_names(schema: EventSchema, queries: Iterable[Query]) -> tuple[str, ...]:
    """Names that the schema's branches speak of, and every text in the queries: one of them may be an event's name."""
    conditions = [branch.get("if", {}) for branch in schema.document.get("allOf", ())]
    events = [part.get("properties", {}).get("event", {}) for part in (schema.document, *conditions)]
    named = [name for event in events for name in (*event.get("enum", ()), event.get("const")) if name]
    return tuple(dict.fromkeys([*named, *texts(queries), "made.up"]))


def texts(queries: Iterable[Query]) -> tuple[str, ...]:
    """Every text that stands in the queries' SQL, once."""
    return tuple(dict.fromkeys(text.replace("''", "'") for query in queries for text in _TEXT.findall(query.sql)))


def event_filler(
    schema: EventSchema, queries: Sequence[Query], windows: Sequence[Window], phase: str
) -> Callable[[duckdb.DuckDBPyConnection], None]:
    """A function that adds events of `phase` in `windows` to the relation `loaded`, whatever columns that has.

    Numbers are whole, so that sums are the same in any order.
    """

    return partial(_fill, list(_events(schema, queries, windows, phase)))


def _fill(rows: Sequence[Mapping[str, Any]], connection: duckdb.DuckDBPyConnection) -> None:
    described = connection.execute("select * from loaded limit 0").description or []
    kinds = {item[0]: str(item[1]) for item in described}
    values = ", ".join(f"unnest(${n}::{kind}[]) as {quote(name)}" for n, (name, kind) in enumerate(kinds.items(), 1))
    columns = [[row.get(name) for row in rows] for name in kinds]
    connection.execute(f"insert into loaded by name select {values}", columns)


def _events(
    schema: EventSchema, queries: Sequence[Query], windows: Sequence[Window], phase: str
) -> Iterator[dict[str, Any]]:
    pool = (*texts(queries), "a", "b")
    for number, window in enumerate(windows):
        start = window.start.replace(tzinfo=None)
        for place, name in enumerate(event_names(schema, queries) if has_batch(number) else ()):
            for copy in range(1 + (number * 5 + place) % 4):
                seed = number * 31 + place * 7 + copy
                row = {column: _value(schema, column, seed, start, pool) for column in schema.columns}
                row |= {"event": name, "phase": phase, "ts": start + timedelta(seconds=1 + place + copy)}
                payload = json.dumps(row, default=str)
                yield row | {"window_start": start, "payload": payload}


def _value(schema: EventSchema, column: str, seed: int, start: datetime, pool: Sequence[str]) -> Any:
    described = schema.document.get("properties", {}).get(column, {})
    allowed = [described["const"]] if "const" in described else described.get("enum", ())
    if allowed:
        return allowed[seed % len(allowed)]
    match schema.columns[column]:
        case "TIMESTAMP":
            return start
        case "DOUBLE" | "BIGINT":
            return 1 + (seed * 37) % 997
        case "BOOLEAN":
            return seed % 3 == 0
        case "JSON":
            return "[]"
        case _:
            return pool[seed % len(pool)]


def gate_windows(policy: Policy, phase: str, count: int, statuses: Sequence[Status]) -> list[GateWindow]:
    """`count` windows from FIRST on, whose judgements take turns through `statuses`; with one status, none is a gap."""
    made = []
    for number in range(count):
        window = Window(FIRST + policy.window * number, FIRST + policy.window * (number + 1))
        there = len(statuses) == 1 or has_batch(number)
        rows = tuple(
            _judgement(policy, name, phase, window, statuses[(number + place) % len(statuses)])
            for place, name in enumerate(policy.slos)
        )
        made.append(GateWindow(window, there, 10 if there else 0, rows))
    return made


def _judgement(policy: Policy, name: str, phase: str, window: Window, status: Status) -> Judgement:
    threshold = policy.slos[name].thresholds[phase]
    return Judgement(name, window, None if status is Status.NO_DATA else threshold.limit, 1, threshold, status)


def alerts(windows: Sequence[GateWindow]) -> list[GateAlert]:
    """A critical alert and a warning, in the second window and the last."""
    places = [windows[1], windows[-1]]
    return [
        GateAlert(item.window.start, item.window.start, "made.up", severity)
        for item in places
        for severity in ("critical", "warning")
    ]


def records(windows: Sequence[GateWindow], phase: str) -> list[GateLedgerRow]:
    """A record of each kind, in the last windows."""
    data: Mapping[str, Any] = {"outcome": "violation", "event": "opened", "result": "delivered", "by": "made up"}
    start = windows[-1].window.start
    return [GateLedgerRow(seq, start, kind, phase, start, kind, data) for seq, kind in enumerate(_KINDS, 1)]
