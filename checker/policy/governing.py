"""The governance part of the policy as frozen values: who may approve what, and how long an approval holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """What a change of one of `directions` that concerns one of `phases` asks for: people by role.

    Without `phases` it holds for every phase.
    """

    directions: tuple[str, ...]
    phases: tuple[str, ...]
    roles: Mapping[str, int]

    def fits(self, direction: str, phase: str) -> bool:
        """Whether it asks for something of a change of this direction in this phase."""
        return direction in self.directions and (not self.phases or phase in self.phases)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a review warns of: an SLO whose smallest breach that is caught with `confidence` (a chance, 0 to 1) is more
    than `blind_past` times the breach that its threshold speaks of."""

    confidence: float = 0.95
    blind_past: float = 2.0


@dataclass(frozen=True, slots=True)
class Governance:
    """Who may speak for which role, and what a change of the policy asks for.

    `people` are principals of policy/allowed_signers by role. Approvals of an advance out of `signed_phases`, and of
    incidents in them, count only when they are signed. An approval holds `valid_for`, or less where it says so.
    """

    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    signed_phases: tuple[str, ...] = ()
    valid_for: timedelta = timedelta(days=30)
    rules: tuple[ApprovalRule, ...] = ()
    sight: Sight = Sight()

    def people_of(self, role: str) -> frozenset[str]:
        """The principals that may speak for `role`; none for a role that is not listed."""
        return frozenset(self.people.get(role, ()))
