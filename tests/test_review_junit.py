"""A review as JUnit XML: valid, and what fails is what keeps the change from being merged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest
import xmlschema

from checker.cli import say
from checker.cli.formats.review_junit import render_junit
from checker.cli.formats.review_words import ReviewOptions
from checker.governance.reviewed import Review
from tests import reviews
from tests.attacking.readers import acted_on, xml_of

SHAPE = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))


def suites(review: Review) -> dict[str, Element]:
    """The suites of a review by name, as a reader has them of what is written."""
    root = fromstring(render_junit(review, ReviewOptions()).encode())
    return {suite.get("name", ""): suite for suite in root}


def failed(suite: Element) -> list[str]:
    """The names of the cases that fail."""
    return [case.get("name", "") for case in suite.iter("testcase") if case.find("failure") is not None]


@pytest.mark.parametrize("name", reviews.REVIEWS)
def test_every_review_follows_the_shape(name: str) -> None:
    text = say._runner_safe_xml(render_junit(reviews.REVIEWS[name](), ReviewOptions()))
    assert [*map(str, SHAPE.iter_errors(text))] == []
    assert xml_of(text) is not None
    assert acted_on(text) == []


def test_the_shape_is_one_that_can_be_missed() -> None:
    text = render_junit(reviews.small(), ReviewOptions()).replace("<testcase ", '<testcase file="x" ', 1)
    assert [*SHAPE.iter_errors(text)]


def test_a_change_that_waits_for_an_approval_fails_and_others_do_not() -> None:
    found = suites(reviews.rich(96, "C"))
    assert list(found) == ["changes", "approvals", "past incidents"]
    assert failed(found["changes"]) == ["queries/slo/failure_rate.sql", f"slos.{reviews.SLO}.threshold.C"]
    assert failed(found["approvals"]) == ["approval of Governance committee", "approval of SRE"]
    assert failed(found["past incidents"]) == ["INC-1: slow saves in March"]
    assert (found["changes"].get("tests"), found["changes"].get("failures")) == ("4", "2")
    assert found["past incidents"].get("skipped") == "1"  # INC-4 is outside of the logs
    assert "SRE: bo (calls itself Bob)" in (found["approvals"].findtext("system-out") or "")
    assert "Ada Lovelace" in (found["approvals"].findtext("system-out") or "")
    assert "bound to another digest" in (found["approvals"].findtext("system-err") or "")


def test_nothing_fails_once_the_change_is_approved() -> None:
    found = suites(replace(reviews.rich(96, "C"), approvals=reviews.approvals(0)))
    assert [name for suite in found.values() for name in failed(suite)] == []


def test_a_failure_says_what_changed_and_where() -> None:
    failure = suites(reviews.small())["changes"].find("testcase/failure")
    assert failure is not None
    told = failure.get("message", "")
    assert (failure.get("type"), told) == (
        "loosening",
        f"loosening: ≤ 1.8 s → ≤ 2.0 s; {reviews.WHY}; policy/policy.yaml:31",
    )


def test_the_headline_names_a_concerned_phase_that_was_not_replayed() -> None:
    told = reviews.consequences(4, "B", flips=(), not_replayed={"C": "no events"})
    found = suites(reviews.review(consequences=told))["changes"]
    (line,) = (row.get("value", "") for row in found.iter("property") if row.get("name") == "review")
    assert line.startswith("LOOSENING: approval missing")
    assert "phase C, which this change concerns, was not replayed" in line
