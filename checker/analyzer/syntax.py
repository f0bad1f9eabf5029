"""What a query mentions, by the tree that DuckDB's own parser made of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_NODE_TYPES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_PLAIN_TABLES = {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EMPTY", "EXPRESSION_LIST"}


@dataclass(slots=True)
class Mentions:
    """Names that a tree mentions, in lower case, each with the offset of its first mention."""

    tables: dict[str, int] = field(default_factory=dict)
    table_functions: dict[str, int] = field(default_factory=dict)
    functions: dict[str, int] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    forbidden: dict[str, int] = field(default_factory=dict)
    ctes: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)
    single_columns: set[str] = field(default_factory=set)
    star: bool = False

    @property
    def reads_whole_rows(self) -> bool:
        """Whether columns may be read that are not named: `*`, a natural join, a relation used as a value."""
        return self.star or bool(self.single_columns & (self.aliases | set(self.tables)))


def mentions(tree: Any) -> Mentions:
    """Collect what `tree` mentions."""
    found = Mentions()
    for node in nodes(tree):
        _note_structure(node, found)
        _note_table(node, found)
        _note_expression(node, found)
    return found


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a serialised tree, in no particular order."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


def line_of(sql: str, offset: int) -> int:
    """The line (from 1) at a character offset that DuckDB reports; 1 where it reports none."""
    return sql.encode()[:offset].count(b"\n") + 1 if 0 <= offset <= len(sql.encode()) else 1


def _note_structure(node: Mapping[str, Any], found: Mentions) -> None:
    kind = node.get("type")
    if "cte_map" in node:
        found.ctes.update(entry["key"].lower() for entry in node["cte_map"].get("map", ()))
    if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _NODE_TYPES:
        found.forbidden[kind.removesuffix("_NODE").replace("_", " ").lower()] = 0
    if node.get("key_targets"):
        found.forbidden["a recursion using a key"] = 0  # which row of a key stays depends on their order
    if node.get("sample"):
        found.forbidden["a sample"] = 0
    picks = kind == "LIMIT_MODIFIER" or (kind == "DISTINCT_MODIFIER" and node.get("distinct_on_targets"))
    if picks or node.get("class") == "COLLATE":
        found.functions.setdefault("row_number", 0)  # which rows stay may depend on their order


def _note_table(node: Mapping[str, Any], found: Mentions) -> None:
    kind = node.get("type")
    if "alias" not in node or "sample" not in node:  # only table references carry both
        return
    offset = int(node.get("query_location", 0))
    for used, told in (
        (kind not in _PLAIN_TABLES, str(kind).replace("_", " ").lower()),
        (bool(node.get("column_name_alias")), "an alias for columns"),
        (node.get("ref_type") == "POSITIONAL", "a positional join"),
    ):
        if used:
            found.forbidden[told] = offset
    if node["alias"]:
        found.aliases.add(node["alias"].lower())
    if kind == "BASE_TABLE":
        parts = [part for part in (node.get("catalog_name"), node.get("schema_name"), node["table_name"]) if part]
        found.tables.setdefault(".".join(parts).lower(), offset)
        if len(parts) > 1:
            found.forbidden.setdefault(f"the qualified name {'.'.join(parts)}", offset)
    elif kind == "TABLE_FUNCTION":
        found.table_functions.setdefault(node["function"]["function_name"].lower(), offset)
    elif kind == "JOIN":
        found.star |= node.get("ref_type") == "NATURAL"
        for name in node.get("using_columns", ()):
            found.columns.setdefault(name.lower(), offset)


def _note_expression(node: Mapping[str, Any], found: Mentions) -> None:
    offset = int(node.get("query_location", 0))
    match node.get("class"):
        case "FUNCTION" | "WINDOW":
            name = node["function_name"].lower()
            found.functions.setdefault(name, offset)
            if node["class"] == "WINDOW":
                found.functions.setdefault("row_number", offset)  # a frame reads rows in order
            if node.get("schema") or node.get("catalog"):
                found.forbidden[f"{node.get('schema')}.{name}"] = offset
        case "COLUMN_REF":
            names = [name.lower() for name in node["column_names"]]
            for name in names:
                found.columns.setdefault(name, offset)
            if len(names) == 1:
                found.single_columns.add(names[0])
        case "POSITIONAL_REFERENCE":
            found.forbidden["a column by its position"] = offset
        case "STAR":
            found.star = True
        case "PARAMETER":
            found.parameters.setdefault(str(node.get("identifier")), offset)
