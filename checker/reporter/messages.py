"""What a transport is given, and what it answers. A notice becomes a message on its way out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Message:
    """One notice on its way out. `text` is escaped for its channel's markup already; `id` is what a copy is known by.

    `outcome` is the one of the policy's rule (ok, warn, violation, no_verdict, rollback, recovered). `thread` is the
    receipt of the incident's first message on the same channel, to which this one is a follow-up. `recorded_at` (UTC)
    is when the ledger got it: no copy can have been sent before.
    """

    id: str
    channel: str
    text: str
    outcome: str
    target: str
    title: str
    phase: str
    window_start: datetime | None
    recorded_at: datetime
    incident: str | None = None
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The acknowledgement of a message: what the transport finds it by; `found` where an earlier run had sent it."""

    reference: str
    found: bool = False


class NotDelivered(Exception):
    """A message was not acknowledged; the text says why, without any credential.

    `retry_after_s` is how long the other side asks to wait. `is_final` means that the same call would fail again (a
    wrong token, an unknown channel). `may_have_arrived` means that it must be looked for first. `answered` is whether
    there was any answer.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after_s: float | None = None,
        is_final: bool = False,
        may_have_arrived: bool = False,
        answered: bool = True,
    ) -> None:
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.is_final = is_final
        self.may_have_arrived = may_have_arrived
        self.answered = answered
        super().__init__(reason)


class Transport(Protocol):
    """Carries messages to one outside service."""

    @property
    def name(self) -> str:
        """`slack`, `pagerduty`, `webhook`: what a delivery record calls it."""
        ...

    def send(self, message: Message) -> Receipt:
        """Send it once; one call, with a deadline, never tried again here. Raises NotDelivered."""
        ...
