"""An incident, or a rollback without one, with all that the ledger holds of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from checker.ledger.records import Record
from checker.ledger.state import LedgerState
from checker.ledger.values import Approval, Incident, RecordedNotice, RollbackRecord
from checker.policy.model import Policy


@dataclass(frozen=True, slots=True)
class IncidentView:
    """What a page is made from. `subject` is the incident's id, or a rollback's that was made without an incident.

    `records` are those that speak of the subject, oldest first.
    """

    policy: Policy
    subject: str
    state: LedgerState
    records: tuple[Record, ...]
    as_of: datetime

    @property
    def incident(self) -> Incident | None:
        """The incident, None where the subject is a rollback's."""
        return next((incident for incident in self.state.incidents if incident.id == self.subject), None)

    @property
    def rollbacks(self) -> tuple[RollbackRecord, ...]:
        """Every event of its rollback, oldest first."""
        own = {self.subject, self.incident.rolled_back_by if self.incident else None} - {None}
        return tuple(row for row in self.state.rollbacks if own & {row.incident, row.id})

    @property
    def notices(self) -> tuple[RecordedNotice, ...]:
        """Its notices, oldest first."""
        return tuple(notice for notice in self.state.notices if notice.incident == self.subject)

    @property
    def approvals(self) -> tuple[Approval, ...]:
        """Approvals of what was done about it; one of an advance or of a change is none of these."""
        about = (row for row in self.state.approvals if row.incident == self.subject)
        return tuple(row for row in about if row.subject == "incident")

    @property
    def ended(self) -> RollbackRecord | None:
        """How its rollback ended, None where it has not."""
        return next((row for row in self.rollbacks if row.event == "ended"), None)

    @property
    def phase_before(self) -> str | None:
        """Where a rollback leads, None where the policy no longer has the phase."""
        return self.policy.phase_before(self.phase) if self.phase in self.policy.phase_names else None

    @property
    def phase(self) -> str:
        """The phase that it happened in."""
        if self.incident is not None:
            return self.incident.phase
        return self.rollbacks[0].phase_from if self.rollbacks else self.state.phase or ""

    @property
    def reason(self) -> str:
        """Why it is rolled back: the SLO that was furthest past its threshold when it was opened."""
        opened = next((row for row in self.records if row.kind == "incident" and row.data.get("slos")), None)
        if opened is not None:
            return f"{opened.data['slos'][0]} violation"
        return self.rollbacks[-1].reason if self.rollbacks else self.subject


def view_of(
    policy: Policy, subject: str, state: LedgerState, records: Sequence[Record], as_of: datetime
) -> IncidentView:
    """The view of an incident or a rollback."""
    notices = {notice.id for notice in state.notices if notice.incident == subject}
    incident = next((row for row in state.incidents if row.id == subject), None)
    by_hand = incident.rolled_back_by if incident else None  # it may name no incident
    own = tuple(record for record in records if _speaks_of(record, subject, notices) or record.id == by_hand)
    return IncidentView(policy, subject, state, own, as_of)


def subjects_of(state: LedgerState) -> tuple[str, ...]:
    """Everything that has a page: each incident, and each rollback without one, oldest first."""
    lone = [rollback.id for rollback in state.rollbacks if rollback.incident is None]
    return tuple(dict.fromkeys([*(incident.id for incident in state.incidents), *lone]))


def _speaks_of(record: Record, subject: str, notices: set[str]) -> bool:
    if record.kind == "delivery":
        return record.data["notice_id"] in notices
    return record.id == subject or subject in (record.data.get("incident"), record.data.get("rollback"))
