"""What the ledger's records come to: all that a decision needs to know of the past. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from checker.ledger.records import Record
from checker.ledger.values import (
    Approval,
    DecidedWindow,
    Incident,
    IncidentNote,
    Pause,
    RecordedNotice,
    RecordedViolation,
    RecoveryCheck,
    RollbackRecord,
    Violation,
    violations_in,
)


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Where the rollout stands. Sequences are in the order of the ledger, oldest first.

    `phase` and `entered_at` are None until a phase was entered; `entered_without_gate` says that it was by break-glass.
    `rollbacks` are all events of all rollbacks; `rollback_unknown` is one that was begun and neither ended nor failed.
    `approvals` still stand: those of an advance are void in another phase or once the judging digest that they were
    given under was left. `judged_until` maps each judging digest that decided since the phase's entry to the end of
    the newest window that it decided.
    """

    exists: bool = False
    phase: str | None = None
    entered_at: datetime | None = None
    entered_without_gate: bool = False
    decided: Mapping[datetime, DecidedWindow] = field(default_factory=dict)
    recorded_violations: frozenset[RecordedViolation] = frozenset()
    judged_until: Mapping[str, datetime] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    rollbacks: tuple[RollbackRecord, ...] = ()
    rollback_unknown: RollbackRecord | None = None
    approvals: tuple[Approval, ...] = ()
    notices: tuple[RecordedNotice, ...] = ()
    paused: Pause | None = None

    @property
    def open_incident(self) -> Incident | None:
        """The incident that is open; at most one is."""
        return next((incident for incident in self.incidents if incident.closed_at is None), None)

    @property
    def rollbacks_ended(self) -> tuple[RollbackRecord, ...]:
        """Rollbacks that were made, oldest first; `max_rollbacks` counts these."""
        return tuple(rollback for rollback in self.rollbacks if rollback.event == "ended")

    @property
    def answered_until(self) -> datetime | None:
        """When a rollback last ended or an incident was last closed: windows begun before have had their answer."""
        closed = [incident.closed_at for incident in self.incidents if incident.closed_at is not None]
        return max([*closed, *(rollback.at for rollback in self.rollbacks_ended)], default=None)

    @property
    def notice_ids(self) -> frozenset[str]:
        """Ids of all notices that were recorded; none is recorded twice."""
        return frozenset(notice.id for notice in self.notices)

    def judging_digest_changed_at(self, current_digest: str) -> datetime | None:
        """Start of the first window that may count under `current_digest`: where the newest one of another digest ends.

        None where every decision since the phase's entry was made under `current_digest`.
        """
        return max((end for digest, end in self.judged_until.items() if digest != current_digest), default=None)

    def approvals_of_advance(self, judging_digest: str) -> tuple[Approval, ...]:
        """Approvals of the advance out of the current phase under `judging_digest`, oldest first, signed or not."""
        return tuple(
            approval
            for approval in self.approvals
            if approval.subject == "advance"
            and approval.phase == self.phase
            and approval.judging_digest == judging_digest
        )

    def paused_at(self, instant: datetime) -> Pause | None:
        """The pause that holds at `instant`, or None; a pause is over at its `until`."""
        if self.paused is None or (self.paused.until is not None and self.paused.until <= instant):
            return None
        return self.paused


def fold(records: Iterable[Record]) -> LedgerState:
    """The state that `records`, in the order of the ledger, come to; every ledger that can be read has one.

    An incident opened while one is open is added to it, and one added to while none is open opens: an append-only file
    cannot be mended, and neither a violation nor the rule of one incident may be lost.
    """
    folding = _Folding()
    for record in records:
        folding.exists = True
        _APPLY[record.kind](folding, record)
    return folding.state()


def states_before(records: Iterable[Record], wanted: Container[int]) -> Iterator[tuple[int, LedgerState]]:
    """For each record whose number is `wanted`, in order: the number, and the state that those before it come to."""
    folding = _Folding()
    for record in records:
        if record.seq in wanted:
            yield record.seq, folding.state()
        folding.exists = True
        _APPLY[record.kind](folding, record)


class _Folding:
    """The state while records are being applied to it; a copy per record would cost the square of their number."""

    def __init__(self) -> None:
        self.exists = False
        self.phase: str | None = None
        self.entered_at: datetime | None = None
        self.entered_without_gate = False
        self.decided: dict[datetime, DecidedWindow] = {}
        self.violations: set[RecordedViolation] = set()
        self.judged_until: dict[str, datetime] = {}
        self.judging_digest: str | None = None
        self.incidents: list[Incident] = []
        self.rollbacks: list[RollbackRecord] = []
        self.rollback_unknown: RollbackRecord | None = None
        self.added: set[Violation] = set()  # of the open incident, beyond those that it was opened with
        self.standing: dict[int, Approval] = {}  # by when they were given
        self.of_advance: dict[str, list[int]] = {}  # those of an advance, by their judging digest
        self.notices: dict[str, RecordedNotice] = {}
        self.paused: Pause | None = None

    def state(self) -> LedgerState:
        self.settle()
        return LedgerState(
            exists=self.exists,
            phase=self.phase,
            entered_at=self.entered_at,
            entered_without_gate=self.entered_without_gate,
            decided=dict(self.decided),
            recorded_violations=frozenset(self.violations),
            judged_until=dict(self.judged_until),
            incidents=tuple(self.incidents),
            rollbacks=tuple(self.rollbacks),
            rollback_unknown=self.rollback_unknown,
            approvals=tuple(self.standing.values()),
            notices=tuple(self.notices.values()),
            paused=self.paused,
        )

    def enter(self, phase: str, at: datetime, *, without_gate: bool = False) -> None:
        self.phase, self.entered_at, self.entered_without_gate = phase, at, without_gate
        self.judged_until.clear()
        for digest in tuple(self.of_advance):
            self.leave_digest(digest)

    def leave_digest(self, digest: str) -> None:
        for number in self.of_advance.pop(digest, ()):
            del self.standing[number]

    def settle(self) -> None:
        if self.added:
            self.incidents[-1] = self.incidents[-1].with_violations(self.added)
            self.added = set()

    def open_incident(self) -> Incident | None:
        newest = self.incidents[-1] if self.incidents else None
        return newest if newest is not None and newest.closed_at is None else None


