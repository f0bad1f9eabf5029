"""Approvals, each recorded once: of an advance, of an incident (in the ledger), of a policy change (in a file)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from checker.acting import Person, append, incident_called
from checker.analyzer.governed import Governed
from checker.errors import Refused, UsageError
from checker.governance.approval_document import Entry
from checker.governance.approval_files import add_approval, entries_of, find_approvals, project_verifier
from checker.governance.approval_subjects import (
    Reviewed,
    Terms,
    Verify,
    advance_payload,
    change_payload,
    incident_payload,
    refusal,
)
from checker.governance.approvals import approvals_of, judged
from checker.governance.direction import Change
from checker.governance.signatures import SIGNERS_SHOWN, sign, verifier
from checker.governance.signed_acts import incident_approvals, is_signed
from checker.ledger.append import END_OF_TIME, Draft
from checker.ledger.records import read_ledger
from checker.ledger.state import LedgerState, fold
from checker.pipeline import approvals_that_count
from checker.policy.governing import Governance
from checker.policy.model import Policy
from checker.schemas import listed, nearest
from checker.units import counted
from checker.windows import iso

# What is to be signed as the ledger stands; None where no signature is due.
PayloadFor = Callable[[LedgerState], bytes | None]


@dataclass(frozen=True, slots=True)
class Signing:
    """What an approval is signed with, and how long it holds; None for the policy's `valid_for`."""

    key: Path | None = None
    expires: timedelta | None = None


def approve_advance(
    governed: Governed,
    ledger: Path,
    phase: str | None,
    role: str,
    person: Person,
    at: datetime,
    signing: Signing = Signing(),
) -> str:
    """Record that `role` approves the advance out of the current phase (`phase` where the ledger names none).

    It holds for the judging digest of now; in a signed phase it is signed. Raises UsageError for a role that does not
    decide that, Refused where there is nothing to approve or the signature would not count.
    """
    told: list[str] = []
    policy, terms = governed.policy, _terms(governed.policy.governance, role, person, signing, at)

    def payload_for(state: LedgerState) -> bytes | None:
        current = _phase_to_leave(governed, state, phase, role)
        if not _needs_signature(policy, current, signing) or role in approvals_that_count(governed, state, at).roles:
            return None
        return advance_payload(policy.target, current, state.entered_at, governed.judging_digest, terms)

    signed = _signed_before(policy, ledger, payload_for, terms, signing, at)

    def drafts(state: LedgerState) -> Sequence[Draft]:
        current = _phase_to_leave(governed, state, phase, role)
        given = approvals_that_count(governed, state, at).roles
        if role in given:
            told.append(f"{role} has approved the advance out of {current} already; nothing was recorded")
            return []
        _check_unchanged(signed, payload_for(state))
        left = [name for name in policy.phase(current).approvers if name not in given | {role}]
        told.append(f"approved: {role}, the advance out of {current}{_still(left)}")
        bound = {"judging_digest": governed.judging_digest, **_signature_data(signed, terms)}
        return [_approval("advance", current, role, person, bound)]

    records = append(ledger, drafts, at)
    return told[0] + _numbered(records)


def approve_incident(
    policy: Policy,
    ledger: Path,
    incident_id: str,
    role: str,
    person: Person,
    at: datetime,
    signing: Signing = Signing(),
) -> str:
    """Record that `role` approves what was done about an incident; signed, where it happened in a signed phase.

    Raises UsageError, and Refused where the signature would not count.
    """
    told: list[str] = []
    terms = _terms(policy.governance, role, person, signing, at)

    def verify_at(instant: datetime) -> Verify:
        return project_verifier(policy, instant)()

    def payload_for(state: LedgerState) -> bytes | None:
        incident = incident_called(state, incident_id)
        roles = tuple(dict.fromkeys(role for phase in policy.phases for role in phase.approvers))
        _check_role(role, roles, "this policy")
        is_needed = _needs_signature(policy, incident.phase, signing)
        if not is_needed or role in incident_approvals(policy, state, incident.id, verify_at).roles:
            return None
        return incident_payload(policy.target, incident.id, terms)

    signed = _signed_before(policy, ledger, payload_for, terms, signing, at)

    def drafts(state: LedgerState) -> Sequence[Draft]:
        wanted, incident = payload_for(state), incident_called(state, incident_id)
        if role in incident_approvals(policy, state, incident.id, verify_at).roles:
            told.append(f"{role} has approved {incident.id} already; nothing was recorded")
            return []
        _check_unchanged(signed, wanted)
        told.append(f"approved: {role}, {incident.id}")
        bound = {"incident": incident.id, **_signature_data(signed, terms)}
        return [_approval("incident", incident.phase, role, person, bound)]

    records = append(ledger, drafts, at)
    return told[0] + _numbered(records)


