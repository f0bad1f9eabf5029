"""What the ledger has undelivered, in which order it goes out, and what an answer comes to. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from checker.ledger.append import Draft
from checker.ledger.state import LedgerState
from checker.ledger.values import RecordedNotice
from checker.policy.model import Policy
from checker.reporter.messages import Message, NotDelivered, Receipt

RUNBOOK = "runbook"
FILE = "file"
LONGEST_DETAIL = 500


@dataclass(frozen=True, slots=True)
class Outbox:
    """Notices that are not settled, oldest first; `sent_before` says that a transport has delivered something ever."""

    policy: Policy
    state: LedgerState

    @property
    def waiting(self) -> tuple[RecordedNotice, ...]:
        """Every notice of which nobody has acknowledged anything."""
        return tuple(notice for notice in self.state.notices if not notice.is_settled)

    @property
    def sent_before(self) -> bool:
        """Whether anything was ever delivered to the outside: then a missing credential is a fault."""
        return any(notice.delivered_at and notice.transport not in (RUNBOOK, FILE) for notice in self.state.notices)

    def ready(self) -> Iterator[RecordedNotice]:
        """Those that nothing stands before."""
        return (notice for notice in self.waiting if not self.stands_before(notice))

    def stands_before(self, notice: RecordedNotice) -> str | None:
        """The id of a notice that must be settled first, None where none must.

        What follows an incident's first message comes after it: in its thread, and as the Runbook's entry.
        """
        if notice.incident is None or _may_overtake(notice):
            return None
        for earlier in self.state.notices:
            if earlier.id == notice.id:
                return None
            if earlier.incident == notice.incident and not earlier.is_settled and _goes_first(earlier, notice):
                return earlier.id
        return None

    def message(self, notice: RecordedNotice) -> Message:
        """The notice as a transport gets it, with the receipt of the incident's first message in its channel."""
        return Message(
            id=notice.id,
            channel=notice.channel,
            text=notice.text,
            outcome=notice.outcome,
            target=self.policy.target,
            title=self.policy.title,
            phase=notice.phase,
            window_start=notice.window_start,
            recorded_at=notice.at,
            incident=notice.incident,
            thread=self._thread(notice),
        )

    def _thread(self, notice: RecordedNotice) -> str | None:
        if notice.incident is None:
            return None
        for earlier in self.state.notices:
            if earlier.id == notice.id:
                return None
            if earlier.incident == notice.incident and earlier.channel == notice.channel and earlier.delivered_at:
                return earlier.receipt
        return None


def _goes_first(earlier: RecordedNotice, notice: RecordedNotice) -> bool:
    return earlier.channel == notice.channel or notice.channel == RUNBOOK


def _may_overtake(notice: RecordedNotice) -> bool:
    """Whether the notice does not wait: what was done is in the Runbook at once, whoever has heard of it."""
    return notice.channel == RUNBOOK and notice.state in ("begun", "ended")


def delivered(notice: RecordedNotice, transport: str, receipt: Receipt) -> Draft:
    """The record of an acknowledgement."""
    detail = "found: an earlier run had sent it" if receipt.found else None
    return _delivery(notice, transport, "delivered", receipt.reference or None, detail)


def kept(notice: RecordedNotice, place: str) -> Draft:
    """The record of a notice that was written to `place` because there is no credential at all."""
    return _delivery(notice, FILE, "kept", place, "no credential: nothing was sent")


def failed(notice: RecordedNotice, transport: str, fault: NotDelivered) -> Draft | None:
    """The record of a failure; None where the ledger has the same already, so that an outage does not fill it."""
    detail = fault.reason[:LONGEST_DETAIL]
    return None if notice.failure == detail else _delivery(notice, transport, "failed", None, detail)


def _delivery(notice: RecordedNotice, transport: str, result: str, receipt: str | None, detail: str | None) -> Draft:
    return Draft(
        kind="delivery",
        phase=notice.phase,
        window_start=notice.window_start,
        data={
            "notice_id": notice.id,
            "transport": transport,
            "result": result,
            "receipt": receipt,
            "detail": detail,
        },
    )
