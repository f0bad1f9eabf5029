"""A query that counts which events two queries' filters let in differently: made of both queries' trees. Pure.

A query's population is what meets the `where` of any SELECT that reads `events` alone. One that joins `events` before
it filters has none that can be told, and that is said.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from checker.analyzer.syntax import nodes

NAME = "population"
_SHELL = "select 1 from events where true"
_TRUE = "true"


class NotTold(Exception):
    """Why a query's population cannot be told."""


def population_query(base: Any, head: Any, columns: Iterable[str], shell: Any, text: Callable[[Any], str]) -> str:
    """The SQL that gives for each window how many events head lets in and base does not (`value`), and the reverse
    (`samples`).

    `base` and `head` are DuckDB's trees, `shell` is that of `shell_sql()`, `text` makes SQL of a tree,
    `columns` are those of `events`. Raises NotTold.
    """
    before, after = (_condition(tree, shell, text) for tree in (base, head))
    return _TEMPLATE.format(name=NAME, columns=", ".join(columns), before=before, after=after)


def shell_sql() -> str:
    """A query whose tree lends its form to a condition."""
    return _SHELL


_TEMPLATE = """-- name: {name}
-- measures: events that head lets in and base does not; samples are the reverse
-- unit: events
-- reads: events({columns}), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
with
    sides as (
        select window_start, coalesce({before}, false) as base, coalesce({after}, false) as head
        from events
    )

select
    windows.window_start,
    (count(*) filter (where sides.head and not sides.base))::double as value,
    count(*) filter (where sides.base and not sides.head) as samples
from windows
left join sides using (window_start)
group by windows.window_start
order by windows.window_start
"""


def _condition(tree: Any, shell: Any, text: Callable[[Any], str]) -> str:
    """What an event must meet for the query to read it, as SQL."""
    conditions = list(dict.fromkeys(_sql(select, shell, text) for select in _readers(tree)))
    if not conditions:
        raise NotTold("reads no events")
    return "(" + " or ".join(f"({condition})" for condition in conditions) + ")"


def _readers(tree: Any) -> Iterator[Mapping[str, Any]]:
    """The SELECTs that read `events` alone. Raises NotTold where a join reads them."""
    for node in nodes(tree):
        source = node.get("from_table") if node.get("type") == "SELECT_NODE" else None
        if not isinstance(source, dict):
            continue
        if _is_events(source):
            yield node
        elif source.get("type") == "JOIN" and any(_is_events(part) for part in _joined(source)):
            raise NotTold("joins events before it filters them")


def _joined(source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for side in ("left", "right"):
        part = source.get(side)
        if isinstance(part, dict):
            yield part
            yield from _joined(part)


def _is_events(source: Mapping[str, Any]) -> bool:
    return source.get("type") == "BASE_TABLE" and str(source.get("table_name", "")).lower() == "events"


def _sql(select: Mapping[str, Any], shell: Any, text: Callable[[Any], str]) -> str:
    where = select.get("where_clause")
    if where is None:
        return _TRUE
    if any(node.get("class") == "SUBQUERY" for node in nodes(where)):
        raise NotTold("its filter holds a query of its own")
    made = copy.deepcopy(shell)
    made["statements"][0]["node"]["where_clause"] = _unqualified(where, str(select["from_table"].get("alias", "")))
    _, _, condition = text(made).partition(" WHERE ")
    return condition


def _unqualified(where: Any, alias: str) -> Any:
    """The condition with its columns named without the relation."""
    found = copy.deepcopy(where)
    for node in nodes(found):
        names = node.get("column_names")
        if isinstance(names, list) and len(names) > 1 and names[0].lower() in (alias.lower(), "events"):
            node["column_names"] = names[1:]
    return found
