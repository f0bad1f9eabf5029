"""Mutants of the policy: which there are, what each changes and nothing else, and in which cases it may show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checker.model import Comparison
from checker.policy.build import build_policy
from checker.querytest.policy_mutants import PolicyMutant, policy_mutants

PHASES = [
    {"name": "A", "audience": "5 %", "approvers": ["SRE"], "gate": "first"},
    {"name": "B", "audience": "all", "approvers": ["SRE"], "gate": "second"},
]
SPEED = {"query": "slo/speed.sql", "unit": "s", "comparison": "lte", "threshold": {"A": 2.5, "B": 2}}
GATE = {"query": "gate/streak.sql"}


def document(**slo: Any) -> dict[str, Any]:
    return {
        "target": "demo",
        "window": "15m",
        "event_schema": "schemas/event.schema.json",
        "phases": PHASES,
        "slos": {"speed": {**SPEED, **slo}},
        "gates": {
            "first": {**GATE, "parameters": {"batches": 8, "share": 0.5, "strict": True}},
            "second": {**GATE, "parameters": {"alerts": 0}},
        },
        "rollback": {"command": ["back"]},
    }


def mutants(**slo: Any) -> list[PolicyMutant]:
    whole = document(**slo)
    return policy_mutants(whole, build_policy(whole, Path("policy/policy.yaml"), Path()))


def told(key: str, **slo: Any) -> list[str]:
    return [found.told for found in mutants(**slo) if ".".join(map(str, found.path)) == key]


@pytest.mark.parametrize(
    ("key", "slo", "expected"),
    [
        ("max_quarantined", {}, ["0.05 -> 0.04", "0.05 -> 0.06"]),
        ("slos.speed.threshold.A", {}, ["2.5 -> 2.4", "2.5 -> 2.6"]),
        ("slos.speed.threshold.B", {}, ["2 -> 1", "2 -> 3"]),
        ("slos.speed.warn_at", {}, ["0.8 -> 0.7", "0.8 -> 0.9"]),
        ("slos.speed.warn_at", {"warn_at": 0.75}, ["0.75 -> 0.74", "0.75 -> 0.76"]),
        ("slos.speed.warn_at", {"warn_at": 1}, []),
        ("slos.speed.warn_below", {"comparison": "gte", "warn_below": 3}, ["3 -> 2", "3 -> 4"]),
        (
            "slos.speed.warn_below.B",
            {"comparison": "gte", "warn_below": {"A": 3, "B": 3.5}},
            ["3.5 -> 3.4", "3.5 -> 3.6"],
        ),
        ("slos.speed.min_samples", {}, ["1 -> 2"]),
        ("slos.speed.min_samples", {"min_samples": 5}, ["5 -> 4", "5 -> 6"]),
        ("slos.speed.comparison", {}, ["lte -> gte", "lte -> eq"]),
        ("slos.speed.comparison", {"comparison": "eq"}, ["eq -> lte", "eq -> gte"]),
        ("slos.speed.on_no_data", {}, ["hold -> violation"]),
        ("slos.speed.on_no_data", {"on_no_data": "violation"}, ["violation -> hold"]),
        ("slos.speed.on_violation", {}, ["rollback -> hold", "rollback -> observe"]),
        ("slos.speed.on_violation", {"on_violation": "observe"}, ["observe -> rollback"]),
        ("gates.first.parameters.batches", {}, ["8 -> 7", "8 -> 9"]),
        ("gates.first.parameters.share", {}, ["0.5 -> 0.4", "0.5 -> 0.6"]),
        ("gates.first.parameters.strict", {}, []),
        ("gates.second.parameters.alerts", {}, ["0 -> 1"]),
    ],
)
def test_what_becomes_of_a_value(key: str, slo: dict[str, Any], expected: list[str]) -> None:
    assert told(key, **slo) == expected


def test_a_threshold_moves_alone_and_its_warning_line_with_it() -> None:
    (tighter,) = [found for found in mutants() if found.told == "2.5 -> 2.4"]
    limits = tighter.policy.slos["speed"].thresholds
    assert (limits["A"].limit, limits["A"].warn_limit) == (2.4, 1.92)
    assert (limits["B"].limit, limits["B"].warn_limit) == (2.0, 1.6)


@pytest.mark.parametrize(("other", "warns"), [("gte", 2.5), ("eq", None)])
def test_another_comparison_brings_no_warning_line(other: str, warns: float | None) -> None:
    (found,) = [found for found in mutants(warn_at=0.5) if found.told == f"lte -> {other}"]
    threshold = found.policy.slos["speed"].thresholds["A"]
    assert (threshold.comparison, threshold.limit, threshold.warn_limit) == (Comparison(other), 2.5, warns)


def test_no_mutant_is_the_policy_itself_nor_another_one() -> None:
    own = build_policy(document(), Path("policy/policy.yaml"), Path())
    policies = [own, *(found.policy for found in mutants())]
    assert all(one != other for index, one in enumerate(policies) for other in policies[:index])


def test_broken_lines_show_where_some_are_expected() -> None:
    assert {row.path for row in mutants() if row.is_of_broken_lines} == {("max_quarantined",)}


def test_in_which_cases_a_mutant_may_show() -> None:
    found = {(".".join(map(str, row.path))): (row.queries, row.phases, row.slo) for row in mutants()}
    speed, streak, both = frozenset(["slo/speed.sql"]), frozenset(["gate/streak.sql"]), frozenset("AB")
    assert found["slos.speed.threshold.A"] == (speed, frozenset("A"), "speed")
    assert found["slos.speed.warn_at"] == (speed, both, "speed")
    assert found["max_quarantined"] == (speed, both, None)
    assert found["gates.second.parameters.alerts"] == (streak, frozenset("B"), None)
