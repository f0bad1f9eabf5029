"""What the ledger's records tell, as frozen values."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, Self

from checker.ledger.records import Record
from checker.windows import parse_iso

Violation = tuple[datetime | None, str]  # start of the window, SLO


class RecordedViolation(NamedTuple):
    """A violation that a decision recorded. It stays known, whatever a newer decision says of its window."""

    window_start: datetime
    slo: str
    phase: str


@dataclass(frozen=True, slots=True)
class DecidedWindow:
    """The newest decision on one window; `at` is when it was recorded. Digests are SHA-256 (hex)."""

    window_start: datetime
    window_end: datetime
    phase: str
    outcome: str
    decision: str
    rollback_required: bool
    violations: frozenset[str]
    inputs_digest: str
    judging_digest: str
    at: datetime

    @classmethod
    def of(cls, record: Record) -> Self:
        """The value of a `decision` record. Raises ValueError where it names no window, which no schema allows."""
        if record.window_start is None:
            raise ValueError(f"decision {record.seq} names no window")
        data = record.data
        return cls(
            window_start=record.window_start,
            window_end=parse_iso(data["window_end"]),
            phase=record.phase,
            outcome=data["outcome"],
            decision=data["decision"],
            rollback_required=data["rollback_required"],
            violations=frozenset(data["violations"]),
            inputs_digest=data["inputs_digest"],
            judging_digest=data["judging_digest"],
            at=record.at,
        )


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident. `violations` are its `(window start, SLO)`; `outcome` is `ended` or `cancelled` once it is closed.

    `cause` is `violation` as soon as one violation was added, else `retry_exhausted`. `rollback_recorded` says that its
    rollback ended, at `rolled_back_at`; `recovery` are the checks since, oldest first. `closed_by` and `closed_reason`
    are a person's who cancelled it. `notes` are what people recorded of it. `exhausted` are the windows in which a
    source was given up.
    """

    id: str
    opened_at: datetime
    phase: str
    window_start: datetime | None
    cause: str
    violations: frozenset[Violation]
    rollback_recorded: bool = False
    closed_at: datetime | None = None
    outcome: str | None = None
    rolled_back_at: datetime | None = None
    rolled_back_by: str | None = None
    closed_by: str | None = None
    closed_reason: str | None = None
    recovery: tuple[RecoveryCheck, ...] = ()
    notes: tuple[IncidentNote, ...] = ()
    exhausted: frozenset[datetime] = frozenset()

    @classmethod
    def opened_by(cls, record: Record) -> Self:
        """The incident that an `incident` record opens."""
        return cls(
            id=record.id,
            opened_at=record.at,
            phase=record.phase,
            window_start=record.window_start,
            cause=record.data["cause"],
            violations=violations_in(record),
            exhausted=_exhausted_in(record),
        )

    @property
    def rollback_active(self) -> bool:
        """Whether it is open, and a rollback is required, under way or not yet recovered from."""
        return self.closed_at is None and self.cause == "violation"

    @property
    def rollback_required(self) -> bool:
        """Whether a rollback is still to be made: none was recorded, and a violation is among the causes."""
        return self.closed_at is None and self.cause == "violation" and not self.rollback_recorded

    def caused_by(self, record: Record) -> Incident:
        """This incident with the cause that an `incident` record adds to it."""
        told = replace(self, exhausted=self.exhausted | _exhausted_in(record))
        return replace(told, cause="violation") if record.data["cause"] == "violation" else told

    def with_violations(self, added: AbstractSet[Violation]) -> Incident:
        """This incident with further violations."""
        return replace(self, violations=self.violations | added)


def violations_in(record: Record) -> frozenset[Violation]:
    """The violations that an `incident` record names."""
    return frozenset((record.window_start, slo) for slo in record.data.get("slos", ()))


def _exhausted_in(record: Record) -> frozenset[datetime]:
    is_told = record.data["cause"] == "retry_exhausted" and record.window_start is not None
    return frozenset([record.window_start] if is_told and record.window_start else [])


@dataclass(frozen=True, slots=True)
class RecoveryCheck:
    """One check of a recovery, due at `window_end`: whether the SLOs were met over the events since the rollback."""

    window_start: datetime
    window_end: datetime
    met: bool
    outcome: str
    violations: frozenset[str]
    rollback: str
    at: datetime

    @classmethod
    def of(cls, record: Record) -> Self:
        """The value of a `recovery` record. Raises ValueError where it names no window, which no schema allows."""
        if record.window_start is None:
            raise ValueError(f"recovery {record.seq} names no window")
        data = record.data
        return cls(
            window_start=record.window_start,
            window_end=parse_iso(data["window_end"]),
            met=data["met"],
            outcome=data["outcome"],
            violations=frozenset(data["violations"]),
            rollback=data["rollback"],
            at=record.at,
        )


