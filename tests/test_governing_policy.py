"""The policy's governance: what it says, its defaults, and each fault at its place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from policies.project import AUTOSAVE, make_project, problems_of

from checker.policy.governing import ApprovalRule, Governance, Sight
from checker.policy.load import load_policy
from tests.rollouts import POLICY, governed_of

FIRST = len(AUTOSAVE.splitlines()) + 1
PEOPLE = "people: {SRE: [ada@x.example, bob@x.example], Dev Lead: [eve], Governance committee: [gov@x.example]}"


def test_a_policy_without_it_names_nobody(tmp_path: Path) -> None:
    governance = load_policy(make_project(tmp_path, AUTOSAVE)).governance
    assert governance == Governance({}, (), timedelta(days=30), (), Sight(0.95, 2.0))
    assert governance.people_of("SRE") == frozenset()


def test_it_is_read(tmp_path: Path) -> None:
    section = (
        f"governance:\n  {PEOPLE}\n  signed_phases: [C]\n  valid_for: 7d\n  approvals:\n"
        "    - {directions: [unknown], phases: [A, C], roles: {SRE: 2}}\n"
        "    - {directions: [loosening, unknown], roles: {Dev Lead: 1}}\n"
        "  sight: {confidence: 0.9, blind_past: 3}\n"
    )
    governance = load_policy(make_project(tmp_path, AUTOSAVE + section)).governance
    assert governance.people_of("SRE") == {"ada@x.example", "bob@x.example"}
    assert (governance.signed_phases, governance.valid_for) == (("C",), timedelta(days=7))
    assert governance.sight == Sight(0.9, 3.0)
    assert governance.rules == (
        ApprovalRule(("unknown",), ("A", "C"), {"SRE": 2}),
        ApprovalRule(("loosening", "unknown"), (), {"Dev Lead": 1}),
    )


@pytest.mark.parametrize(
    ("rule", "direction", "phase", "fits"),
    [
        (ApprovalRule(("loosening",), (), {"SRE": 1}), "loosening", "A", True),
        (ApprovalRule(("loosening",), (), {"SRE": 1}), "loosening", "Z", True),  # also what head alone has
        (ApprovalRule(("loosening",), (), {"SRE": 1}), "unknown", "A", False),
        (ApprovalRule(("loosening",), ("B",), {"SRE": 1}), "loosening", "B", True),
        (ApprovalRule(("loosening",), ("B",), {"SRE": 1}), "loosening", "A", False),
    ],
)
def test_which_rule_fits(rule: ApprovalRule, direction: str, phase: str, fits: bool) -> None:
    assert rule.fits(direction, phase) is fits


def test_the_shipped_policy_has_people_for_every_role_that_it_asks_for() -> None:
    policy = governed_of(POLICY).policy
    asked = {role for rule in policy.governance.rules for role in rule.roles}
    assert asked | set(policy.phase("C").approvers) <= set(policy.governance.people)
    assert policy.governance.signed_phases == ("C",)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            f"{PEOPLE}, signed_phases: [C, D]",
            "governance.signed_phases[1]: no phase 'D' (phases: A, B, C)",
        ),
        (
            f"{PEOPLE}, approvals: [{{directions: [loosening], phases: [Z], roles: {{SRE: 1}}}}]",
            "governance.approvals[0].phases[0]: no phase 'Z' (phases: A, B, C)",
        ),
        (
            f"{PEOPLE}, approvals: [{{directions: [loosening], roles: {{SRA: 1}}}}]",
            "governance.approvals[0].roles.SRA: no role 'SRA' in governance.people; did you mean 'SRE'?"
            " (roles: SRE, Dev Lead, Governance committee); list there who may speak for it",
        ),
        (
            "approvals: [{directions: [loosening], roles: {SRE: 1}}]",
            "governance.approvals[0].roles.SRE: no role 'SRE' in governance.people (roles: none);"
            " list there who may speak for it",
        ),
        (
            f"{PEOPLE}, approvals: [{{directions: [unknown], roles: {{SRE: 3}}}}]",
            "governance.approvals[0].roles.SRE: asks for 3 of 'SRE', but governance.people lists 2;"
            " ask for fewer, or list more",
        ),
        (
            "people: {SRE: [ada, Ada]}",
            "governance.people.SRE[1]: 'Ada' is 'ada' once more; name each person once",
        ),
        (
            "people: {SRE: [ada, ada]}",
            "governance.people.SRE: 'ada' stands in the list twice",
        ),
        (
            "people: {SRE: [ada]}, signed_phases: [C]",
            "governance.signed_phases[0]: phase 'C' is left with the approval of 'Governance committee', for whom"
            " governance.people lists nobody; list there who may speak for the role",
        ),
        (
            "people: {SRE: ['*@x.example']}",
            "governance.people.SRE[0]: expected one principal of policy/allowed_signers, such as ada@autosave.example"
            " (no wildcard, comma or space), found '*@x.example'",
        ),
        ("people: {SRE: []}", "governance.people.SRE: expected at least 1 in the list, found an empty list"),
        (
            "valid_for: 30",
            "governance.valid_for: expected a duration such as 30s, 15m, 24h or 3d"
            " (a whole number above 0, at most 999d), found 30",
        ),
        ("valid_fro: 30d", "governance.valid_fro: unknown key 'valid_fro'; did you mean 'valid_for'?"),
        (
            f"{PEOPLE}, approvals: [{{directions: [tightening], roles: {{SRE: 1}}}}]",
            "governance.approvals[0].directions[0]: expected one of loosening, unknown, found 'tightening'",
        ),
        (
            f"{PEOPLE}, approvals: [{{directions: [unknown], roles: {{SRE: 0}}}}]",
            "governance.approvals[0].roles.SRE: expected at least 1, found 0",
        ),
        (
            f"{PEOPLE}, approvals: [{{directions: [unknown], roles: {{}}}}]",
            "governance.approvals[0].roles: expected at least 1 in the mapping, found an empty mapping",
        ),
        ("sight: {confidence: 1}", "governance.sight.confidence: expected at most 0.9999, found 1"),
        ("sight: {blind_past: 0.5}", "governance.sight.blind_past: expected at least 1, found 0.5"),
        ("[]", "governance: expected a mapping, found an empty list"),
    ],
)
def test_faults(tmp_path: Path, section: str, expected: str) -> None:
    text = f"{AUTOSAVE}governance: {section if section.startswith('[') else '{' + section + '}'}\n"
    found = [text.removeprefix("policy/policy.yaml:") for text in problems_of(make_project(tmp_path, text))]
    assert [line.split(": ", 1)[1] for line in found] == [expected]
    assert all(line.startswith(f"{FIRST}:") for line in found)


def test_faults_are_told_beside_others_and_do_not_hide_them(tmp_path: Path) -> None:
    section = f"governance:\n  {PEOPLE}\n  signed_phases: [Q]\n  approvals: 7\nlimits: {{query_deadline: 3m}}\n"
    found = problems_of(make_project(tmp_path, AUTOSAVE + section))
    places = [text.split(": ")[1] for text in found]
    assert places == ["governance.signed_phases[0]", "governance.approvals", "limits.query_deadline"]
