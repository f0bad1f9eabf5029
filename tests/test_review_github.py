"""A review as annotations: levels, lines, and that a runner reads back what was meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checker.cli.formats.review_github import render_github, to_annotations
from checker.cli.formats.review_words import ReviewOptions
from checker.governance.direction import Place
from tests import reviews
from tests.attacking.readers import acted_on
from tests.test_formats_github import read_back


def written(name: str) -> list[str]:
    """The lines of a review."""
    return render_github(reviews.REVIEWS[name](), ReviewOptions()).splitlines()


@pytest.mark.parametrize("name", reviews.REVIEWS)
def test_every_line_is_one_command_that_reads_back(name: str) -> None:
    rows = list(to_annotations(reviews.REVIEWS[name]()))
    lines = written(name)
    assert len(lines) == len(rows)
    assert [read_back(line)[0] for line in lines] == [row.level for row in rows]
    assert acted_on("\n".join(lines)) == []


def test_no_value_of_a_repository_speaks_to_the_runner() -> None:
    for line in written("hostile"):
        assert line.startswith(("::error title=", "::error file="))
        assert "##[" not in line
        assert line.count("::") == 2 or "::error::pwn" in line.split("::", 2)[2]  # inert after the message's start


def test_the_verdict_then_what_is_lost_then_the_changes() -> None:
    read = [read_back(line) for line in written("rich")]
    assert [level for level, _, _ in read] == ["error", "error", "error", "error", "notice", "notice"]
    assert read[0][1] == {"title": "UNKNOWN: approval missing (Governance committee, SRE)"}
    assert read[0][2].startswith(
        "4 changes · phase D, which this change concerns, was not replayed · 156 judgements flip"
    )
    assert read[1][1] == {"title": "Past incident no longer caught: INC-1"}
    assert read[2][1]["file"] == "queries/slo/failure_rate.sql"
    assert read[3][1] == {
        "file": "policy/policy.yaml",
        "line": "31",
        "col": "10",
        "title": f"loosening: slos.{reviews.SLO}.threshold.C",
    }
    assert read[3][2] == f"≤ 1.8 s → ≤ 2.0 s; {reviews.WHY}"


@pytest.mark.parametrize(
    ("direction", "missing", "levels"),
    [
        ("loosening", 1, ["error", "error"]),
        ("loosening", 0, ["warning", "warning"]),
        ("tightening", 1, ["notice", "notice"]),
    ],
)
def test_how_grave_it_is(direction: str, missing: int, levels: list[str]) -> None:
    review = reviews.review(reviews.change(direction), approvals=reviews.approvals(missing))
    assert [row.level for row in to_annotations(review)] == levels


def test_what_only_base_has_stands_at_no_line_of_head() -> None:
    row = reviews.change(place=Place("policy/policy.yaml", 52, side="base"))
    *_, found = to_annotations(replace(reviews.review(row)))
    assert "line" not in found.properties
    assert found.message.endswith("policy/policy.yaml:52 (base)")
