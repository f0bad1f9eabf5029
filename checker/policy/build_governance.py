"""Builds the governance part of the policy from a document in which no fault was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checker.policy.durations import duration_of
from checker.policy.governing import ApprovalRule, Governance, Sight

_DEFAULTS = Governance()


def build_governance(governance: Mapping[str, Any]) -> Governance:
    """What the sound `governance` section says."""
    valid_for = governance.get("valid_for")
    return Governance(
        people={role: tuple(people) for role, people in governance.get("people", {}).items()},
        signed_phases=tuple(governance.get("signed_phases", ())),
        valid_for=_DEFAULTS.valid_for if valid_for is None else duration_of(valid_for),
        rules=tuple(_rule(rule) for rule in governance.get("approvals", ())),
        sight=_sight(governance.get("sight", {})),
    )


def _rule(rule: Mapping[str, Any]) -> ApprovalRule:
    roles = {role: int(count) for role, count in rule["roles"].items()}
    return ApprovalRule(tuple(rule["directions"]), tuple(rule.get("phases", ())), roles)


def _sight(sight: Mapping[str, Any]) -> Sight:
    return Sight(
        float(sight.get("confidence", _DEFAULTS.sight.confidence)),
        float(sight.get("blind_past", _DEFAULTS.sight.blind_past)),
    )
