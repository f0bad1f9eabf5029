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
    rollback ended.
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
        )

    @property
    def rollback_required(self) -> bool:
        """Whether a rollback is still to be made: none was recorded, and a violation is among the causes."""
        return self.closed_at is None and self.cause == "violation" and not self.rollback_recorded

    def caused_by(self, record: Record) -> Incident:
        """This incident with the cause that an `incident` record adds to it."""
        return replace(self, cause="violation") if record.data["cause"] == "violation" else self

    def with_violations(self, added: AbstractSet[Violation]) -> Incident:
        """This incident with further violations."""
        return replace(self, violations=self.violations | added)


def violations_in(record: Record) -> frozenset[Violation]:
    """The violations that an `incident` record names."""
    return frozenset((record.window_start, slo) for slo in record.data.get("slos", ()))


@dataclass(frozen=True, slots=True)
class RollbackRecord:
    """What happened to a rollback, `proposed`, `begun`, `ended` or `failed`; it leaves `phase_from` for `phase_to`."""

    id: str
    event: str
    at: datetime
    phase_from: str
    phase_to: str
    incident: str | None
    by: str
    reason: str

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
        )


@dataclass(frozen=True, slots=True)
class Approval:
    """A role's approval of an `advance` (out of `phase`), a `change` of the policy or an `incident`."""

    subject: str
    role: str
    by: str
    phase: str
    judging_digest: str | None
    governed_digest: str | None
    incident: str | None
    at: datetime

    @classmethod
    def of(cls, record: Record) -> Self:
        """The value of an `approval` record."""
        data = record.data
        return cls(
            subject=data["subject"],
            role=data["role"],
            by=data["by"],
            phase=record.phase,
            judging_digest=data.get("judging_digest"),
            governed_digest=data.get("governed_digest"),
            incident=data.get("incident"),
            at=record.at,
        )


@dataclass(frozen=True, slots=True)
class RecordedNotice:
    """A notice that was recorded; `notice` is the id of the policy's rule, `delivered_at` its first acknowledgement."""

    id: str
    notice: str
    outcome: str
    channel: str
    text: str
    phase: str
    window_start: datetime | None
    at: datetime
    delivered_at: datetime | None = None

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
        )


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
