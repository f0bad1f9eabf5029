"""What a template says in words of its own that only a decision may say, or that would hide the rest. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import nodes

from checker.reporter.escape import MARKDOWN
from checker.reporter.template_bounds import Fault

# The words of outcomes and decisions, each with the outcomes whose notices may have them in their own text.
_VIOLATED = frozenset({"violation", "rollback"})
_WORDS = {
    "ok": frozenset({"ok"}),
    "warn": frozenset({"warn"}),
    "warning": frozenset({"warn"}),
    "violation": _VIOLATED,
    "rollback": _VIOLATED | {"recovered"},
    "no_data": frozenset({"no_verdict"}),
    "advance": frozenset[str](),
    "hold": frozenset[str](),
}
_WORD = re.compile(r"\w+")
_HIDING = re.compile(r"<(?=[A-Za-z!?/])|^ {0,3}(?:```|~~~)", re.MULTILINE)


def claim_faults(tree: nodes.Template, outcome: str, markup: str) -> Iterator[Fault]:
    """Words of another verdict than that of the notice's `outcome`; in the Runbook also HTML and fences, which hide."""
    for line, text in _own_texts(tree):
        for found in _WORD.finditer(text):
            word = found[0].lower()
            if word in _WORDS and outcome not in _WORDS[word]:
                told = f"says {word!r}, and its notice is of {outcome}: a verdict's word comes from a placeholder"
                yield line + text.count("\n", 0, found.start()), f"{told} (outcome, decision, a status)"
        if markup == MARKDOWN:
            for found in _HIDING.finditer(text):
                told = f"{found[0].strip()!r} begins what could hide the rest of the notice"
                yield line + text.count("\n", 0, found.start()), f"{told}; the Runbook takes neither HTML nor fences"


def _own_texts(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """The texts that the template itself brings into the notice, with the line of each."""
    for output in tree.find_all(nodes.Output):
        for part in output.nodes:
            if isinstance(part, nodes.TemplateData):
                yield part.lineno, part.data
            else:
                yield from ((fixed.lineno, fixed.value) for fixed in _fixed(part) if isinstance(fixed.value, str))


def _fixed(node: nodes.Node) -> Iterator[nodes.Const]:
    """Fixed texts of an expression, without those that something is compared with or read by."""
    if isinstance(node, nodes.Const):
        yield node
    children = [node.node] if isinstance(node, nodes.Getitem) else list(node.iter_child_nodes())
    if not isinstance(node, nodes.Compare | nodes.Test):
        for child in children:
            yield from _fixed(child)
