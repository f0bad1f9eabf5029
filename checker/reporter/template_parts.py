"""What the parts of an expression lead to in the facts: a list of theirs, a value, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import nodes

from checker.reporter.facts import Facts
from checker.reporter.template_bounds import Fault
from checker.schemas import listed, nearest

METHODS = ("items", "keys", "values")
LOOP = ("first", "index", "last", "length")
CHOOSING = ("list", "rejectattr", "selectattr")
LISTING = (*CHOOSING, "map")


def is_rows(node: nodes.Node | None, facts: Facts, filters: tuple[str, ...] = LISTING) -> bool:
    """Whether the expression is a list of the facts' own, and no text: those have a known, small length."""
    match node:
        case nodes.Name(name=name):
            return isinstance(facts.get(name), Mapping)
        case nodes.Call(node=nodes.Getattr(node=holder, attr=attr)):
            return attr in METHODS and isinstance(holder, nodes.Name) and is_rows(holder, facts)
        case nodes.Filter(name=name, node=before):
            return name in filters and is_rows(before, facts, filters)
    return False


def mappings(facts: Facts) -> list[str]:
    """The facts that hold rows, by name: the metrics."""
    return [name for name, value in facts.items() if isinstance(value, Mapping)]


def parts_of(facts: Facts) -> frozenset[str]:
    """The names of what is known of each SLO."""
    rows = (row for value in facts.values() if isinstance(value, Mapping) for row in value.values())
    return frozenset(part for row in rows for part in row)


def part_faults(node: nodes.Getattr | nodes.Getitem, facts: Facts) -> Iterator[Fault]:
    """A part that its holder does not have; attributes of Python's own are among these."""
    names = path(node)
    if isinstance(node, nodes.Getitem) and not isinstance(getattr(node.arg, "value", None), str):
        if not (isinstance(node.arg, nodes.Name) and isinstance(node.node, nodes.Name) and is_rows(node.node, facts)):
            yield node.lineno, "parts are read by their names only"
        return
    part = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", "")
    holder: Iterable[str] | None = parts_of(facts)
    if names and names[0] in facts:
        holder = _walk(facts, names[:-1])
    elif names and names[0] == "loop":
        holder = LOOP
    if holder is None or part in holder or (len(names) == 2 and is_rows(node.node, facts) and part in METHODS):
        return
    hint = nearest(part, holder) or f" (known: {listed(sorted(holder))})"
    yield node.lineno, f"{'.'.join(names[:-1]) or 'this'!r} has no {part!r}{hint}"


def path(node: nodes.Node) -> tuple[str, ...]:
    """`metrics.save.value` as its three words; empty where a part of it is not fixed in the template."""
    match node:
        case nodes.Name():
            return (node.name,)
        case nodes.Getattr():
            word: Any = node.attr
        case nodes.Getitem(arg=nodes.Const(value=str() as fixed)):
            word = fixed
        case _:
            return ()
    before = path(node.node)
    return (*before, word) if before else ()


def _walk(facts: Facts, names: tuple[str, ...]) -> Mapping[str, Any] | None:
    """The mapping that `names` lead to; text has no parts, and counts as an empty mapping."""
    here: Any = facts
    for word in names:
        if not isinstance(here, Mapping) or word not in here:
            return None
        here = here[word]
    return here if isinstance(here, Mapping) else {}