def _phase_change(folding: _Folding, record: Record) -> None:
    folding.enter(record.data["to"], record.at, without_gate=record.data.get("without_gate", False))


def _decision(folding: _Folding, record: Record) -> None:
    window = DecidedWindow.of(record)
    folding.decided[window.window_start] = window
    folding.violations.update(RecordedViolation(window.window_start, slo, record.phase) for slo in window.violations)
    if folding.judging_digest not in (None, window.judging_digest):
        folding.leave_digest(folding.judging_digest)
    folding.judging_digest = window.judging_digest
    newest = folding.judged_until.get(window.judging_digest, window.window_end)
    folding.judged_until[window.judging_digest] = max(newest, window.window_end)


def _incident(folding: _Folding, record: Record) -> None:
    open_incident = folding.open_incident()
    if record.data["event"] in ("opened", "added"):
        if open_incident is None:
            folding.incidents.append(Incident.opened_by(record))
        else:
            folding.incidents[-1] = open_incident.caused_by(record)
            folding.added |= violations_in(record)
    elif open_incident is not None and open_incident.id == record.id:
        folding.settle()
        folding.incidents[-1] = _told_of(folding.incidents[-1], record)


def _told_of(incident: Incident, record: Record) -> Incident:
    data = record.data
    if data["event"] == "noted":
        note = IncidentNote(record.at, data["by"], data["reason"], data.get("step"))
        return replace(incident, notes=(*incident.notes, note))
    closed = replace(incident, closed_at=record.at, outcome=data["event"])
    return replace(closed, closed_by=data.get("by"), closed_reason=data.get("reason"))


def _recovery(folding: _Folding, record: Record) -> None:
    incident = folding.open_incident()
    if incident is not None and incident.id == record.data["incident"]:
        check = RecoveryCheck.of(record)
        folding.incidents[-1] = replace(incident, recovery=(*incident.recovery, check))


def _rollback(folding: _Folding, record: Record) -> None:
    rollback = RollbackRecord.of(record)
    folding.rollbacks.append(rollback)
    if rollback.event == "begun":
        folding.rollback_unknown = rollback
    elif rollback.event == "ended":
        _rollback_ended(folding, rollback)
    elif rollback.event == "failed" and folding.rollback_unknown and folding.rollback_unknown.id == rollback.id:
        folding.rollback_unknown = None


def _rollback_ended(folding: _Folding, rollback: RollbackRecord) -> None:
    folding.rollback_unknown = None
    incident = folding.open_incident()
    if incident is not None and _belongs_to(rollback, incident):
        folding.incidents[-1] = replace(
            incident, rollback_recorded=True, rolled_back_at=rollback.at, rolled_back_by=rollback.id
        )
    if folding.phase != rollback.phase_to:
        folding.enter(rollback.phase_to, rollback.at)


def _belongs_to(rollback: RollbackRecord, incident: Incident) -> bool:
    # one made by hand may name no incident; were it not counted, a second rollback would leave one more phase
    return rollback.incident == incident.id or (rollback.incident is None and rollback.phase_from == incident.phase)


def _approval(folding: _Folding, record: Record) -> None:
    approval = Approval.of(record)
    folding.standing[record.seq] = approval
    if approval.subject == "advance":
        folding.of_advance.setdefault(str(approval.judging_digest), []).append(record.seq)


def _notice(folding: _Folding, record: Record) -> None:
    folding.notices.setdefault(record.id, RecordedNotice.of(record))


def _delivery(folding: _Folding, record: Record) -> None:
    notice = folding.notices.get(record.data["notice_id"])
    if notice is not None:
        folding.notices[notice.id] = notice.with_delivery(record)


def _pause(folding: _Folding, record: Record) -> None:
    folding.paused = Pause.of(record)


def _resume(folding: _Folding, _: Record) -> None:
    folding.paused = None


_APPLY: Mapping[str, Callable[[_Folding, Record], None]] = {
    "phase_change": _phase_change,
    "decision": _decision,
    "notice": _notice,
    "delivery": _delivery,
    "incident": _incident,
    "rollback": _rollback,
    "recovery": _recovery,
    "approval": _approval,
    "pause": _pause,
    "resume": _resume,
}
