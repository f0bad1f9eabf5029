"""A review as JUnit XML: a suite of the changes, one of the approvals, one of the past incidents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from checker.cli.formats.junit import FAILURE, SKIPPED, count_cases, xml_text
from checker.cli.formats.review_words import (
    ReviewOptions,
    away,
    bare,
    changed_text,
    gravest_first,
    minute,
    needs,
    place_text,
    signer,
    totals_text,
    verdict,
)
from checker.governance.direction import Change
from checker.governance.reviewed import Detection, IncidentOutcome, Required, Review, Signed


class _Case(NamedTuple):
    """A case: `kind` is what it came to, empty where it passed."""

    name: str
    told: str
    kind: str = ""
    type: str = ""


def render_junit(review: Review, _: ReviewOptions) -> str:
    """Three suites as XML text. What fails keeps the change from being merged.

    What XML cannot hold is written as an escape.
    """
    root = Element("testsuites")
    incidents = review.consequences.incidents if review.consequences else ()
    _suite(root, review, "changes", [_change(row, review) for row in gravest_first(review.changes)])
    approvals = _suite(root, review, "approvals", [_required(row, review) for row in review.approvals.required])
    _suite(root, review, "past incidents", [_incident(row, review) for row in incidents])
    _told(approvals, "system-out", map(_signed, review.approvals.present))
    _told(approvals, "system-err", review.approvals.problems)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, review: Review, name: str, cases: list[_Case]) -> Element:
    suite = SubElement(root, "testsuite", {"name": name, "time": "0"})
    properties = SubElement(suite, "properties")
    for key, value in (("target", review.target), ("direction", review.direction.value), ("review", _totals(review))):
        SubElement(properties, "property", {"name": key, "value": xml_text(value)})
    for row in cases:
        _case(suite, f"{review.target}.review.{name.replace(' ', '_')}", row)
    count_cases(suite)
    return suite


def _totals(review: Review) -> str:
    return f"{bare(verdict(review))} · {totals_text(review)}"


def _case(suite: Element, group: str, row: _Case) -> None:
    case = SubElement(suite, "testcase", {"classname": xml_text(group), "name": xml_text(row.name), "time": "0"})
    if row.kind:
        given = {"message": xml_text(row.told)} | ({"type": row.type} if row.type else {})
        SubElement(case, row.kind, given)
    else:
        SubElement(case, "system-out").text = xml_text(row.told)


def _change(change: Change, review: Review) -> _Case:
    told = "; ".join(filter(None, (changed_text(change), change.why, place_text(change.place))))
    is_open = needs(review, change.direction)
    return _Case(
        change.subject, f"{change.direction.value}: {told}", FAILURE if is_open else "", change.direction.value
    )


def _required(row: Required, review: Review) -> _Case:
    told = f"{row.missing} of {row.count} missing; {row.why}" if row.missing else f"given; {row.why}"
    is_open = row.missing > 0 and needs(review, review.direction)
    return _Case(f"approval of {row.role}", told, FAILURE if is_open else "", "approval missing")


def _incident(row: IncidentOutcome, review: Review) -> _Case:
    name = f"{row.id}: {row.title}"
    if not row.is_in_span:
        return _Case(name, bare(away(row, review)), SKIPPED)
    is_lost = bool(row.base.caught_at and not row.head.caught_at)
    told = f"base: {_detection(row.base)}; head: {_detection(row.head)}"
    return _Case(name, told, FAILURE if is_lost and not review.passed else "", "no longer caught")


def _detection(row: Detection) -> str:
    return f"caught {minute(row.caught_at)}" if row.caught_at else "not caught"


def _signed(row: Signed) -> str:
    counts = "counts" if row.refused is None else f"does not count: {row.refused}"
    return f"{row.role}: {signer(row)}, {minute(row.signed_at)} UTC, {counts}"


def _told(suite: Element, tag: str, lines: Iterator[str] | tuple[str, ...]) -> None:
    text = "\n".join(map(xml_text, lines))
    if text:
        SubElement(suite, tag).text = text
