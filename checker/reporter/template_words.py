"""What a template may be made of: a list of what is allowed, so that nothing Jinja adds comes in unseen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jinja2 import nodes

from checker.reporter.facts import Facts
from checker.reporter.template_bounds import Fault
from checker.reporter.template_parts import CHOOSING, METHODS, is_rows, mappings, part_faults, parts_of, path
from checker.schemas import listed, nearest

NODES: frozenset[type[nodes.Node]] = frozenset(
    {
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.CondExpr, nodes.Name, nodes.Const,
    nodes.Getattr, nodes.Getitem, nodes.Call, nodes.Filter, nodes.Keyword, nodes.Test, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Tuple, nodes.List,
    }
)  # fmt: skip
FILTERS = ("first", "join", "last", "length", "list", "lower", "map", "rejectattr", "selectattr", "upper")
TESTS = ("defined", "==", "eq", "equalto", "!=", "ne", "in")
COMPARED = (
    "phase", "next_phase", "outcome", "decision", "rollback_required", "rollback_to", "state", "metric", "incident",
)  # fmt: skip
OPERATORS = ("eq", "ne", "in", "notin")
MAX_LOOPS = 2

_WORDING_ONLY = "templates word and never compute"
_OF_TEXT = ("lower", "upper")


def word_faults(tree: nodes.Template, facts: Facts) -> Iterator[Fault]:
    """Everything in the template that is not allowed, or that `facts` do not have."""
    yield from _faults(tree, facts, frozenset(), 1)


def _faults(node: nodes.Node, facts: Facts, bound: frozenset[str], line: int, loops: int = 0) -> Iterator[Fault]:
    """`bound` are the names of the loops around, `loops` how many these are; some nodes have no `line` of their own."""
    here = node.lineno or line
    yield from ((found or here, told) for found, told in _own_faults(node, facts, bound))
    if not isinstance(node, nodes.For):
        for child in node.iter_child_nodes():
            yield from _faults(child, facts, bound, here, loops)
        return
    yield from loop_faults(node, facts, loops + 1)
    inner = bound | {name.name for name in _names(node.target)} | {"loop"}
    for part in (node.iter, *node.else_):
        yield from _faults(part, facts, bound, here, loops + 1)
    for part in (*node.body, *([node.test] if node.test else [])):
        yield from _faults(part, facts, inner, here, loops + 1)


def _own_faults(node: nodes.Node, facts: Facts, bound: frozenset[str]) -> Iterator[Fault]:
    if type(node) not in NODES:
        yield node.lineno, f"{type(node).__name__.lower()} is not allowed: {_WORDING_ONLY}"
    match node:
        case nodes.Name(ctx="load"):
            yield from name_faults(node, facts, bound)
        case nodes.Getattr() | nodes.Getitem():
            yield from part_faults(node, facts)
        case nodes.Const(value=str() as text) if not text.isprintable():
            yield node.lineno, f"the text {text!r} holds what cannot be seen; write it as it is"
        case nodes.Call():
            yield from call_faults(node, facts)
        case nodes.Filter() | nodes.Test():
            yield from _named_faults(node, facts)
        case nodes.Compare():
            yield from compare_faults(node, facts)
        case nodes.Output():
            yield from printed_faults(node, facts)


def _names(target: nodes.Node) -> Iterable[nodes.Name]:
    return [target] if isinstance(target, nodes.Name) else target.find_all(nodes.Name)


def loop_faults(node: nodes.For, facts: Facts, loops: int) -> Iterator[Fault]:
    """A loop over what is no list, too deep in others, or whose variable takes a placeholder's name."""
    if node.recursive or loops > MAX_LOOPS:
        yield node.lineno, f"loops may be {MAX_LOOPS} deep, and not recursive"
    if not is_rows(node.iter, facts, CHOOSING):
        yield node.lineno, f"loops go over {listed(mappings(facts))} only"
    for name in _names(node.target):
        if name.name in facts or name.name == "loop":
            yield name.lineno, f"{name.name!r} is a placeholder and cannot be given another value; take another name"


def call_faults(node: nodes.Call, facts: Facts) -> Iterator[Fault]:
    """Any call but those that list the facts."""
    if not is_rows(node, facts) or node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
        yield node.lineno, f"only {listed(METHODS)} may be called: {_WORDING_ONLY}"


