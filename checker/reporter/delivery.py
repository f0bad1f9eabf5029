"""Delivers what the ledger has undelivered: send, then record the receipt. One reporter at a time.

Whatever crashes between the two is sent again by the next run, which a transport that can looks for first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from checker.errors import NotRecorded
from checker.ledger.append import END_OF_TIME, LOCK_WAIT_S, Draft, locked, writing
from checker.ledger.records import read_ledger, shown_name
from checker.ledger.state import LedgerState, fold
from checker.ledger.values import RecordedNotice
from checker.policy.model import Policy
from checker.reporter.messages import NotDelivered, Receipt, Transport
from checker.reporter.outbox import FILE, RUNBOOK, Outbox, delivered, failed, kept
from checker.reporter.transports.backoff import next_pause

NO_CREDENTIAL = "no credential"


class Clock(Protocol):
    """Time as a command sees it, and the only way to wait."""

    def now(self) -> datetime:
        """The instant that records are made at, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from some beginning, never going back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Carriers(Protocol):
    """Which transport carries a channel, by the credentials that there are."""

    @property
    def has_any(self) -> bool:
        """Whether there is any credential at all."""
        ...

    def carrier(self, channel: str) -> Transport | None:
        """The transport of a channel, None where its credential is missing."""
        ...

    def missing(self, channel: str) -> str:
        """What to set so that there is one; no value of a credential."""
        ...


@dataclass(frozen=True, slots=True)
class Post:
    """Where notices go: outside, into the Runbook (`write_page` writes an incident's), or else into a folder.

    `keep` writes a notice that nobody could be sent to and returns the place as it is shown.
    """

    carriers: Carriers
    write_page: Callable[[LedgerState, str], str]
    keep: Callable[[RecordedNotice], str]


