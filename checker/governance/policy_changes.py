"""What differs between two policies, each difference once, as high up as it is whole. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from checker.governance.policy_tree import ORDER, Leaf, Node, Path

_NAMED = (("slos",), ("gates",), ("notices",), ("phases",), ("collector", "sources"))


@dataclass(frozen=True, slots=True)
class Difference:
    """Something at `path` that base and head do not share; None for the side that lacks it.

    `renamed_from` is the base's name of what head calls by the last step of `path`.
    """

    path: Path
    base: Node | None
    head: Node | None
    renamed_from: str | None = None

    @property
    def leaves(self) -> tuple[Leaf | None, Leaf | None]:
        """Both sides where they are leaves."""
        return (
            self.base if isinstance(self.base, Leaf) else None,
            self.head if isinstance(self.head, Leaf) else None,
        )


def differences(base: Node, head: Node, path: Path = ()) -> Iterator[Difference]:
    """Every difference below `path`, in the order of the head's document, then what is gone."""
    if isinstance(base, Leaf) or isinstance(head, Leaf):
        if _is_nothing(base) and _is_nothing(head):
            return
        if isinstance(base, Leaf) and isinstance(head, Leaf):
            if base != head:
                yield Difference(path, base, head)
            return
        base, head = _entries(base), _entries(head)
    renamed = _renamed(base, head) if path in _NAMED else {}
    for key in head:
        if key in renamed:
            yield Difference((*path, key), base[renamed[key]], head[key], renamed[key])
        elif key not in base:
            if key != ORDER:
                yield Difference((*path, key), None, head[key])
        elif key != ORDER:
            yield from differences(base[key], head[key], (*path, key))
    gone = [key for key in base if key not in head and key not in renamed.values() and key != ORDER]
    yield from (Difference((*path, key), base[key], None) for key in gone)
    yield from _order(base, head, path)


def _entries(node: Node) -> Mapping[str, Node]:
    """The entries of a mapping; an empty list has none."""
    return {} if isinstance(node, Leaf) else node


def _is_nothing(node: Node) -> bool:
    return (isinstance(node, Leaf) and node.items == frozenset()) or not node


def _renamed(base: Mapping[str, Node], head: Mapping[str, Node]) -> dict[str, str]:
    """New name by old: entries that are the same but for their names. One that could have two old names has none."""
    new = [key for key in head if key not in base and key != ORDER]
    old = [key for key in base if key not in head and key != ORDER]
    pairs = {key: [was for was in old if _nameless(base[was]) == _nameless(head[key])] for key in new}
    taken = [names[0] for names in pairs.values() if len(names) == 1]
    return {key: names[0] for key, names in pairs.items() if len(names) == 1 and taken.count(names[0]) == 1}


def _nameless(node: Node) -> Node:
    return (
        node if isinstance(node, Leaf) else {key: value for key, value in node.items() if key not in ("name", "title")}
    )


def _order(base: Mapping[str, Node], head: Mapping[str, Node], path: Path) -> Iterator[Difference]:
    """Another order of what both sides have."""
    before, after = (_kept(side, other) for side, other in ((base, head), (head, base)))
    if before != after and ORDER in base and ORDER in head:
        yield Difference((*path, ORDER), base[ORDER], head[ORDER])


def _kept(side: Mapping[str, Node], other: Mapping[str, Node]) -> list[str]:
    return [key for key in side if key != ORDER and key in other]
