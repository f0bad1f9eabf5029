"""A review as JSON: its schema, and that a number is what it was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from checker.cli import say
from checker.cli.formats.review_json import render_json
from checker.cli.formats.review_words import ReviewOptions
from checker.governance.reviewed import Review
from checker.model import Status, Window
from checker.schemas import tool_schema, validate
from tests import reviews
from tests.attacking.readers import acted_on, commands_taken


def document(review: Review) -> dict[str, Any]:
    """The document, read back from what is written."""
    found: dict[str, Any] = json.loads(say.for_programs(render_json(review, ReviewOptions())))
    return found


@pytest.mark.parametrize("name", reviews.REVIEWS)
def test_every_review_follows_the_schema(name: str) -> None:
    text = say.for_programs(render_json(reviews.REVIEWS[name](), ReviewOptions()))
    assert validate(json.loads(text), tool_schema("review")) == []
    assert acted_on(text) == commands_taken(text) == []


def test_every_key_is_described() -> None:
    schema = tool_schema("review")
    silent = [key for key, told in _properties(schema) if "description" not in told]
    assert silent == []


def _properties(node: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(node, list):
        return [found for item in node for found in _properties(item)]
    if not isinstance(node, dict):
        return []
    own = [*node.get("properties", {}).items()]
    return own + [found for item in node.values() for found in _properties(item)]


def test_what_is_written() -> None:
    found = document(reviews.rich(96, "C"))
    assert (found["direction"], found["needs_approval"], found["passed"]) == ("unknown", True, False)
    assert found["changes"][0] == {
        "kind": "policy",
        "subject": f"slos.{reviews.SLO}.threshold.C",
        "rule": "threshold",
        "direction": "loosening",
        "before": "≤ 1.8 s",
        "after": "≤ 2.0 s",
        "why": reviews.WHY,
        "place": {"path": "policy/policy.yaml", "line": 31, "column": 10, "side": "head"},
        "phases": ["C"],
        "notes": [],
        "diff": "",
    }
    told = found["consequences"]
    assert len(told["replays"][0]["windows"]) == 96
    flip = told["flips"][0]
    assert (flip["window"]["start"], flip["before"], flip["after"]) == ("2014-03-07T03:30:00Z", "violation", "warn")
    assert (flip["limit_before"], flip["limit_after"]) == (1.8, 2.0)
    at = told["replays"][0]["windows"][14]
    assert (at["start"], at["base"]["outcome"], at["head"]["outcome"]) == (flip["window"]["start"], "violation", "warn")
    assert at["head"]["values"][reviews.SLO] == 1.91
    assert told["incidents"][0]["base"] == {"caught_at": "2014-03-07T04:00:00Z", "late_s": 3600.0}
    assert told["incidents"][0]["head"] == {"caught_at": None, "late_s": None}
    assert found["sweeps"][0]["points"][1]["counts"]["violation"] == 71


def test_a_side_without_the_phase_is_null() -> None:
    told = reviews.consequences(2)
    review = reviews.review(consequences=replace(told, replays=(replace(told.replays[0], base=()),)))
    windows = document(review)["consequences"]["replays"][0]["windows"]
    assert [window["base"] for window in windows] == [None, None]
    assert validate(document(review), tool_schema("review")) == []


def test_a_value_that_json_cannot_hold_is_null() -> None:
    flip = replace(reviews.flip(0), value_before=float("nan"), limit_after=float("inf"))
    found = document(reviews.review(consequences=reviews.consequences(1, flips=(flip,))))
    told = found["consequences"]["flips"][0]
    assert (told["value_before"], told["limit_after"]) == (None, None)


def test_windows_of_two_lengths_are_not_taken_for_one_another() -> None:
    review = reviews.rich(4, "C")
    assert review.consequences is not None
    told = review.consequences.replays[0]
    longer = tuple(replace(made, window=Window(made.window.start, told.base[1].window.end)) for made in told.head[:1])
    changed = replace(review, consequences=replace(review.consequences, replays=(replace(told, head=longer),)))
    found = document(changed)["consequences"]["replays"][0]["windows"]
    sides = [
        (row["start"][11:16], row["end"][11:16], row["base"] is not None, row["head"] is not None) for row in found
    ]
    assert sides == [
        ("00:00", "00:15", True, False),
        ("00:00", "00:30", False, True),
        ("00:15", "00:30", True, False),
        ("00:30", "00:45", True, False),
        ("00:45", "01:00", True, False),
    ]


def test_the_worst_flip_comes_first() -> None:
    mild = reviews.flip(0, before=Status.OK, after=Status.WARN)
    told = reviews.consequences(2, flips=(mild, reviews.flip(1)))
    assert [row["before"] for row in document(reviews.review(consequences=told))["consequences"]["flips"]] == [
        "violation",
        "ok",
    ]
