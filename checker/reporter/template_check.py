"""Finds every fault of a template before it is used: syntax, placeholders that do not exist, computing.

Imports Jinja; whoever needs a template imports this module where the need arises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from checker.errors import Problem
from checker.reporter.facts import Facts
from checker.schemas import listed, nearest

_FILTERS = ("first", "join", "last", "length", "list", "lower", "map", "rejectattr", "selectattr", "upper")
_MAPPING_METHODS = ("items", "keys", "values")
_REFUSED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.BinExpr, nodes.Neg, nodes.Macro)


def environment() -> ImmutableSandboxedEnvironment:
    """A sandbox without loader, functions and computing filters, in which a missing placeholder is an error."""
    made = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in _FILTERS}
    return made


def template_problems(name: str, source: str, facts: Facts, required: Iterable[str] = ()) -> list[Problem]:
    """Every fault of the template `name`, in the order of its lines; empty where it is sound.

    `facts` are the placeholders there are; the template must use each of `required`.
    """
    made = environment()
    try:
        tree = made.parse(source)
        made.compile(source)
    except TemplateSyntaxError as error:
        return [Problem(name, error.lineno, 0, error.message or "is no valid template")]
    undeclared = meta.find_undeclared_variables(tree)
    found = [*_refused(tree), *_unknown_names(tree, undeclared, facts), *_unknown_parts(tree, facts)]
    missing = [(0, f"does not use {word!r}, which its notice must say") for word in required if word not in undeclared]
    return sorted({Problem(name, line, 0, message) for line, message in [*found, *missing]})


def _refused(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    for node in tree.find_all(_REFUSED):
        yield node.lineno, f"{type(node).__name__.lower()} is not allowed: templates word and never compute"
    for call in tree.find_all(nodes.Call):
        if not (isinstance(call.node, nodes.Getattr) and call.node.attr in _MAPPING_METHODS):
            yield call.lineno, f"only {listed(_MAPPING_METHODS)} may be called: templates word and never compute"


def _unknown_names(tree: nodes.Template, undeclared: set[str], facts: Facts) -> Iterator[tuple[int, str]]:
    for node in tree.find_all(nodes.Name):
        if node.ctx == "load" and node.name in undeclared and node.name not in facts:
            hint = nearest(node.name, facts) or f" (known: {', '.join(facts)})"
            yield node.lineno, f"no placeholder {node.name!r}{hint}"


def _unknown_parts(tree: nodes.Template, facts: Facts) -> Iterator[tuple[int, str]]:
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        path = _path(node)
        holder = _walk(facts, path[:-1]) if path and path[0] in facts else None
        if path and holder is not None and path[-1] not in holder and path[-1] not in _MAPPING_METHODS:
            hint = nearest(path[-1], holder) or f" (known: {listed(holder)})"
            yield node.lineno, f"{'.'.join(path[:-1])!r} has no {path[-1]!r}{hint}"


def _path(node: nodes.Node) -> tuple[str, ...]:
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
    before = _path(node.node)
    return (*before, word) if before else ()


def _walk(facts: Facts, path: tuple[str, ...]) -> Mapping[str, Any] | None:
    """The mapping that `path` leads to; text has no parts, and counts as an empty mapping."""
    here: Any = facts
    for word in path:
        if not isinstance(here, Mapping) or word not in here:
            return None
        here = here[word]
    return here if isinstance(here, Mapping) else {}
