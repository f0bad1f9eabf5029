"""Which approvals of the ledger count: in a signed phase those alone that a person of the role has signed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from checker.governance.approval_subjects import Terms, Verify, advance_payload, incident_payload, refusal
from checker.ledger.state import LedgerState
from checker.ledger.values import Approval
from checker.policy.model import Policy

UNSIGNED = "it is not signed; approve again, with --key FILE"


@dataclass(frozen=True, slots=True)
class CountedApprovals:
    """The roles whose approval counts, and why that of another does not."""

    roles: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)


def is_signed(policy: Policy, phase: str | None) -> bool:
    """Whether approvals in `phase` count only when they are signed."""
    return phase in policy.governance.signed_phases


def advance_approvals(
    policy: Policy, state: LedgerState, judging_digest: str, verify: Callable[[], Verify], as_of: datetime
) -> CountedApprovals:
    """Roles whose approval of the advance out of the current phase counts under `judging_digest`.

    `verify` is called only where a signature must be looked at.
    """
    given = state.approvals_of_advance(judging_digest)
    if not given or not is_signed(policy, state.phase):
        return CountedApprovals(frozenset(approval.role for approval in given))
    told = [(approval.role, _refused(policy, state, approval, verify(), as_of)) for approval in given]
    return _counted(told)


def incident_approvals(
    policy: Policy, state: LedgerState, incident: str, verify_at: Callable[[datetime], Verify]
) -> CountedApprovals:
    """Roles whose approval of what was done about `incident` counts: as things stood when it was recorded."""
    given = [row for row in state.approvals if row.subject == "incident" and row.incident == incident]
    told = [(row.role, _refused_of_incident(policy, state, row, verify_at)) for row in given]
    return _counted(told)


def _counted(told: Sequence[tuple[str, str | None]]) -> CountedApprovals:
    """Of approvals with why they do not count: one that does is enough for its role."""
    roles = frozenset(role for role, why in told if why is None)
    return CountedApprovals(roles, {role: why for role, why in told if why is not None and role not in roles})


def with_counting_incidents(policy: Policy, state: LedgerState, verify_at: Callable[[datetime], Verify]) -> LedgerState:
    """`state` without those approvals of incidents that do not count."""

    def counts(approval: Approval) -> bool:
        return approval.subject != "incident" or _refused_of_incident(policy, state, approval, verify_at) is None

    return replace(state, approvals=tuple(filter(counts, state.approvals)))


def _refused_of_incident(
    policy: Policy, state: LedgerState, approval: Approval, verify_at: Callable[[datetime], Verify]
) -> str | None:
    incident = next((row for row in state.incidents if row.id == approval.incident), None)
    if not is_signed(policy, incident.phase if incident else approval.phase):
        return None
    return _refused(policy, state, approval, verify_at(approval.at), approval.at)


def _refused(policy: Policy, state: LedgerState, approval: Approval, verify: Verify, as_of: datetime) -> str | None:
    """Why an approval of a signed phase does not count; None where it does."""
    if approval.signature is None or approval.signed_at is None or approval.expires_at is None:
        return UNSIGNED
    terms = Terms(approval.role, approval.by, approval.reason, approval.signed_at, approval.expires_at)
    payload = _payload_of(policy.target, state, approval, terms)
    return refusal(payload, terms, approval.signature, policy.governance, verify, as_of).refused


def _payload_of(target: str, state: LedgerState, approval: Approval, terms: Terms) -> bytes:
    """What the approval's signature must be of, as the ledger stands."""
    if approval.subject == "incident":
        return incident_payload(target, str(approval.incident), terms)
    return advance_payload(target, approval.phase, state.entered_at, str(approval.judging_digest), terms)
