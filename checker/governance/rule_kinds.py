"""Kinds of rules: how two values of a policy tell which way their difference goes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from checker.governance.direction import Direction
from checker.governance.policy_changes import Difference
from checker.governance.policy_tree import Leaf, Node, Path, leaf_at

NEUTRAL, TIGHTENING = Direction.NEUTRAL, Direction.TIGHTENING
LOOSENING, UNKNOWN = Direction.LOOSENING, Direction.UNKNOWN
Told = tuple[Direction, str]
NO_RULE = (UNKNOWN, "no rule tells which way this goes")


@dataclass(frozen=True, slots=True)
class Sides:
    """What a rule may look at beside its difference: both policies, and whether two queries are proved the same.

    `same_query` and `same_template` are asked with the base's path and the head's.
    """

    base: Node
    head: Node
    same_query: Callable[[str, str], bool]
    same_template: Callable[[str, str], bool]

    def texts(self, path: Path) -> tuple[str | None, str | None]:
        """How both sides spell the leaf at `path`."""
        leaves = leaf_at(self.base, path), leaf_at(self.head, path)
        before, after = (leaf.text if leaf else None for leaf in leaves)
        return before, after

    def share(self, *paths: Path) -> bool:
        """Whether both sides have the same at each of `paths`."""
        return all(leaf_at(self.base, path) == leaf_at(self.head, path) for path in paths)


Rule = Callable[[Difference, Sides], Told]


def size(leaf: Leaf | None) -> Any:
    """The number or the time that a leaf holds, None for anything else."""
    if leaf is None:
        return None
    return leaf.same if isinstance(leaf.same, timedelta) else leaf.number


def more(up: Told, down: Told) -> Rule:
    """A number or a time: `up` where head has the larger, `down` where it has the smaller."""

    def told(difference: Difference, sides: Sides) -> Told:
        del sides
        before, after = (size(leaf) for leaf in difference.leaves)
        if before is None or after is None:
            return UNKNOWN, "one side has no such number"
        if before == after:
            return UNKNOWN, "the same number as another type, which a query can tell"
        return up if after > before else down

    return told


def always(direction: Direction, why: str) -> Rule:
    """The same whatever the two values are."""

    def told(difference: Difference, sides: Sides) -> Told:
        del difference, sides
        return direction, why

    return told


def members(gone: Told, new: Told) -> Rule:
    """A list whose order says nothing: `gone` where something was taken away, else `new`."""

    def told(difference: Difference, sides: Sides) -> Told:
        del sides
        before, after = (leaf.items if leaf else frozenset() for leaf in difference.leaves)
        if before is None or after is None:
            return NO_RULE
        if before == after:
            return NEUTRAL, "the same entries in another order, which says nothing here"
        return gone if before - after else new

    return told


def entry(gone: Told, new: Told, renamed: Told) -> Rule:
    """A whole entry: taken away, added, or the same under another name."""

    def told(difference: Difference, sides: Sides) -> Told:
        del sides
        if difference.renamed_from is not None:
            return renamed
        return gone if difference.head is None else new

    return told


def ranked(ranks: Sequence[str], what: str) -> Rule:
    """A word out of `ranks`, from the loosest to the tightest."""

    def told(difference: Difference, sides: Sides) -> Told:
        del sides
        before, after = (ranks.index(leaf.text) if leaf and leaf.text in ranks else None for leaf in difference.leaves)
        if before is None or after is None:
            return NO_RULE
        return (TIGHTENING, f"{what} leads to more") if after > before else (LOOSENING, f"{what} leads to less")

    return told


def some(what: str) -> Rule:
    """Members of a list, of which more is tighter."""
    return members((LOOSENING, f"{what} was taken away"), (TIGHTENING, f"{what} was added"))
