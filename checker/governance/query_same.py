"""When two queries are proved to be the same: by DuckDB's own trees, and by what their headers say. Pure."""

from __future__ import annotations

import re
from typing import Any

from checker.analyzer.header import Header

# What the header says to the program: the value's unit, how far it reads back, which rows are shown behind it. The rest
# are words, and declarations that `validate` holds against the SQL.
_MEANT = ("unit", "lookback", "worst", "counts")
_QUANTILES = {"quantile_cont", "quantile_disc"}
_LITERAL = re.compile(r"([0-9_]*)(\.?)([0-9_]*)")
# Up to here the digits and their power of ten are whole numbers of a double, and no product with a count is too wide
# for a DECIMAL: one with 36 digits makes quantile_disc fail over a hundred rows, and one with 39 is a DOUBLE.
_SAFE_DIGITS = 15


def same_tree(base: Any, head: Any) -> bool:
    """Whether two of DuckDB's serialised trees say the same: equal but for where things stand in the text."""
    return bool(canonical(base) == canonical(head))


def canonical(node: Any) -> Any:
    """The tree without places in the text, and with the two spellings of a number that cannot matter made one.

    `1_000` is `1000`. The fraction of a quantile is a number for DuckDB whatever its decimals, so `.95` is `0.95`
    there, and there alone: elsewhere a leading zero widens a DECIMAL.
    """
    if isinstance(node, list):
        return [canonical(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: canonical(value) for key, value in node.items() if not key.startswith("query_location")}
    if found.get("kind") == "NUMERIC" and isinstance(found.get("text"), str):
        found["text"] = found["text"].replace("_", "")
    if found.get("class") == "FUNCTION" and str(found.get("function_name", "")).lower() in _QUANTILES:
        first, *others = found.get("arguments") or [None]
        found["arguments"] = [first, *(_fraction(argument) for argument in others)]
    return found


def _fraction(argument: Any) -> Any:
    """An argument of a quantile after its first; a fraction that is not long without the digits that say nothing."""
    expression = argument["expression"]
    literal = expression.get("literal")
    match = _LITERAL.fullmatch(literal["text"]) if literal and literal.get("kind") == "NUMERIC" else None
    if match is None or not match[2] or len(f"{match[1]}{match[3]}".replace("_", "")) > _SAFE_DIGITS:
        return argument
    text = f"{match[1].lstrip('0') or '0'}.{match[3].rstrip('0') or '0'}"
    return {**argument, "expression": {**expression, "literal": {**literal, "text": text}}}


def meant_differently(base: Header, head: Header) -> tuple[str, ...]:
    """The keys of the header that say something else to the program; white space and letter case say nothing."""
    return tuple(key for key in _MEANT if _folded(base.get(key)) != _folded(head.get(key)))


def _folded(text: str) -> str:
    return " ".join(text.lower().split())
