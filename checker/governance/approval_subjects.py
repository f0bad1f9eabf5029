"""What an approval is of, and the very bytes that are signed: every word of it. Pure.

The three subjects are never interchangeable: each payload names its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from checker.policy.governing import Governance
from checker.schemas import listed
from checker.windows import iso

VERSION = 1
CLOCK_SKEW = timedelta(minutes=5)  # how far a signer's clock may be ahead of the one that judges


@dataclass(frozen=True, slots=True)
class Verified:
    """Who signed: the principals of policy/allowed_signers that the key stands for; or why it counts for nobody."""

    principals: tuple[str, ...] = ()
    refused: str | None = None


# Who signed this payload with this signature (armored text).
Verify = Callable[[bytes, str], Verified]


@dataclass(frozen=True, slots=True)
class Terms:
    """The words of an approval: for which role, by whom, why, since when and until when it holds (UTC)."""

    role: str
    name: str
    reason: str
    signed_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What an approval of a policy change was given for. Digests are SHA-256 (hex); `engine` is DuckDB's version.

    `governed_digest` and `signers_digest` are of head, `base_digest` is of both of base.
    """

    governed_digest: str
    signers_digest: str
    base_digest: str
    direction: str
    engine: str

    @property
    def digest(self) -> str:
        """What names the approvals' file: the SHA-256 of all of it."""
        return sha256(canonical({"subject": "policy_change", **asdict(self)})).hexdigest()


def signers_digest(signers: bytes) -> str:
    """SHA-256 of the bytes of policy/allowed_signers; of none where there is no such file."""
    return sha256(signers).hexdigest()


def base_digest(governed_digest: str, signers: bytes) -> str:
    """What stands for the base: its governed digest and its signers."""
    return sha256(canonical({"governed": governed_digest, "signers": signers_digest(signers)})).hexdigest()


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one way to write a document of text and numbers: JSON in ASCII, keys in order, no space."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def change_payload(reviewed: Reviewed, terms: Terms) -> bytes:
    """What is signed to approve a change of the policy."""
    return _payload("policy_change", {**asdict(reviewed), "digest": reviewed.digest}, terms)


def advance_payload(target: str, phase: str, entered_at: datetime | None, judging_digest: str, terms: Terms) -> bytes:
    """What is signed to approve the advance out of `phase`, which was entered at `entered_at`.

    Bound to the entry, so that it is of no use when the phase is entered again.
    """
    entered = None if entered_at is None else iso(entered_at)
    of = {"target": target, "phase": phase, "entered_at": entered, "judging_digest": judging_digest}
    return _payload("advance", of, terms)


def incident_payload(target: str, incident: str, terms: Terms) -> bytes:
    """What is signed to approve what was done about an incident."""
    return _payload("incident", {"target": target, "incident": incident}, terms)


def _payload(subject: str, of: Mapping[str, Any], terms: Terms) -> bytes:
    words = {
        "role": terms.role,
        "name": terms.name,
        "reason": terms.reason,
        "signed_at": iso(terms.signed_at),
        "expires_at": iso(terms.expires_at),
    }
    return canonical({"phasegate": VERSION, "subject": subject, "of": dict(of), **words})


def refusal(
    payload: bytes, terms: Terms, signature: str, governance: Governance, verify: Verify, as_of: datetime
) -> Verified:
    """Who approved with `signature`; refused where it does not hold at `as_of` or nobody of the role signed it."""
    if lapsed := _lapsed(terms, governance.valid_for, as_of):
        return Verified(refused=lapsed)
    signed = verify(payload, signature)
    if signed.refused is not None:
        return signed
    people = governance.people_of(terms.role)
    if not people:
        return Verified(signed.principals, f"governance.people lists nobody for the role {terms.role!r}")
    if people.isdisjoint(signed.principals):
        told = f"the key is that of {listed(signed.principals)}, who may not speak for {terms.role!r}"
        return Verified(signed.principals, f"{told} (governance.people: {listed(sorted(people))})")
    return signed


def _lapsed(terms: Terms, valid_for: timedelta, as_of: datetime) -> str | None:
    if terms.signed_at > as_of + CLOCK_SKEW:
        return f"was signed at {iso(terms.signed_at)}, which is still to come (it is {iso(as_of)})"
    if terms.expires_at <= terms.signed_at:
        return f"expires at {iso(terms.expires_at)}, before it was signed ({iso(terms.signed_at)})"
    if terms.expires_at - terms.signed_at > valid_for:
        latest = iso(terms.signed_at + valid_for)
        return f"would hold until {iso(terms.expires_at)}; governance.valid_for allows until {latest}"
    if terms.expires_at <= as_of:
        return f"expired at {iso(terms.expires_at)} (it is {iso(as_of)}); approve again"
    return None
