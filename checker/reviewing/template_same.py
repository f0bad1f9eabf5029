"""When two templates are proved to say the same: Jinja reads the same tree, and its constants are of the same types."""

from __future__ import annotations

from typing import Any

from checker.reporter.notice_diff import same_words


def same_template(base: str, head: str) -> bool:
    """Whether both are proved to say the same. A text that is too big or no template is never the same."""
    from checker.reporter.template_check import environment

    if not same_words(base, head):
        return False
    made = environment()
    return bool(_typed(made.parse(base)) == _typed(made.parse(head)))


def _typed(value: Any) -> Any:
    """A part of a tree with the type of everything in it: 1, 1.0 and true are equal to Jinja, and printed apart."""
    from jinja2 import nodes

    if isinstance(value, nodes.Node):
        return (type(value), *((name, _typed(part)) for name, part in value.iter_fields()))
    if isinstance(value, list | tuple):
        return (type(value), *map(_typed, value))
    return (type(value), value)