def _named_faults(node: nodes.Filter | nodes.Test, facts: Facts) -> Iterator[Fault]:
    if isinstance(node, nodes.Test):
        yield from test_faults(node, facts)
    else:
        yield from filter_faults(node, facts)


def test_faults(node: nodes.Test, facts: Facts) -> Iterator[Fault]:
    """A test that is not allowed, or that compares what may not be compared."""
    if node.name not in TESTS:
        yield node.lineno, f"the test {node.name!r} is not allowed (allowed: {', '.join(TESTS)})"
    elif node.name != "defined":
        yield from _operand_faults([node.node, *node.args], facts)


def filter_faults(node: nodes.Filter, facts: Facts) -> Iterator[Fault]:
    """A filter that is not allowed, of what it may not be applied to, or with what it may not be given."""
    if node.name not in FILTERS:
        yield node.lineno, f"the filter {node.name!r} is not allowed (allowed: {', '.join(FILTERS)})"
        return
    if node.name not in _OF_TEXT and not is_rows(node.node, facts):
        yield node.lineno, f"the filter {node.name!r} is for lists: {listed(mappings(facts))}, or what was made of one"
    given = [*node.args, *(keyword.value for keyword in node.kwargs)]
    if node.dyn_args or node.dyn_kwargs or not all(map(_is_fixed, given)) or not _fits(node, parts_of(facts)):
        yield node.lineno, f"the filter {node.name!r} cannot be given that: {_WORDING_ONLY}"


def _fits(node: nodes.Filter, parts: frozenset[str]) -> bool:
    """Whether the filter's arguments name a part of the facts, a filter of text, or a test that is allowed."""
    given = [getattr(argument, "value", None) for argument in node.args]
    if node.kwargs:
        attribute = [getattr(keyword.value, "value", None) for keyword in node.kwargs if keyword.key == "attribute"]
        return node.name == "map" and not given and len(node.kwargs) == len(attribute) == 1 and attribute[0] in parts
    match node.name, given:
        case "map", [word]:
            return word in _OF_TEXT
        case "join", [str()]:
            return True
        case (("selectattr" | "rejectattr"), [part]):
            return part in parts
        case (("selectattr" | "rejectattr"), [part, test, _]):
            return part == "status" and test in TESTS
        case _, []:
            return node.name not in ("map", "selectattr", "rejectattr")
    return False


def _is_fixed(node: nodes.Node) -> bool:
    items = node.items if isinstance(node, nodes.Tuple | nodes.List) else [node]
    return all(isinstance(item, nodes.Const) for item in items)


def compare_faults(node: nodes.Compare, facts: Facts) -> Iterator[Fault]:
    """A comparison with a sign that orders, or of what can be anything: what a notice says may not hang on that."""
    for operand in node.ops:
        if operand.op not in OPERATORS:
            yield node.lineno, f"only ==, !=, in and not in compare: {_WORDING_ONLY}"
    yield from _operand_faults([node.expr, *(operand.expr for operand in node.ops)], facts)


def _operand_faults(operands: Iterable[nodes.Node], facts: Facts) -> Iterator[Fault]:
    for operand in operands:
        if not _can_be_compared(operand, facts):
            told = f"only {listed(COMPARED)} and a status are compared, with fixed words"
            yield operand.lineno, f"{told}: nothing that a notice must say may hang on another value"


def _can_be_compared(node: nodes.Node, facts: Facts) -> bool:
    match node:
        case nodes.Name(name=name):
            # a loop's variable is the name of an SLO; and whether a name is among them may be asked
            return name in COMPARED or name not in facts or is_rows(node, facts)
        case nodes.Getattr(attr=part) | nodes.Getitem(arg=nodes.Const(value=part)):
            return part == "status" or path(node)[:1] == ("loop",)
    return _is_fixed(node)


def printed_faults(node: nodes.Output, facts: Facts) -> Iterator[Fault]:
    """A whole mapping or list, printed as Python writes it."""
    for part in node.nodes:
        if is_rows(part, facts):
            yield part.lineno, "prints a whole list; loop over it, or join what you mean"


def name_faults(node: nodes.Name, facts: Facts, bound: frozenset[str]) -> Iterator[Fault]:
    """A name that is neither a placeholder nor a variable of the loops around; Jinja's own are among these."""
    if node.name not in facts and node.name not in bound:
        hint = nearest(node.name, facts) or f" (known: {', '.join(facts)})"
        yield node.lineno, f"no placeholder {node.name!r}{hint}"
