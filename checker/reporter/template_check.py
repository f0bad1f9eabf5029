"""Finds every fault of a template before it is used, and makes of it what words a notice.

Imports Jinja; whoever needs a template imports this module where the need arises.
"""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from checker.errors import Problem
from checker.reporter.escape import marked
from checker.reporter.facts import Command, Facts
from checker.reporter.template_bounds import Fault, bound_faults
from checker.reporter.template_claims import claim_faults
from checker.reporter.template_words import FILTERS, TESTS, word_faults

MAX_VALUE = 500  # characters of one value: no message of a query may push the rest out of a notice


def environment() -> ImmutableSandboxedEnvironment:
    """A sandbox without loader, functions and computing filters, in which a missing placeholder is an error."""
    made = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True, finalize=printed
    )
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in FILTERS}
    made.tests = {name: made.tests[name] for name in TESTS}
    return made


def printed(value: object) -> str:
    """What stands for a value until it is escaped. Raises TypeError for what is no text and no whole number."""
    if isinstance(value, Undefined):
        return str(value)  # raises for a missing placeholder; `x if y` without else is nothing
    if not isinstance(value, str | int):
        raise TypeError(f"prints a {type(value).__name__}, which is no text; name the part that is meant")
    if isinstance(value, Command):
        return marked(value, is_command=True)
    text = str(value)
    return marked(text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…")


def template_problems(
    name: str, source: str, facts: Facts, required: Iterable[str] = (), *, outcome: str = "", markup: str = ""
) -> list[Problem]:
    """Every fault of the template `name`, in the order of its lines; empty where it is sound.

    `facts` are the placeholders there are; the template must say each of `required`, whatever they are, and, for the
    notice of an `outcome`, no other verdict. What is too big or too deep is not
    parsed, and what is not allowed is not compiled: Jinja computes constants while it compiles.
    """
    made = environment()
    found: Iterable[Fault] = bound_faults(made, source)
    if not found:
        try:
            tree = made.parse(source)
            claims = claim_faults(tree, outcome, markup) if outcome else ()
            found = [*word_faults(tree, facts), *unsaid(tree, required), *claims]
        except TemplateSyntaxError as error:
            found = [(error.lineno, error.message or "is no valid template")]
    return sorted({Problem(name, line, 0, message) for line, message in found})


def unsaid(tree: nodes.Template, required: Iterable[str]) -> Iterable[Fault]:
    """Placeholders that are not always said: used nowhere, or only where a condition holds."""
    said = always_said(tree)
    used = {node.name for node in tree.find_all(nodes.Name)}
    for word in required:
        if word == "metrics" and word not in used:
            yield 0, f"does not tell {word!r}, which its notice must say; name an SLO's value, or loop over them"
        elif word != "metrics" and word not in said:
            where = " outside of every condition and loop" if word in used else ""
            yield 0, f"does not tell {word!r}{where}, which its notice must say; write {{{{ {word} }}}}"


def always_said(tree: nodes.Template) -> set[str]:
    """The placeholders that are printed as they are, whatever the facts."""
    parts = (part for node in tree.body if isinstance(node, nodes.Output) for part in node.nodes)
    return {part.name for part in parts if isinstance(part, nodes.Name)}


def compiled(source: str) -> Template:
    """A template without faults, ready to be rendered."""
    return environment().from_string(source)