@dataclass(slots=True)
class Sent:
    """What a run came to, by the ids of the notices."""

    delivered: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether nothing failed."""
        return not self.failed


@contextmanager
def reporting(ledger: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """The right to deliver, which one process has at a time. Raises NotRecorded where another has it for `wait_s`."""
    told = f"another phasegate is delivering what {shown_name(ledger)} holds"
    with locked(Path(f"{ledger}.report"), told, wait_s):
        yield


@dataclass(slots=True)
class Delivery:
    """One run over the outbox of `ledger`; `deadline_s` is what all attempts and pauses together may take."""

    policy: Policy
    ledger: Path
    post: Post
    clock: Clock
    deadline_s: float
    sent: Sent = field(default_factory=Sent)
    _outbox: Outbox = field(init=False)
    _end_s: float = field(init=False)
    _held_until_s: dict[str, float] = field(default_factory=dict)  # by channel
    _attempts: dict[str, int] = field(default_factory=dict)
    _given_up: dict[str, str] = field(default_factory=dict)  # by channel, with why

    def __post_init__(self) -> None:
        self._end_s = self.clock.monotonic_s() + self.deadline_s
        self.look()

    def look(self) -> None:
        """Read the ledger again: others may have written it."""
        self._outbox = Outbox(self.policy, fold(read_ledger(self.ledger, END_OF_TIME).records))

    def once(self) -> Sent:
        """Try each notice once, and wait for nothing. Raises NotRecorded where a receipt cannot be recorded."""
        while notice := self._next(lambda notice: notice.id not in self._attempts and self._pause_s(notice) <= 0):
            self._handle(notice)
        return self.sent

    def run(self) -> Sent:
        """Try until everything is settled or given up. Raises NotRecorded where a receipt cannot be recorded."""
        while notice := self._next(lambda _: True):
            if (pause_s := self._pause_s(notice)) > 0:
                self.clock.sleep(pause_s)
            self._handle(notice)
        return self.sent

    def _next(self, may: Callable[[RecordedNotice], bool]) -> RecordedNotice | None:
        """Of the notices that may be tried one whose channel is free first; of those the least tried, then the oldest.

        So one that the other side stumbles over is not tried again before the others had their turn.
        """
        for notice in self._outbox.waiting:
            earlier = self._outbox.stands_before(notice)
            if earlier in self.sent.failed:
                self.sent.failed[notice.id] = f"waits for {earlier}"
        ready = (notice for notice in self._outbox.ready() if notice.id not in self.sent.failed and may(notice))
        return min(ready, key=lambda notice: (self._pause_s(notice), self._attempts.get(notice.id, 0)), default=None)

    def _pause_s(self, notice: RecordedNotice) -> float:
        return max(0.0, self._held_until_s.get(notice.channel, 0.0) - self.clock.monotonic_s())

    def _handle(self, notice: RecordedNotice) -> None:
        carriers = self.post.carriers
        if notice.channel == RUNBOOK:
            self._to_runbook(notice)
        elif (carrier := carriers.carrier(notice.channel)) is not None:
            self._send(notice, carrier)
        elif carriers.has_any or self._outbox.sent_before:
            reason = f"{NO_CREDENTIAL}: {carriers.missing(notice.channel)}"
            self._failed(notice, NO_CREDENTIAL, NotDelivered(reason, is_final=True))
        else:
            self._keep(notice)

    def _keep(self, notice: RecordedNotice) -> None:
        try:
            place = self.post.keep(notice)
        except OSError as fault:
            self._failed(notice, FILE, NotDelivered(f"cannot be written: {fault.strerror}", is_final=True))
            return
        self._record(kept(notice, place))
        self.sent.kept[notice.id] = place

    def _to_runbook(self, notice: RecordedNotice) -> None:
        subject = notice.incident or notice.id
        try:
            place = self.post.write_page(self._outbox.state, subject)
        except OSError as fault:
            self._failed(notice, RUNBOOK, NotDelivered(f"{subject}: cannot be written: {fault.strerror}"))
            return
        except Exception as fault:  # as below
            self._failed(notice, RUNBOOK, NotDelivered(f"internal error: {type(fault).__name__}", is_final=True))
            return
        self._record(delivered(notice, RUNBOOK, Receipt(place)))
        self.sent.delivered[notice.id] = RUNBOOK

    def _send(self, notice: RecordedNotice, carrier: Transport) -> None:
        if why := self._given_up.get(notice.channel):
            self.sent.failed[notice.id] = why
            return
        attempt = self._attempts[notice.id] = self._attempts.get(notice.id, 0) + 1
        try:
            receipt = carrier.send(self._outbox.message(notice))
        except NotDelivered as fault:
            self._after(notice, carrier, attempt, fault)
            return
        except Exception as fault:  # a notice that a client stumbles over holds up none of the others
            self._failed(notice, carrier.name, NotDelivered(f"internal error: {type(fault).__name__}", is_final=True))
            return
        self._record(delivered(notice, carrier.name, receipt))
        self.sent.delivered[notice.id] = carrier.name

    def _after(self, notice: RecordedNotice, carrier: Transport, attempt: int, fault: NotDelivered) -> None:
        pause_s = next_pause(attempt, fault, self._end_s - self.clock.monotonic_s())
        if pause_s is not None:
            self._held_until_s[notice.channel] = self.clock.monotonic_s() + pause_s
            return
        if not fault.answered:  # the next notice would wait as long for nothing
            self._given_up[notice.channel] = f"{carrier.name} does not answer: {fault.reason}"
        self._failed(notice, carrier.name, fault)

    def _failed(self, notice: RecordedNotice, transport: str, fault: NotDelivered) -> None:
        self.sent.failed[notice.id] = fault.reason
        if draft := failed(notice, transport, fault):
            self._record(draft)

    def _record(self, draft: Draft) -> None:
        try:
            with writing(self.ledger) as writer:
                writer.append_now([draft], self.clock.now())
                self._outbox = Outbox(self.policy, fold(writer.ledger.records))
        except NotRecorded as fault:
            about = draft.data["notice_id"]
            raise NotRecorded(f"{fault}\nwhat came of {about} is not in the ledger: it is sent again") from fault
