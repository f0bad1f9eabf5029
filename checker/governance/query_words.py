"""What came and what went between two queries, in words and as a diff, for people. Pure; no direction depends on it.

sqlglot reads the text. What it cannot read is shown as it stands.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sqlglot import exp

LONGEST_SQL = 100_000  # characters that are read for a semantic diff
_MOST_NOTES = 40


class Part(NamedTuple):
    """Something that a query is made of: where (a CTE's name, else `result`), what kind, and its text."""

    place: str
    kind: str
    text: str


def normalised(sql: str) -> str:
    """The query in one layout, without its comments; as it stands where sqlglot cannot read it."""
    tree = _parsed(sql)
    return sql if tree is None else tree.sql(dialect="duckdb", pretty=True, comments=False)


def text_diff(base: str, head: str, name: str) -> str:
    """A unified diff, the names of both sides before it; empty where the texts are the same."""
    lines = difflib.unified_diff(base.splitlines(), head.splitlines(), f"base/{name}", f"head/{name}", lineterm="")
    return "\n".join(lines)


def came_and_went(base: str, head: str) -> tuple[str, ...]:
    """`in saves: filter gone: event = 'x'`, a line each, what went first; what only moved is said as that."""
    trees = _parsed(base), _parsed(head)
    if trees[0] is None or trees[1] is None:
        return ("sqlglot cannot read it; see the text",)
    before, after = Counter(_parts(trees[0])), Counter(_parts(trees[1]))
    lines = [*_lines(before - after, "gone"), *_lines(after - before, "new")]
    if len(lines) > _MOST_NOTES:
        lines = [*lines[:_MOST_NOTES], f"and {len(lines) - _MOST_NOTES} more"]
    return tuple(lines) or ("the same parts in another order or nesting, which may mean something else",)


def own_parts(sql: str, other: str) -> str | None:
    """What `sql` has and `other` has not, the innermost parts alone, side by side. None where there is nothing."""
    trees = _parsed(sql), _parsed(other)
    if trees[0] is None or trees[1] is None:
        return None
    own = Counter(_parts(trees[0])) - Counter(_parts(trees[1]))
    texts = sorted({part.text for part in own if part.kind != "function"}, key=lambda text: (len(text), text))
    inner: list[str] = []
    for text in texts:
        if not any(known.lower() in text.lower() for known in inner):
            inner.append(text)
    return "; ".join(inner) or None


def _lines(parts: Counter[Part], word: str) -> Iterator[str]:
    for part in sorted(parts):
        yield f"in {part.place}: {part.kind} {word}: {part.text}"


def _parsed(sql: str) -> exp.Expr | None:
    import sqlglot

    if len(sql) > LONGEST_SQL:
        return None
    try:
        return sqlglot.parse_one(sql, dialect="duckdb")
    except (sqlglot.errors.SqlglotError, RecursionError):
        return None


def _parts(tree: exp.Expr) -> Iterator[Part]:
    from sqlglot import exp

    for select in tree.find_all(exp.Select):
        yield from _parts_of(select, _place(select))
    for setting in tree.find_all(exp.SetOperation):
        yield Part(_place(setting), "set operation", setting.key)


def _place(node: exp.Expr) -> str:
    from sqlglot import exp

    cte = node.find_ancestor(exp.CTE)
    return str(cte.alias) if cte is not None else "result"


def _parts_of(select: exp.Select, place: str) -> Iterator[Part]:
    from sqlglot import exp

    for key, kind in (("where", "filter"), ("having", "filter on groups"), ("qualify", "filter on windows")):
        clause = select.args.get(key)
        if clause is not None:
            yield from (Part(place, kind, _sql(term)) for term in _terms(clause.this))
    for projection in select.expressions:
        yield Part(place, "column", _sql(projection))
    group = select.args.get("group")
    yield from (Part(place, "group", _sql(term)) for term in (group.expressions if group else ()))
    for join in select.args.get("joins") or ():
        yield Part(place, "join", _sql(join))
    source = select.args.get("from_") or select.args.get("from")
    if source is not None and not isinstance(source.this, exp.Subquery):
        yield Part(place, "relation", _sql(source.this))
    for key, kind in (("order", "order"), ("limit", "limit"), ("distinct", "distinct")):
        if select.args.get(key) is not None:
            yield Part(place, kind, _sql(select.args[key]))
    yield from _functions(select, place)


def _functions(select: exp.Select, place: str) -> Iterator[Part]:
    """Aggregates, windows and functions of this select, not of the ones within it."""
    from sqlglot import exp

    for node in select.find_all(exp.Window, exp.Filter, exp.AggFunc, exp.Func):
        if node.find_ancestor(exp.Select) is not select or isinstance(node, exp.Connector | exp.Cast):
            continue
        if isinstance(node, exp.Window):
            yield Part(place, "window", _sql(node))
        elif isinstance(node, exp.Filter):
            yield Part(place, "filter of an aggregate", _sql(node.expression.this))
        elif isinstance(node, exp.AggFunc):
            yield Part(place, "aggregate", _sql(node))
        else:
            yield Part(place, "function", node.sql_name().lower() if isinstance(node, exp.Func) else node.key)


def _terms(condition: exp.Expr) -> Iterator[exp.Expr]:
    from sqlglot import exp

    if isinstance(condition, exp.And):
        yield from _terms(condition.left)
        yield from _terms(condition.right)
    else:
        yield condition


def _sql(node: exp.Expr) -> str:
    text: str = node.sql(dialect="duckdb", comments=False, normalize_functions="lower")
    return text if len(text) <= 300 else text[:299] + "…"
