"""The rules by which one node of DuckDB's serialised tree becomes another that a fixture should tell apart. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checker.querytest.nudges import numbers_beside, put

Node = Mapping[str, Any]

_COMPARISONS = {
    "COMPARE_GREATERTHAN": (">", "COMPARE_GREATERTHANOREQUALTO", ">="),
    "COMPARE_GREATERTHANOREQUALTO": (">=", "COMPARE_GREATERTHAN", ">"),
    "COMPARE_LESSTHAN": ("<", "COMPARE_LESSTHANOREQUALTO", "<="),
    "COMPARE_LESSTHANOREQUALTO": ("<=", "COMPARE_LESSTHAN", "<"),
    "COMPARE_EQUAL": ("=", "COMPARE_NOTEQUAL", "<>"),
    "COMPARE_NOTEQUAL": ("<>", "COMPARE_EQUAL", "="),
}
_CONJUNCTIONS = {
    "CONJUNCTION_AND": ("and", "CONJUNCTION_OR", "or"),
    "CONJUNCTION_OR": ("or", "CONJUNCTION_AND", "and"),
}
_PAIRS = (
    ("max", "min"),
    ("max_by", "min_by"),
    ("arg_max", "arg_min"),
    ("first", "last"),
    ("avg", "median"),
    ("bool_and", "bool_or"),
    ("quantile_cont", "quantile_disc"),
    ("percentile_cont", "percentile_disc"),
    ("lag", "lead"),
)
_OTHER = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])} | {"mean": "median", "sum": "avg"}
_FILTERS = ("where_clause", "having", "qualify", "filter", "filter_expr")
_NARROWER = {"LEFT": "INNER", "RIGHT": "INNER", "FULL": "LEFT"}
_TRUE = {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "literal": {"kind": "BOOLEAN", "text": "true"}}
_NULL = {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "literal": {"kind": "NULL_LITERAL", "text": ""}}


@dataclass(frozen=True, slots=True)
class Nudge:
    """Another node in a node's place. `at` is where to point, `told` what was done, `hint` the case that would tell."""

    node: Node
    at: Node
    told: str
    hint: str


@dataclass(frozen=True, slots=True)
class Around:
    """What a rule may ask beside the node: how the query spells a node, the events of the fixtures (sorted).

    `joins_outer` says whether the node's own SELECT has a join whose rows may lack a partner.
    """

    spelled: Callable[[Node], str]
    events: Sequence[str]
    joins_outer: bool = False

    def may_be_null(self, count: Node) -> bool:
        """Whether what is counted can be null: a `window_start` is none but for an outer join."""
        names = count["arguments"][0]["expression"].get("column_names") or [""]
        return self.joins_outer or names[-1] != "window_start"


def nudges(node: Node, around: Around) -> Iterator[Nudge]:
    """Everything that `node` may become that somebody could tell from it, so far as the two themselves show that."""
    for rule in _RULES:
        yield from rule(node, around)


def _comparison(node: Node, around: Around) -> Iterator[Nudge]:
    if node.get("class") == "COMPARISON" and node["type"] in _COMPARISONS and not _is_granted(node):
        was, type_, now = _COMPARISONS[node["type"]]
        both = "one row for which it holds, and one for which it does not" if "=" in (was, now) else "both sides equal"
        yield Nudge({**node, "type": type_}, node, f"{was} -> {now}", f"has {both}: {around.spelled(node)}")


def _is_granted(node: Node) -> bool:
    """Whether the contract grants the condition: no gate sees a window or a judgement from `$until` on."""
    left, right = node.get("left") or {}, node.get("right") or {}
    column = left.get("column_names") in (["windows", "window_start"], ["judgements", "window_start"])
    return node.get("type") == "COMPARE_LESSTHAN" and column and right.get("identifier") == "until"


def _conjunction(node: Node, around: Around) -> Iterator[Nudge]:
    if node.get("class") != "CONJUNCTION":
        return
    was, type_, now = _CONJUNCTIONS[node["type"]]
    children, spelled = node["children"], around.spelled(node)
    yield Nudge(
        {**node, "type": type_}, node, f"{was} -> {now}", f"has a row that meets one part of it, and not all: {spelled}"
    )
    for index, child in enumerate(children):
        if _is_granted(child):
            continue
        rest = [*children[:index], *children[index + 1 :]]
        yield _dropped(rest[0] if len(rest) == 1 else {**node, "children": rest}, child, around)


