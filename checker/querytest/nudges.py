"""What mutants of a query and of a policy share: a number nudged by its last digit, a value put into a tree. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any


def numbers_beside(written: str) -> tuple[str, str]:
    """The numbers one step below and above one: a step is 1 in its last digit, at most 1. 0.95: 0.94 and 0.96."""
    number = Decimal(written)
    exponent = number.as_tuple().exponent
    step = Decimal(1).scaleb(min(int(exponent), 0))
    return f"{number - step:f}", f"{number + step:f}"


def put(tree: Any, path: Sequence[str | int], value: Any) -> Any:
    """A tree of mappings and lists with `value` at `path`; what does not lead there is shared with the old one."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(tree, list):
        return [put(item, rest, value) if index == step else item for index, item in enumerate(tree)]
    return {**tree, step: put(tree.get(step), rest, value)}


def without(tree: Any, path: Sequence[str | int]) -> Any:
    """A tree of mappings without the key at the end of `path`."""
    if len(path) > 1:
        return put(tree, path[:1], without(tree[path[0]], path[1:]))
    return {key: value for key, value in tree.items() if key != path[0]}
