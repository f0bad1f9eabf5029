"""The formats of a review, by name: each renders the one value; a module is imported when its format is asked for."""

from __future__ import annotations

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
    shown = RENDERERS[name](review, options)
    if name in ("json", "sarif"):
        say.document(shown)
    elif name in ("junit", "html"):
        say.xml(shown)
    else:
        say.text(shown, styled=name == "table" and options.colour)


def _table(review: Review, options: ReviewOptions) -> str:
    from checker.cli.formats.review_table import render_table

    return render_table(review, options)


def _markdown(review: Review, options: ReviewOptions) -> str:
    from checker.cli.formats.review_markdown import render_markdown

    return render_markdown(review, options)


def _html(review: Review, options: ReviewOptions) -> str:
    from checker.cli.formats.review_page.page import render_page

    return render_page(review, options)


def _json(review: Review, options: ReviewOptions) -> str:
    from checker.cli.formats.review_json import render_json

    return render_json(review, options)


def _sarif(review: Review, options: ReviewOptions) -> str:
    from checker.cli.formats.review_sarif import render_sarif

    return render_sarif(review, options)


def _github(review: Review, options: ReviewOptions) -> str:
    from checker.cli.formats.review_github import render_github

    return render_github(review, options)


def _junit(review: Review, options: ReviewOptions) -> str:
    from checker.cli.formats.review_junit import render_junit

    return render_junit(review, options)


RENDERERS: dict[str, Renderer] = {
    "table": _table,
    "markdown": _markdown,
    "html": _html,
    "json": _json,
    "sarif": _sarif,
    "github": _github,
    "junit": _junit,
}