def _dropped(node: Node, condition: Node, around: Around) -> Nudge:
    return Nudge(node, condition, "dropped", f"has a row that nothing but this leaves out: {around.spelled(condition)}")


def _clause(node: Node, around: Around) -> Iterator[Nudge]:
    """A condition that stands alone, dropped and negated; what a conjunction holds is dropped part by part."""
    for key in _FILTERS:
        clause = node.get(key)
        if not isinstance(clause, Mapping) or clause.get("class") == "CONSTANT":
            continue
        if clause.get("class") != "CONJUNCTION":
            yield _dropped({**node, key: None}, clause, around)
        if clause.get("type") not in ("OPERATOR_NOT", "COMPARE_EQUAL", "COMPARE_NOTEQUAL"):
            negated = {"class": "OPERATOR", "type": "OPERATOR_NOT", "alias": "", "children": [clause]}
            yield _negated({**node, key: negated}, clause, around)
    on = node.get("condition") if node.get("type") == "JOIN" else None
    if on is not None and on.get("class") not in ("CONJUNCTION", "CONSTANT"):
        yield _dropped({**node, "condition": _TRUE}, on, around)


def _negated(node: Node, condition: Node, around: Around) -> Nudge:
    told = f"has a row for which it holds, and one for which it does not: {around.spelled(condition)}"
    return Nudge(node, condition, "negated", told)


def _not(node: Node, around: Around) -> Iterator[Nudge]:
    if node.get("type") == "OPERATOR_NOT":
        yield _negated(node["children"][0], node, around)


def _constant(node: Node, around: Around) -> Iterator[Nudge]:
    """A constant alone; those in a cast are the cast's."""
    literal = node.get("literal") or {}
    kind, text = literal.get("kind"), literal.get("text", "")
    if kind in ("INTEGER", "NUMERIC"):
        others: tuple[str, ...] = numbers_beside(text)
    elif kind == "STRING":
        others = (_other_text(text, around.events),)
    else:
        others = ("false" if text == "true" else "true",) if kind == "BOOLEAN" else ()
    for other in others:
        told = f"'{text}' -> '{other}'" if kind == "STRING" else f"{text} -> {other}"
        hint = f"expects what changes with it: {around.spelled(node)}"
        yield Nudge(put(node, ("literal", "text"), other), node, told, hint)


def _other_text(text: str, events: Sequence[str]) -> str:
    """The event after `text` among those of the fixtures, in a circle; another text where it is no event."""
    if text not in events or len(events) < 2:
        return f"{text}~"
    return events[(events.index(text) + 1) % len(events)]


def _interval(node: Node, _: Around) -> Iterator[Nudge]:
    """`interval '1 hour'` by one of its unit."""
    if not _is_cast_text(node) or node["type_expr"].get("type_name", "").upper() != "INTERVAL":
        return
    text = node["child"]["literal"]["text"]
    match = re.match(r"\d+", text)
    for number in numbers_beside(match[0]) if match else ():
        other = number + text[len(match[0]) :] if match else text
        nudged = put(node, ("child", "literal", "text"), other)
        yield Nudge(nudged, node, f"{text} -> {other}", f"has a row that lies between {text} and {other} away")


def _is_cast_text(node: Node) -> bool:
    child = node.get("child")
    return node.get("class") == "CAST" and isinstance(child, Mapping) and is_text(child)


def is_text(node: Node) -> bool:
    """Whether the node is a text constant."""
    return bool((node.get("literal") or {}).get("kind") == "STRING")


def _aggregate(node: Node, around: Around) -> Iterator[Nudge]:
    name = str(node.get("function_name", "")).lower()
    if name in _OTHER:
        other = _OTHER[name]
        hint = f"has rows for which {name} and {other} differ: {around.spelled(node)}"
        yield Nudge(_renamed(node, other), node, f"{name} -> {other}", hint)
    if name == "count" and node.get("arguments"):
        yield from _count(node, around)


