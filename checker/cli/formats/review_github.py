"""A review as annotations of a GitHub run: the verdict, what is no longer caught, and each change at its line."""

from __future__ import annotations

from collections.abc import Iterator

from checker.cli import say
from checker.cli.formats.github import ERROR, NOTICE, WARNING
from checker.cli.formats.review_words import (
    ReviewOptions,
    bare,
    changed_text,
    gravest_first,
    minute,
    needs,
    no_longer_caught,
    place_text,
    totals_text,
    verdict,
)
from checker.cli.say import Annotation
from checker.governance.direction import Change
from checker.governance.reviewed import IncidentOutcome, Review


def render_github(review: Review, _: ReviewOptions) -> str:
    """The annotations as workflow commands, a line each."""
    return "".join(map(say.workflow_command, to_annotations(review)))


def to_annotations(review: Review) -> Iterator[Annotation]:
    """The verdict first; then past incidents that are no longer caught; then the changes, the gravest first."""
    waits = needs(review, review.direction)
    level = ERROR if waits else WARNING if review.direction.needs_approval else NOTICE
    yield Annotation(level, totals_text(review), {"title": bare(verdict(review))})
    for row in no_longer_caught(review):
        yield _lost(row, WARNING if review.passed else ERROR)
    for change in gravest_first(review.changes):
        yield _change(change, review)


def _lost(row: IncidentOutcome, level: str) -> Annotation:
    told = f"{row.title}; phase {row.phase}; base would have rolled back at {minute(row.base.caught_at)} UTC"
    return Annotation(level, told, {"title": f"Past incident no longer caught: {row.id}"})


def _change(change: Change, review: Review) -> Annotation:
    """The change at its line; what only base has stands at no line of head."""
    level = NOTICE
    if change.direction.needs_approval:
        level = ERROR if needs(review, change.direction) else WARNING
    place = change.place
    at = {"file": place.path}
    if place.line and place.side == "head":
        at |= {"line": str(place.line), "col": str(place.column) if place.column else ""}
    told = "; ".join(filter(None, (changed_text(change), change.why, "" if "line" in at else place_text(place))))
    return Annotation(level, told, at | {"title": f"{change.direction.value}: {change.subject}"})
