"""The formats of a review, by name: each renders the one value; a module is imported when its format is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from checker.cli import say
from checker.cli.formats.review_words import ReviewOptions
from checker.governance.reviewed import Review

Renderer = Callable[[Review, ReviewOptions], str]


def show_review(name: str, review: Review, options: ReviewOptions) -> None:
    """Write `review` to stdout as the format called `name`, a key of RENDERERS, as its readers can take it."""
    if name == "github":
        from checker.cli.formats.review_github import to_annotations

        say.workflow_commands(to_annotations(review))
        return
    shown = render(name, review, options)
    if name in ("json", "sarif"):
        say.document(shown)
    elif name in ("junit", "html"):
        say.xml(shown)
    else:
        say.text(shown, styled=name == "table" and options.colour)


def render(name: str, review: Review, options: ReviewOptions) -> str:
    """`review` as the format called `name`, a key of RENDERERS."""
    module, _, function = RENDERERS[name].partition(":")
    renderer: Renderer = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    return renderer(review, options)


RENDERERS = {
    "table": "review_table:render_table",
    "json": "review_json:render_json",
    "markdown": "review_markdown:render_markdown",
    "html": "review_page.page:render_page",
    "sarif": "review_sarif:render_sarif",
    "github": "review_github:render_github",
    "junit": "review_junit:render_junit",
}