def _count(node: Node, around: Around) -> Iterator[Nudge]:
    spelled = around.spelled(node)
    told = "count(distinct) -> count" if node["distinct"] else "count -> count(distinct)"
    distinct = {**node, "distinct": not node["distinct"]}
    yield Nudge(distinct, node, told, f"has the same value in two rows: {spelled}")
    if not node["distinct"] and node.get("class") == "FUNCTION" and around.may_be_null(node):
        every = {**_renamed(node, "count_star"), "arguments": []}
        yield Nudge(every, node, "count -> count(*)", f"has a row in which it is null: {spelled}")


def _renamed(node: Node, name: str) -> dict[str, Any]:
    return {**node, "function_name": name, "qualified_name": {"path": [name]}}


def _join(node: Node, around: Around) -> Iterator[Nudge]:
    if node.get("type") == "JOIN" and node.get("join_type") in _NARROWER:
        was, now = node["join_type"], _NARROWER[node["join_type"]]
        yield Nudge(
            {**node, "join_type": now},
            node,
            f"{was.lower()} join -> {now.lower()} join",
            f"has a row without a partner: {around.spelled(node)}",
        )


def _default(node: Node, around: Around) -> Iterator[Nudge]:
    """`coalesce`, `ifnull`, `nullif` and the `else` of a `case`, left out."""
    spelled = around.spelled(node)
    if node.get("type") == "OPERATOR_COALESCE":
        rest = node["children"][:-1]
        kept = rest[0] if len(rest) == 1 else {**node, "children": rest}
        yield _undone(kept, node, spelled, "has a row in which everything but the default is null")
    elif str(node.get("function_name", "")).lower() in ("nullif", "ifnull"):
        yield _undone(node["arguments"][0]["expression"], node, spelled, "has a row for which it makes a difference")
    elif node.get("class") == "CASE":
        yield _undone({**node, "else_expr": _NULL}, node, spelled, "has a row that comes to the else")
        for index, check in enumerate(node["case_checks"]):
            rest = [*node["case_checks"][:index], *node["case_checks"][index + 1 :]]
            other = {**node, "case_checks": rest} if rest else node["else_expr"]
            yield _dropped(_named(other, node), check["when_expr"], around)


def _undone(node: Node, was: Node, spelled: str, hint: str) -> Nudge:
    return Nudge(_named(node, was), was, "without its default", f"{hint}: {spelled}")


def _named(node: Node, was: Node) -> Node:
    """`node` under the name that `was` has in the select list."""
    return {**node, "alias": was.get("alias", "")}


def _order(node: Node, around: Around) -> Iterator[Nudge]:
    """The order inside of an aggregate or a window, or of rows that a limit cuts off; never that of a result."""
    for place in _order_places(node):
        for index, order in enumerate(_at(node, place) or ()):
            now = "asc" if order["type"] == "DESCENDING" else "desc"
            turned = put(node, (*place, index, "type"), "ASCENDING" if now == "asc" else "DESCENDING")
            hint = f"has rows whose order tells: {around.spelled(order['expression'])}"
            yield Nudge(turned, order["expression"], f"order -> {now}", hint)


def _order_places(node: Node) -> list[tuple[str | int, ...]]:
    if node.get("class") in ("FUNCTION", "WINDOW"):
        return [("order_bys", "orders"), ("orders",), ("arg_orders",)]
    modifiers = node.get("modifiers") or []
    cuts = any(item.get("type") == "LIMIT_MODIFIER" for item in modifiers)
    return [("modifiers", index, "orders") for index, _ in enumerate(modifiers)] if cuts else []


def _at(node: Any, place: Sequence[str | int]) -> Any:
    for step in place:
        node = node.get(step) if isinstance(node, Mapping) else node[step] if node else None
    return node


_RULES: tuple[Callable[[Node, Around], Iterator[Nudge]], ...] = (
    _comparison,
    _conjunction,
    _clause,
    _not,
    _constant,
    _interval,
    _aggregate,
    _join,
    _default,
    _order,
)
