"""Freezes, the rollback's limits and what is not shown: what a policy may ask for, and each fault at its place."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from policies.project import AUTOSAVE, make_project, problems_of

from checker.policy.load import load_policy
from checker.policy.model import Freeze
from checker.windows import parse_iso

FIRST = len(AUTOSAVE.splitlines()) + 1
YEARS_END = Freeze("year's end", parse_iso("2026-12-19T00:00:00Z"), parse_iso("2027-01-04T06:00:00Z"))
WEEKENDS = Freeze("weekend", days=frozenset({5, 6}))


def test_freezes_are_read(tmp_path: Path) -> None:
    section = (
        "freezes:\n"
        '  - {from: "2026-12-19T00:00:00Z", until: "2027-01-04T06:00:00Z", reason: year\'s end}\n'
        "  - {days: [Sun, Sat], reason: weekend}\n"
        'redact: ["user*", ip]\n'
    )
    policy = load_policy(make_project(tmp_path, AUTOSAVE + section))
    assert policy.freezes == (YEARS_END, WEEKENDS)
    assert policy.redact == ("user*", "ip")
    assert (policy.rollback.deadline, policy.rollback.tries) == (timedelta(minutes=5), 4)


@pytest.mark.parametrize(
    ("freeze", "at", "holds"),
    [
        (YEARS_END, "2026-12-18T23:59:59Z", False),
        (YEARS_END, "2026-12-19T00:00:00Z", True),
        (YEARS_END, "2027-01-04T05:59:59Z", True),
        (YEARS_END, "2027-01-04T06:00:00Z", False),
        (WEEKENDS, "2026-11-27T23:59:59Z", False),  # a Friday
        (WEEKENDS, "2026-11-28T00:00:00Z", True),
        (WEEKENDS, "2026-11-29T23:59:59Z", True),
        (WEEKENDS, "2026-11-30T00:00:00Z", False),
    ],
)
def test_when_a_freeze_holds(freeze: Freeze, at: str, holds: bool) -> None:
    instant: datetime = parse_iso(at)
    assert freeze.holds_at(instant) is holds


@pytest.mark.parametrize(
    ("freeze", "told"),
    [
        (YEARS_END, "until 2027-01-04 06:00 UTC: year's end"),
        (WEEKENDS, "on Sat, Sun (UTC): weekend"),
    ],
)
def test_how_a_freeze_is_told(freeze: Freeze, told: str) -> None:
    assert freeze.told == told


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            'freezes: [{from: "2026-12-19T00:00:00Z", reason: x}]',
            "0:11: freezes[0]: must have either both 'from' and 'until', or 'days'",
        ),
        (
            'freezes: [{from: "2026-12-19T00:00:00Z", until: "2026-12-20T00:00:00Z", days: [Sat], reason: x}]',
            "0:11: freezes[0]: must have either both 'from' and 'until', or 'days'",
        ),
        (
            'freezes: [{from: "2026-12-19T00:00:00Z", until: "2026-12-19T00:00:00Z", reason: x}]',
            "0:49: freezes[0].until: 2026-12-19T00:00:00Z does not lie after the beginning, 2026-12-19T00:00:00Z",
        ),
        (
            'freezes: [{from: "2026-02-30T00:00:00Z", until: "2026-12-19T00:00:00Z", reason: x}]',
            "0:18: freezes[0].from: '2026-02-30T00:00:00Z' is no time; write one such as 2026-12-19T00:00:00Z",
        ),
        (
            "freezes: [{days: [Saturday], reason: x}]",
            "0:19: freezes[0].days[0]: expected one of Mon, Tue, Wed, Thu, Fri, Sat, Sun, found 'Saturday'",
        ),
        ("freezes: [{days: [Sat]}]", "0:11: freezes[0]: 'reason' is missing"),
        (
            'redact: ["user name"]',
            "0:10: redact[0]: expected a field's name of at most 64 letters, digits, '_', '.', '-' and '*', "
            "found 'user name'",
        ),
    ],
)
def test_faults_of_freezes(tmp_path: Path, section: str, expected: str) -> None:
    found = problems_of(make_project(tmp_path, f"{AUTOSAVE}{section}\n"))
    assert [text.removeprefix("policy/policy.yaml:") for text in found] == [expected.replace("0:", f"{FIRST}:", 1)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("deadline: 61m", "rollback.deadline: 61m is longer than a policy may ask for; write at most 60m"),
        ("tries: 0", "rollback.tries: expected at least 1, found 0"),
        ("tries: 11", "rollback.tries: expected at most 10, found 11"),
    ],
)
def test_faults_of_the_rollbacks_limits(tmp_path: Path, key: str, expected: str) -> None:
    assert AUTOSAVE.count("  mode: propose\n") == 1
    found = problems_of(make_project(tmp_path, AUTOSAVE.replace("  mode: propose\n", f"  mode: propose\n  {key}\n")))
    assert [text.split(": ", 1)[1] for text in found] == [expected]
