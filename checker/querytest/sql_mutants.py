"""Mutants of a query: its serialised tree with one node nudged. Pure: `Parser` makes the trees, and text of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from checker.analyzer.syntax import line_of, nodes
from checker.querytest.nudges import put
from checker.querytest.sql_nudges import Around, Node, Nudge, is_text, nudges

_NOWHERE = (1 << 64) - 1  # as DuckDB tells the place of what it made itself
_PLACES = ("query_location", "query_location_length")


@dataclass(frozen=True, slots=True)
class SqlMutant:
    """A query with one node nudged: the line of it, how the query spells it, what was done, what would tell."""

    line: int
    spelled: str
    told: str
    hint: str
    tree: Any


def sql_mutants(tree: Any, sql: str, events: Sequence[str]) -> list[SqlMutant]:
    """Every mutant of the query `sql`, whose tree is `tree`, in the order of the text.

    `events` are the names that the fixtures use. One that has the query's own tree is not among them, nor is one twice;
    nor is one of a CTE that the result does not come from: what is only explained by it no fixture can see.
    """
    found: dict[str, tuple[int, SqlMutant]] = {}
    own, unused = repr(_bare(tree)), _unused(tree)
    for path, node, offset in _walked(tree, (), 0):
        if unused & set(_ctes(tree, path)):
            continue
        around = Around(lambda node: _spelled(node, sql), sorted(set(events)), _joins_outer(tree, path))
        for nudge in nudges(node, around):
            mutant = _mutant(tree, sql, path, nudge, offset)
            found.setdefault(repr(_bare(mutant.tree)), (_start(nudge.at, offset), mutant))
    found.pop(own, None)
    return [mutant for _, mutant in sorted(found.values(), key=lambda item: item[0])]


def _mutant(tree: Any, sql: str, path: tuple[str | int, ...], nudge: Nudge, offset: int) -> SqlMutant:
    line = line_of(sql, _start(nudge.at, offset))
    return SqlMutant(line, _spelled(nudge.at, sql), nudge.told, nudge.hint, put(tree, path, nudge.node))


def _walked(tree: Any, path: tuple[str | int, ...], offset: int) -> Iterator[tuple[tuple[str | int, ...], Node, int]]:
    """Every object with its path and its place in the text: its own, or that of the nearest one around it.

    A text inside of a cast is left out: as an interval it is nudged with the cast, and a day is no threshold. So is
    what `nullif` compares with, which is left out whole.
    """
    if isinstance(tree, dict):
        offset = _own_start(tree, offset)
        yield path, tree, offset
        for key, value in tree.items():
            if not (tree.get("class") == "CAST" and key == "child" and isinstance(value, dict) and is_text(value)):
                is_nullif = key == "arguments" and tree.get("function_name") == "nullif"
                yield from _walked(value[:1] if is_nullif else value, (*path, key), offset)
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _walked(item, (*path, index), offset)


def _joins_outer(tree: Any, path: tuple[str | int, ...]) -> bool:
    """Whether the SELECT that `path` leads into last has an outer join."""
    holder: Any = {}
    for step in path:
        tree = tree[step]
        if isinstance(tree, dict) and tree.get("type") == "SELECT_NODE":
            holder = tree
    return any(node.get("join_type") in ("LEFT", "RIGHT", "FULL") for node in nodes(holder.get("from_table")))


def _ctes(tree: Any, path: tuple[str | int, ...]) -> Iterator[str]:
    """Names of the CTEs that `path` leads into."""
    holders = list(path)
    for index, step in enumerate(path):
        if holders[max(index - 2, 0) : index] == ["cte_map", "map"]:
            yield str(tree[step]["key"]).lower()
        tree = tree[step]


def _unused(tree: Any) -> set[str]:
    """Names of the CTEs that nothing reads which the result comes from."""
    reads: dict[str, set[str]] = {"": set()}
    for path, node, _ in _walked(tree, (), 0):
        holder = ["", *_ctes(tree, path)][-1]
        reads.setdefault(holder, set())
        if node.get("type") == "BASE_TABLE":
            reads[holder].add(node["table_name"].lower())
    reached, pending = {""}, [""]
    while pending:
        for name in reads[pending.pop()] & reads.keys() - reached:
            reached.add(name)
            pending.append(name)
    return reads.keys() - reached


def _own_start(node: Node, otherwise: int) -> int:
    start = node.get("query_location", _NOWHERE)
    return otherwise if start == _NOWHERE else int(start)


def _start(node: Node, otherwise: int) -> int:
    """Where the node begins in the text, its parts among it."""
    extent = _extent(node)
    return extent[0] if extent else otherwise


def _extent(node: Node) -> tuple[int, int] | None:
    """Begin and end of a node in the text; of a join its own alone, as its sides are long."""
    parts = [node] if node.get("type") == "JOIN" else list(nodes(node))
    places = [(part["query_location"], part["query_location_length"]) for part in parts if _PLACES[1] in part]
    known = [(start, start + length) for start, length in places if start != _NOWHERE]
    return (min(start for start, _ in known), max(end for _, end in known)) if known else None


def _spelled(node: Node, sql: str) -> str:
    """How the query spells the node, on one line."""
    extent = _extent(node)
    return " ".join(sql.encode()[slice(*extent)].decode(errors="replace").split()) if extent else ""


def _bare(tree: Any) -> Any:
    """The tree without its places in the text: two that are the same then are the same query."""
    if isinstance(tree, dict):
        return {key: _bare(value) for key, value in tree.items() if key not in _PLACES}
    return [_bare(item) for item in tree] if isinstance(tree, list) else tree
