"""What measuring may take: the policy asks for it, and the code caps it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from policies.project import AUTOSAVE, make_project, problems_of

from checker.policy.load import load_policy
from checker.policy.model import Limits

FIRST = len(AUTOSAVE.splitlines()) + 1


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", Limits(timedelta(seconds=30), timedelta(minutes=10), 256)),
        ("limits: {}", Limits()),
        ("limits: {query_deadline: 2m, measuring_deadline: 1h, query_memory_mb: 2048}", None),
        ("limits: {query_memory_mb: 64}", Limits(query_memory_mb=64)),
        ("limits: {query_deadline: 45s, measuring_deadline: 45s}", Limits(*[timedelta(seconds=45)] * 2)),
    ],
)
def test_limits_that_a_policy_may_ask_for(tmp_path: Path, section: str, expected: Limits | None) -> None:
    policy = load_policy(make_project(tmp_path, f"{AUTOSAVE}{section}\n"))
    assert policy.limits == (expected or Limits(timedelta(minutes=2), timedelta(hours=1), 2048))


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            "query_deadline: 121s",
            "0:19: limits.query_deadline: 121s is longer than a policy may ask for; write at most 2m",
        ),
        ("query_deadline: 3m", "0:19: limits.query_deadline: 3m is longer than a policy may ask for; write at most 2m"),
        (
            "measuring_deadline: 61m",
            "0:23: limits.measuring_deadline: 61m is longer than a policy may ask for; write at most 60m",
        ),
        (
            "measuring_deadline: 20s",
            "0:23: limits.measuring_deadline: 20s for all queries is shorter than one query's deadline "
            "(30s, the default); write at least that",
        ),
        ("query_memory_mb: 63", "0:20: limits.query_memory_mb: expected at least 64, found 63"),
        ("query_memory_mb: 2049", "0:20: limits.query_memory_mb: expected at most 2048, found 2049"),
        ("query_memory_mb: 64.5", "0:20: limits.query_memory_mb: expected a whole number, found 64.5"),
        (
            "query_deadline: 30",
            "0:19: limits.query_deadline: expected a duration such as 30s, 15m, 24h or 3d "
            "(a whole number above 0, at most 999d), found 30",
        ),
        (
            "query_deadlin: 30s",
            "0:3: limits.query_deadlin: unknown key 'query_deadlin'; did you mean 'query_deadline'?",
        ),
    ],
)
def test_limits_that_it_may_not(tmp_path: Path, section: str, expected: str) -> None:
    found = problems_of(make_project(tmp_path, f"{AUTOSAVE}limits:\n  {section}\n"))
    assert found == [f"policy/policy.yaml:{FIRST + 1}{expected[1:]}"]


def test_every_fault_of_the_limits_is_told_at_once(tmp_path: Path) -> None:
    section = "limits: {query_deadline: 1h, measuring_deadline: 2h, query_memory_mb: 1}\n"
    assert len(problems_of(make_project(tmp_path, AUTOSAVE + section))) == 3
