"""The page on approvals tells the reasons that the code gives, its numbers, and options that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from policies.project import AUTOSAVE, make_project

from checker.governance import approval_subjects, signatures
from checker.policy.load import load_policy
from tests.commands import ROOT, phasegate

PAGE = (ROOT / "docs" / "approvals.md").read_text("utf-8")
TEXT = " ".join(PAGE.split())
ROWS = re.findall(r"^\| ([^|]+) \| (`[^|]+`) \|$", PAGE, re.MULTILINE)
TESTS = "".join(
    (ROOT / "tests" / f"{name}.py").read_text("utf-8")
    for name in ("test_approvals", "test_signatures", "flows/test_signed_advance", "flows/test_review_approvals")
)


@pytest.mark.parametrize(("what", "told"), ROWS)
def test_a_reason_is_one_that_is_given_and_tested(what: str, told: str) -> None:
    del what
    assert told.strip("`") in TESTS


def test_every_kind_of_reason_has_its_row() -> None:
    assert len(ROWS) > 15


@pytest.mark.parametrize(
    "said",
    [
        f"more than {approval_subjects.CLOCK_SKEW.total_seconds() / 60:.0f} minutes ahead",
        f"no answer within {signatures.VERIFY_DEADLINE_S:.0f} s",
        f"in the namespace `{signatures.NAMESPACE}`",
    ],
)
def test_a_number(said: str) -> None:
    assert said in TEXT


def test_the_section_is_one_that_loads(tmp_path: Path) -> None:
    (section,) = re.findall(r"^```yaml\n(governance:.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    governance = load_policy(make_project(tmp_path, AUTOSAVE + section)).governance
    assert [dict(rule.roles) for rule in governance.rules] == [{"Governance committee": 1, "SRE": 1}, {"SRE": 1}]


def test_its_options_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    told = phasegate(capsys, "approve", "--help").out
    assert {"--key", "--expires", "--role", "--reason"} <= set(re.findall(r"--[a-z-]+", told))
    assert "PHASEGATE_SIGNING_KEY" in told