@dataclass(frozen=True, slots=True)
class IncidentNote:
    """What a person recorded of an incident; `step` is the step of the Runbook that it says is done."""

    at: datetime
    by: str
    text: str
    step: int | None


@dataclass(frozen=True, slots=True)
class RollbackRecord:
    """What happened to a rollback that leaves `phase_from` for `phase_to`.

    `event` is `proposed`, `begun`, `ended`, `failed` or `timed_out` (as unknown as one that was only begun). `command`
    is the argument list of an attempt, with its exit code and what it printed where it answered.
    """

    id: str
    event: str
    at: datetime
    phase_from: str
    phase_to: str
    incident: str | None
    by: str
    reason: str
    command: tuple[str, ...] = ()
    attempt: int = 0
    exit_code: int | None = None
    output: str = ""

    @classmethod
    def of(cls, record: Record) -> Self:
        """The value of a `rollback` record."""
        data = record.data
        return cls(
            id=record.id,
            event=data["event"],
            at=record.at,
            phase_from=data["from"],
            phase_to=data["to"],
            incident=data["incident"],
            by=data["by"],
            reason=data["reason"],
            command=tuple(data.get("command", ())),
            attempt=data.get("attempt", 0),
            exit_code=data.get("exit_code"),
            output=data.get("output", ""),
        )


@dataclass(frozen=True, slots=True)
class Approval:
    """A role's approval of an `advance` (out of `phase`), a `change` of the policy or an `incident`.

    `signature` (OpenSSH's armored text) is of all its words, with `signed_at` and `expires_at`; None where it is not
    signed.
    """

    subject: str
    role: str
    by: str
    phase: str
    judging_digest: str | None
    governed_digest: str | None
    incident: str | None
    at: datetime
    reason: str = ""
    signed_at: datetime | None = None
    expires_at: datetime | None = None
    signature: str | None = None

    @classmethod
    def of(cls, record: Record) -> Self:
        """The value of an `approval` record."""
        data = record.data
        signed_at, expires_at = data.get("signed_at"), data.get("expires_at")
        return cls(
            subject=data["subject"],
            role=data["role"],
            by=data["by"],
            phase=record.phase,
            judging_digest=data.get("judging_digest"),
            governed_digest=data.get("governed_digest"),
            incident=data.get("incident"),
            at=record.at,
            reason=data.get("reason", ""),
            signed_at=None if signed_at is None else parse_iso(signed_at),
            expires_at=None if expires_at is None else parse_iso(expires_at),
            signature=data.get("signature"),
        )


@dataclass(frozen=True, slots=True)
class RecordedNotice:
    """A notice that was recorded; `notice` is the id of the policy's rule.

    `delivered_at` is its first acknowledgement, `receipt` what `transport` finds it by. `kept` says that it was written
    to a file and sent to nobody. `failures` are the failed attempts so far, `failure` why the last of them failed.
    """

    id: str
    notice: str
    outcome: str
    channel: str
    text: str
    phase: str
    window_start: datetime | None
    at: datetime
    delivered_at: datetime | None = None
    incident: str | None = None
    state: str | None = None
    transport: str | None = None
    receipt: str | None = None
    kept: bool = False
    failures: int = 0
    failure: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be done: it was delivered, or kept where nothing could be sent."""
        return self.kept or self.delivered_at is not None

    @classmethod
    def of(cls, record: Record) -> Self:
        """The value of a `notice` record, not delivered yet."""
        data = record.data
        return cls(
            id=record.id,
            notice=data["notice"],
            outcome=data["outcome"],
            channel=data["channel"],
            text=data["text"],
            phase=record.phase,
            window_start=record.window_start,
            at=record.at,
            incident=data.get("incident"),
            state=data.get("state"),
        )

    def with_delivery(self, record: Record) -> RecordedNotice:
        """This notice after the attempt that a `delivery` record tells of; what was acknowledged stays so."""
        data, result = record.data, record.data["result"]
        if self.delivered_at is not None:
            return self
        if result == "failed":
            return replace(self, failures=self.failures + 1, failure=data.get("detail", ""))
        told = replace(self, transport=data["transport"], receipt=data.get("receipt"))
        return replace(told, kept=True) if result == "kept" else replace(told, kept=False, delivered_at=record.at)


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing advances from `at` until `until`, or until a person resumes where `until` is None."""

    at: datetime
    by: str
    reason: str
    until: datetime | None

    @classmethod
    def of(cls, record: Record) -> Self:
        """The value of a `pause` record."""
        until = record.data.get("until")
        return cls(record.at, record.data["by"], record.data["reason"], None if until is None else parse_iso(until))