def approve_change(
    base: Policy,
    head: Policy,
    reviewed: Reviewed,
    changes: Sequence[Change],
    signers: bytes,
    role: str,
    person: Person,
    signing: Signing,
    at: datetime,
) -> str:
    """Sign the approval of `changes` and add it to `policy/approvals/<digest>.yaml` beside the policy of `head`.

    `base` and `signers` (its allowed_signers) are those of the base, and so is who may speak for a role. Raises
    UsageError, and Refused where the approval would not count: nothing is written then.
    """
    governance, verify = base.governance, verifier(signers, at)
    if not signers.strip():
        told = f"{SIGNERS_SHOWN} of the base is missing or empty, so no key is known"
        raise Refused(f"{told}; merge your keys first, see docs/approvals.md")
    _check_role(role, tuple(governance.people), "a change (governance.people of the base)")
    if not person.reason:
        raise UsageError("--reason: say why the change may be made; it is signed with the approval")
    terms = _terms(governance, role, person, signing, at)
    payload = change_payload(reviewed, terms)
    entry = Entry(terms, _signature(governance, payload, terms, signing, verify, "it is of a change of the policy"))
    earlier, spent = entries_of(head, reviewed.digest), entries_of(base, reviewed.digest)
    if judged((*earlier, entry), reviewed, governance, verify, at, spent)[-1].refused:
        path = find_approvals(head, reviewed.digest).path
        return f"{person.by} has approved the change for {role} already ({path}); nothing was written"
    path = add_approval(head, reviewed, entry).relative_to(head.root).as_posix()
    found = find_approvals(head, reviewed.digest)
    asked = approvals_of(base, reviewed, changes, found, verify, frozenset(), at, spent).required
    left = [f"{row.role} ({row.missing})" if row.missing > 1 else row.role for row in asked if row.missing]
    of = f"the change {reviewed.digest[:12]} ({reviewed.direction}, {counted(len(changes), 'change')})"
    return f"approved: {role}, {of}{_still(left)}; commit {path} with it"


def _phase_to_leave(governed: Governed, state: LedgerState, phase: str | None, role: str) -> str:
    """The phase whose advance is approved. Raises UsageError, and Refused where `phase` is not the current one."""
    current = state.phase or phase
    if current is None:
        raise UsageError("the ledger names no phase; say which one with --phase")
    if current not in governed.policy.phase_names or (phase is not None and phase != current):
        raise Refused(f"the current phase is {current}; there is no advance out of {phase or current} to approve")
    _check_role(role, governed.policy.phase(current).approvers, f"phase {current}")
    return current


def _needs_signature(policy: Policy, phase: str, signing: Signing) -> bool:
    """Whether an approval in `phase` is signed. Raises UsageError where one that is not should expire."""
    if is_signed(policy, phase):
        return True
    if signing.expires is not None:
        raise UsageError("--expires: an approval that is not signed does not expire; leave it out")
    return False


def _terms(governance: Governance, role: str, person: Person, signing: Signing, at: datetime) -> Terms:
    holds = signing.expires or governance.valid_for
    if holds > governance.valid_for:
        latest = iso(at + governance.valid_for)
        told = f"--expires: it would hold until {iso(at + holds)}"
        raise UsageError(f"{told}; governance.valid_for allows until {latest}")
    signed_at = at.replace(microsecond=0)
    return Terms(role, person.by, person.reason, signed_at, signed_at + holds)


@dataclass(frozen=True, slots=True)
class _Signed:
    payload: bytes
    signature: str


def _signed_before(
    policy: Policy, ledger: Path, payload_for: PayloadFor, terms: Terms, signing: Signing, at: datetime
) -> _Signed | None:
    """The signature where one is due, made before the ledger is locked: a person may have to type a passphrase."""
    if not policy.governance.signed_phases:
        return None
    payload = payload_for(fold(read_ledger(ledger, END_OF_TIME).records))
    if payload is None:
        return None
    verify = project_verifier(policy, at)()
    return _Signed(payload, _signature(policy.governance, payload, terms, signing, verify, "governance.signed_phases"))


def _signature(governance: Governance, payload: bytes, terms: Terms, signing: Signing, verify: Verify, why: str) -> str:
    """The signature of an approval that counts. Raises UsageError without a key, Refused where it would not count."""
    if signing.key is None:
        raise UsageError(
            f"this approval must be signed ({why}); give your SSH key with --key FILE or PHASEGATE_SIGNING_KEY"
        )
    signature = sign(payload, signing.key)
    refused = refusal(payload, terms, signature, governance, verify, terms.signed_at).refused
    if refused is not None:
        raise Refused(f"the approval would not count, and was not recorded: {refused}")
    return signature


def _check_unchanged(signed: _Signed | None, wanted: bytes | None) -> None:
    if wanted != (signed.payload if signed else None):
        raise Refused("the rollout has moved on while the approval was being signed; look at it, and approve again")


def _signature_data(signed: _Signed | None, terms: Terms) -> Mapping[str, str]:
    if signed is None:
        return {}
    return {
        "signed_at": iso(terms.signed_at),
        "expires_at": iso(terms.expires_at),
        "signature": signed.signature,
    }


def _approval(subject: str, phase: str, role: str, person: Person, bound_to: Mapping[str, str]) -> Draft:
    data = {"subject": subject, "role": role, "by": person.by, "reason": person.reason or None, **bound_to}
    return Draft("approval", phase, data)


def _still(left: Sequence[str]) -> str:
    return f"; still missing: {', '.join(left)}" if left else "; all approvals are there"


def _numbered(records: Sequence[int]) -> str:
    return f" (record {records[0]})" if records else ""


def _check_role(role: str, roles: tuple[str, ...], of: str) -> None:
    if role not in roles:
        raise UsageError(f"--role: {role!r} is no approver of {of}{nearest(role, roles)} (approvers: {listed(roles)})")
