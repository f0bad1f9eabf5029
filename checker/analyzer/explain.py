"""The rows behind a measurement: the worst ones and their counts, from the query's own CTEs.

The header of an SLO query names them: `-- worst: saves by duration_ms desc`, `-- counts: failures by code, retryable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from checker.analyzer.fast_path import quote, timestamp
from checker.analyzer.history import History
from checker.analyzer.measure import span_of
from checker.analyzer.parser import NotOneSelect, Parser, parser
from checker.analyzer.queries import Query
from checker.analyzer.results import json_value
from checker.analyzer.span_events import SloTask
from checker.analyzer.spans import OpenSpan, open_span
from checker.errors import QueryFailed
from checker.model import Window

WORST_ROWS = 10
COUNTED_GROUPS = 20
KINDS = ("worst", "counts")


@dataclass(frozen=True, slots=True)
class RowsBehind:
    """Rows of one of a query's CTEs, as JSON can hold them.

    `kind` is worst (rows in an order) or counts (groups with their number of rows). `by` is that order, or the columns
    of the groups. `total` counts all rows or groups, of which `rows` are the first. `error` says why there are none.
    """

    kind: str
    cte: str
    by: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    total: int = 0
    error: str | None = None


def rows_behind(history: History, window: Window) -> dict[str, tuple[RowsBehind, ...]]:
    """By SLO, the rows that its query's header asks to show of `window`, over the relations that the query saw.

    Raises CannotDecide where a batch can no longer be read.
    """
    tasks, rules = with_whole_rows(history.governed.tasks), history.governed.rules
    span = span_of(history.telemetry, tasks, history.lens.events_of, (window,), rules)
    allowance = history.governed.allowance
    with open_span(span, rules, allowance) as opened, parser(allowance) as reader:
        return {task.slo: tuple(task_rows(reader, opened, task, window)) for task in tasks}


def with_whole_rows(tasks: Iterable[SloTask]) -> tuple[SloTask, ...]:
    """The tasks over events with all their columns: a row is shown whole, whatever the query itself reads of it."""
    return tuple(replace(task, query=replace(task.query, columns=None)) for task in tasks)


def task_rows(reader: Parser, opened: OpenSpan, task: SloTask, window: Window) -> Iterator[RowsBehind]:
    """The rows behind one task's value in `window`, a kind at a time."""
    for kind in KINDS:
        asked = task.query.header.rows(kind)
        if asked is None:
            continue
        cte, by = asked[0], ", ".join(asked[1])
        try:
            sql = rows_sql(reader, task.query, kind, window, task.lookback)
            result = opened.run(task, (window,), sql)
        except (QueryFailed, NotOneSelect) as fault:
            yield RowsBehind(kind, cte, by, error=str(fault))
            continue
        rows = [tuple(map(json_value, row[:-1])) for row in result.rows]
        total = result.rows[0][-1] if result.rows else 0
        yield RowsBehind(kind, cte, by, *_without_empty(result.names[:-1], rows), total)


def _without_empty(
    names: tuple[str, ...], rows: list[tuple[Any, ...]]
) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    """The columns that have a value in some row, and the rows with those alone."""
    kept = [number for number in range(len(names)) if any(row[number] is not None for row in rows)]
    return tuple(names[number] for number in kept), tuple(tuple(row[number] for number in kept) for row in rows)


def rows_sql(reader: Parser, query: Query, kind: str, window: Window, lookback: timedelta) -> str:
    """The query with its final SELECT replaced: rows of a CTE in `window` and its lookback, the total behind them.

    Raises NotOneSelect where the header asks for what is no SELECT.
    """
    asked = query.header.rows(kind)
    assert asked is not None, "the header has the line"
    cte, by = quote(asked[0]), ", ".join(asked[1])
    within = f"window_start >= {timestamp(window.start - lookback)} and window_start < {timestamp(window.end)}"
    if kind == "worst":
        # the whole row breaks ties, so that the order of the lines changes nothing
        final = f"select *, count(*) over () from {cte} as shown where {within} order by {by}, shown limit {WORST_ROWS}"
    else:
        final = (
            f"select {by}, count(*) as rows, count(*) over () from {cte} where {within}"
            f" group by {by} order by rows desc, {by} limit {COUNTED_GROUPS}"
        )
    return _with_ctes_of(reader, query, final)


def _with_ctes_of(reader: Parser, query: Query, final: str) -> str:
    tree = reader.select(final)
    whole = reader.select(query.sql)
    ctes = whole["statements"][0]["node"]["cte_map"]
    star = reader.select("select * from events")["statements"][0]["node"]["select_list"][0]
    for entry in ctes["map"]:
        _widen(entry["value"]["query_node"], star)
    tree["statements"][0]["node"]["cte_map"] = ctes
    return reader.text(tree)


def _widen(node: dict[str, Any], star: Any) -> None:
    """Let a CTE that only picks rows of one relation give all of their columns."""
    picks = node.get("type") == "SELECT_NODE" and node["from_table"]["type"] == "BASE_TABLE"
    if picks and not node["group_expressions"] and all(_is_plain_column(item) for item in node["select_list"]):
        node["select_list"] = [star]


def _is_plain_column(item: dict[str, Any]) -> bool:
    return item["class"] == "COLUMN_REF" and not item["alias"]
