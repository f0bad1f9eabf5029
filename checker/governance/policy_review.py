"""The differences of two policies as changes: worded with units, at their place, with their direction. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from checker.governance.direction import Change, Place
from checker.governance.policy_changes import Difference, differences
from checker.governance.policy_rules import finding, phases_of
from checker.governance.policy_tree import ORDER, Leaf, Node, document_path, leaf_at
from checker.governance.rule_kinds import Sides
from checker.policy.yaml_tree import Tree
from checker.units import limit_text, shortened

_IN_UNIT = ("threshold", "warn_below")


def policy_changes(sides: Sides, trees: tuple[Tree, Tree]) -> Iterator[Change]:
    """Every difference of both policies; `trees` are their documents, for places."""
    for difference in differences(sides.base, sides.head):
        direction, why, rule = finding(difference, sides)
        yield Change(
            kind="policy",
            subject=_subject(difference),
            rule=rule,
            direction=direction,
            before=_worded(difference, difference.base, sides.base),
            after=_worded(difference, difference.head, sides.head),
            why=why if difference.renamed_from is None else f"renamed from {difference.renamed_from}: {why}",
            place=_place(difference, trees),
            phases=tuple(phases_of(difference, sides)),
        )


def _subject(difference: Difference) -> str:
    return ".".join("order" if step == ORDER else step for step in difference.path)


def _place(difference: Difference, trees: tuple[Tree, Tree]) -> Place:
    """Where it stands in head; in base where head has it no more."""
    base, head = trees
    side, tree = ("base", base) if difference.head is None else ("head", head)
    path = tuple(step for step in difference.path if step != ORDER)
    position = tree.position(document_path(tree.value, path), on_key=True)
    return Place(tree.shown_as, position[0], position[1], side)


def _worded(difference: Difference, node: Node | None, side: Node) -> str | None:
    """One side as people write it, a limit with its unit; a whole entry by what it holds."""
    if node is None:
        return None
    if not isinstance(node, Leaf):
        return shortened(difference.renamed_from or _entry(node))
    slo, number = difference.path[:2], node.number
    unit = leaf_at(side, (*slo, "unit"))
    is_limit = difference.path[0] == "slos" and difference.path[2:3] and difference.path[2] in _IN_UNIT
    text = limit_text(number, unit.text) if is_limit and number is not None and unit is not None else node.text
    return f"{text} (default)" if node.is_default else text


def _entry(node: Node) -> str:
    """An entry's own leaves: `query slo/x.sql, unit s`."""
    if isinstance(node, Leaf):
        return node.text
    told = (f"{key} {value.text}" for key, value in node.items() if isinstance(value, Leaf) and not value.is_default)
    return ", ".join(told)
