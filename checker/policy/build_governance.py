"""Builds the governance part of the policy from a document in which no fault was found; defaults are given here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checker.policy.durations import duration_of
from checker.policy.governing import ApprovalRule, Governance, Sight

DEFAULT_VALID_FOR = "30d"


def build_governance(governance: Mapping[str, Any]) -> Governance:
    """What the sound `governance` section says."""
    return Governance(
        people={role: tuple(people) for role, people in governance.get("people", {}).items()},
        signed_phases=tuple(governance.get("signed_phases", ())),
        valid_for=duration_of(governance.get("valid_for", DEFAULT_VALID_FOR)),
        rules=tuple(_rule(rule) for rule in governance.get("approvals", ())),
        sight=_sight(governance.get("sight", {})),
    )


def _rule(rule: Mapping[str, Any]) -> ApprovalRule:
    roles = {role: int(count) for role, count in rule["roles"].items()}
    return ApprovalRule(tuple(rule["directions"]), tuple(rule.get("phases", ())), roles)


def _sight(sight: Mapping[str, Any]) -> Sight:
    return Sight(float(sight.get("confidence", 0.95)), float(sight.get("blind_past", 2)))
