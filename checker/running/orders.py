"""What the loop has to do next: when a pass is due, and what it is told. Pure: it hears what the parts said."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checker.collector.retry import GivenUp
from checker.policy.model import COMPLETE, OFF, Policy
from checker.reporter.health import Concern
from checker.running.instants import Grid, Known, judging_instant
from checker.running.judging import Order
from checker.running.process import Message
from checker.windows import parse_iso

AFTER_FAILURE = timedelta(seconds=30)
AFTER_OUTBOX = timedelta(seconds=60)  # before a notice that was not delivered is tried in a pass of its own


@dataclass(slots=True)
class Orders:
    """What was heard so far. `begun_at` is when the loop was started."""

    policy: Policy
    begun_at: datetime
    sealed: datetime | None = None
    judged: datetime | None = None
    verdict_at: datetime | None = None
    stands_at: str | None = None
    waits_at: datetime | None = None
    recovery_next: datetime | None = None
    outbox: int = 0
    _slice_heard: bool = False
    _given_up: list[GivenUp] = field(default_factory=list)
    _concerns: dict[str, Concern] = field(default_factory=dict)
    _ordered: Order | None = None
    _not_before: datetime | None = None
    _passed_at: datetime | None = None
    _told_silent: datetime | None = None

    @property
    def grid(self) -> Grid:
        """The policy's windows."""
        return Grid(self.policy.window, self.policy.lateness)

    def next_closing(self, now: datetime) -> datetime:
        """When the next window closes."""
        return self.grid.closes(self.grid.newest(now).end)

    def concern(self, name: str, told: str) -> None:
        """Have the next pass tell people of something."""
        self._concerns[name] = Concern(name, told)

    def silent_since(self, now: datetime) -> datetime | None:
        """Since when there has been no verdict, where that is too long ago; None in `off`, where none is expected."""
        last = max(self.verdict_at or self.begun_at, self.begun_at)
        is_silent = now - last >= self.policy.collector.no_verdict_after and self.stands_at not in (OFF, COMPLETE)
        return last if is_silent else None

    def hear(self, name: str, message: Message) -> None:
        """Take in what a part said."""
        kind = message.get("kind")
        if kind == "sealed":
            self.sealed = parse_iso(message["window"])
        elif kind == "slice":
            self._slice_heard = True
        elif kind == "waits":
            self.waits_at = parse_iso(message["at"])
        elif kind == "given_up":
            self._given_up.append(GivenUp(message["source"], parse_iso(message["at"]), message["attempts"]))
        elif kind == "judged":
            self._hear_judged(message)
        elif kind == "ended" and name == "pass" and self._ordered is not None:
            self._not_before = self._ordered.at + AFTER_FAILURE  # without a word: the next one is told the same
            self._ordered = None

    def _hear_judged(self, message: Message) -> None:
        order, self._ordered = self._ordered, None
        if order is None:
            return
        self._passed_at = order.at
        self.stands_at = message.get("stands_at", self.stands_at)
        self.outbox = message.get("outbox", self.outbox)
        following = message.get("recovery_next")
        self.recovery_next = parse_iso(following) if following else None
        for concern in order.concerns:
            self._concerns.pop(concern.name, None)
        self._given_up = [item for item in self._given_up if item not in order.given_up]
        if message.get("is_verdict"):
            self.verdict_at = order.at
        if order.checks and ("outcome" in message or self.stands_at in (OFF, COMPLETE)):
            self.judged = self.grid.newest(order.at).start
        elif order.checks:
            self._not_before = order.at + AFTER_FAILURE

    def next(self, now: datetime, is_unheard: bool = False) -> Order | None:
        """The pass that is due now, None where none is; what is given here counts as ordered.

        With `is_unheard` the collector has said nothing for so long that it is not waited for.
        """
        if self._ordered is not None:
            return None
        order = self._next(now, is_unheard)
        self._ordered = order
        return order

    def _next(self, now: datetime, is_unheard: bool) -> Order | None:
        given_up, concerns = tuple(self._given_up), tuple(self._concerns.values())
        silent = self.silent_since(now)
        is_held = self._not_before is not None and now < self._not_before
        at = None if is_held else self._checked_at(now, is_unheard)
        if at is not None:
            self._slice_heard = False
            return Order(at, given_up, concerns, silent)
        is_news = silent is not None and silent != self._told_silent
        waits = self.outbox and self._passed_at is not None and now - self._passed_at >= AFTER_OUTBOX
        if (given_up or concerns or is_news or waits) and not is_held:
            self._told_silent = silent
            return Order(now, given_up, concerns, silent, checks=False)
        return None

    def _checked_at(self, now: datetime, is_unheard: bool) -> datetime | None:
        known = Known(self.sealed, self.judged, self.waits_at, is_unheard)
        at = judging_instant(self.grid, now, known)
        if at is not None:
            return at
        every, due = self.policy.rollback.recovery_every, self.recovery_next
        if due is not None and now >= due and (self._slice_heard or now >= due + every):
            return now
        return None
