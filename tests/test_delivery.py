"""The outbox: everything is delivered, in order, each receipt recorded; what fails is told, and tried again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from checker.errors import NotRecorded
from checker.ledger.append import END_OF_TIME, Draft, writing
from checker.ledger.records import read_ledger
from checker.ledger.state import LedgerState, fold
from checker.ledger.values import RecordedNotice
from checker.reporter.delivery import Delivery, Post, Sent, reporting
from checker.reporter.messages import Message, NotDelivered, Receipt, Transport
from tests.batches import FIRST
from tests.decisions import policy
from tests.limits import files_of_at_most

RATE_LIMITED = NotDelivered("rate limited", retry_after_s=7.0)
NO_ANSWER = NotDelivered("no answer", may_have_arrived=True, answered=False)
SERVER_FAULT = NotDelivered("answered 500", may_have_arrived=True)
WRONG_TOKEN = NotDelivered("invalid_auth", is_final=True)


@dataclass
class Carrier:
    """A transport that answers as it is told, then acknowledges everything."""

    name: str = "slack"
    answers: Iterator[NotDelivered | None] = field(default_factory=lambda: iter(()))
    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> Receipt:
        self.messages.append(message)
        if fault := next(self.answers, None):
            raise fault
        return Receipt(f"C1/{len(self.messages)}")


@dataclass
class Carriers:
    """Transports by channel."""

    by_channel: dict[str, Carrier] = field(default_factory=dict)

    @property
    def has_any(self) -> bool:
        return bool(self.by_channel)

    def carrier(self, channel: str) -> Transport | None:
        return self.by_channel.get(channel)

    def missing(self, channel: str) -> str:
        return f"set the credential of {channel}"


@dataclass
class StillClock:
    """A clock that only moves when somebody sleeps; it remembers how long."""

    at: datetime = FIRST + timedelta(hours=1)
    passed_s: float = 0.0
    pauses_s: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at + timedelta(seconds=int(self.passed_s))

    def monotonic_s(self) -> float:
        return self.passed_s

    def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        self.passed_s += seconds


def notice(name: str, channel: str = "#rollout", incident: str | None = None, state: str | None = None) -> Draft:
    """A notice to be delivered."""
    data = {"notice": name, "outcome": "ok", "channel": channel, "text": name, "incident": incident, "state": state}
    return Draft("notice", "B", data, FIRST, name)


@dataclass
class Desk:
    """A ledger with notices, and what delivers them."""

    ledger: Path
    carriers: Carriers = field(default_factory=Carriers)
    clock: StillClock = field(default_factory=StillClock)
    pages: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    page_fault: OSError | None = None

    def record(self, *drafts: Draft) -> None:
        with writing(self.ledger) as writer:
            writer.append_now(drafts, FIRST)

    def delivery(self, deadline_s: float = 60.0) -> Delivery:
        return Delivery(policy(), self.ledger, Post(self.carriers, self._page, self._keep), self.clock, deadline_s)

    def _page(self, state: LedgerState, subject: str) -> str:
        if self.page_fault:
            raise self.page_fault
        assert subject in {notice.incident for notice in state.notices}
        self.pages.append(subject)
        return f"reports/incidents/{subject}/runbook.md"

    def _keep(self, notice: RecordedNotice) -> str:
        self.kept.append(notice.id)
        return f"reports/notices/{notice.id}.md"

    @property
    def state(self) -> LedgerState:
        return fold(read_ledger(self.ledger, END_OF_TIME).records)

    def deliveries(self) -> list[tuple[str, str, str]]:
        """Notice, result and transport of each delivery record."""
        records = read_ledger(self.ledger, END_OF_TIME).records
        rows = (record.data for record in records if record.kind == "delivery")
        return [(row["notice_id"], row["result"], row["transport"]) for row in rows]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "ledger" / "autosave.jsonl")


def slack(*answers: NotDelivered | None, channels: Iterable[str] = ("#rollout",)) -> Carriers:
    carrier = Carrier(answers=iter(answers))
    return Carriers(dict.fromkeys(channels, carrier))


def names(carriers: Carriers, channel: str = "#rollout") -> list[str]:
    return [message.id for message in carriers.by_channel[channel].messages]


def test_everything_is_delivered_once_and_in_order(desk: Desk) -> None:
    desk.record(notice("n1"), notice("n2"), notice("n3"))
    desk.carriers = slack()
    assert desk.delivery().run().delivered == {"n1": "slack", "n2": "slack", "n3": "slack"}
    assert names(desk.carriers) == ["n1", "n2", "n3"]
    assert desk.deliveries() == [(name, "delivered", "slack") for name in ("n1", "n2", "n3")]
    assert [notice.receipt for notice in desk.state.notices] == ["C1/1", "C1/2", "C1/3"]
    assert desk.delivery().run() == Sent()
    assert names(desk.carriers) == ["n1", "n2", "n3"]


def test_a_rate_limit_is_waited_for(desk: Desk) -> None:
    desk.record(notice("n1"), notice("n2"))
    desk.carriers = slack(RATE_LIMITED)
    assert desk.delivery().run().is_complete
    assert desk.clock.pauses_s[0] >= 7.0
    assert names(desk.carriers) == ["n1", "n2", "n1"]


def test_a_transport_that_does_not_answer_is_given_up_in_time(desk: Desk) -> None:
    desk.record(notice("n1"), notice("n2"), notice("other", "webhook"))
    desk.carriers = slack(*[NO_ANSWER] * 99)
    desk.carriers.by_channel["webhook"] = Carrier("webhook")
    sent = desk.delivery(60.0).run()
    assert sent.delivered == {"other": "webhook"}
    assert set(sent.failed) == {"n1", "n2"}
    assert desk.clock.passed_s <= 60.0
    assert set(names(desk.carriers)) == {"n1", "n2"}
    assert not desk.state.notices[0].is_settled


class Stubborn(Carrier):
    """Answers one notice with a fault of the server's, whenever it is asked."""

    def send(self, message: Message) -> Receipt:
        if message.id == "poison":
            self.messages.append(message)
            raise SERVER_FAULT
        return super().send(message)


def test_a_notice_that_the_server_stumbles_over_holds_up_no_other(desk: Desk) -> None:
    desk.record(notice("poison"), notice("n2"), notice("n3"))
    desk.carriers = Carriers({"#rollout": Stubborn()})
    sent = desk.delivery(60.0).run()
    assert (sent.delivered, sent.failed) == ({"n2": "slack", "n3": "slack"}, {"poison": "answered 500"})
    assert desk.clock.passed_s <= 60.0


def test_an_outage_is_recorded_once_and_a_later_run_delivers(desk: Desk) -> None:
    desk.record(notice("n1"))
    for _ in range(3):
        desk.carriers = slack(*[NO_ANSWER] * 99)
        desk.delivery().run()
    assert desk.deliveries() == [("n1", "failed", "slack")]
    assert (desk.state.notices[0].failure, desk.state.notices[0].failures) == ("no answer", 1)
    desk.carriers = slack()
    assert desk.delivery().run().is_complete
    assert desk.state.notices[0].is_settled


def test_a_fault_that_would_come_again_is_not_tried_again(desk: Desk) -> None:
    desk.record(notice("n1"), notice("n2"))
    desk.carriers = slack(WRONG_TOKEN, WRONG_TOKEN)
    sent = desk.delivery().run()
    assert sent.failed == {"n1": "invalid_auth", "n2": "invalid_auth"}
    assert (names(desk.carriers), desk.clock.pauses_s) == (["n1", "n2"], [])


def test_a_first_round_tries_each_once_and_waits_for_nothing(desk: Desk) -> None:
    desk.record(notice("n1"), notice("n2"), notice("n3", "#other"))
    desk.carriers = slack(NO_ANSWER)
    desk.carriers.by_channel["#other"] = Carrier()
    delivery = desk.delivery()
    assert delivery.once().delivered == {"n3": "slack"}
    assert (names(desk.carriers), desk.clock.pauses_s) == (["n1"], [])
    assert delivery.run().is_complete
    assert names(desk.carriers) == ["n1", "n2", "n1"]


def incident_notices() -> tuple[Draft, ...]:
    return (
        notice("first", "#incident", "i1"),
        notice("entry", "runbook", "i1", "proposed"),
        notice("follow-up", "#incident", "i1"),
        notice("unrelated"),
    )


def test_follow_ups_go_into_the_thread_of_the_first(desk: Desk) -> None:
    desk.record(*incident_notices())
    desk.carriers = slack(channels=("#incident", "#rollout"))
    assert desk.delivery().run().is_complete
    threads = {message.id: message.thread for message in desk.carriers.by_channel["#incident"].messages}
    assert threads == {"first": None, "follow-up": "C1/1", "unrelated": None}
    assert desk.pages == ["i1"]


def test_what_follows_waits_for_the_first(desk: Desk) -> None:
    """The Runbook's entry comes after the incident was sent; what was done is entered at once."""
    desk.record(*incident_notices(), notice("begun", "runbook", "i1", "begun"))
    desk.carriers = slack(WRONG_TOKEN, channels=("#incident", "#rollout"))
    sent = desk.delivery().run()
    assert sent.failed == {"first": "invalid_auth", "entry": "waits for first", "follow-up": "waits for first"}
    assert sent.delivered == {"unrelated": "slack", "begun": "runbook"}


def test_a_notice_that_a_client_stumbles_over_holds_up_no_other(desk: Desk) -> None:
    desk.record(notice("n1"), notice("n2", "#other"))
    desk.carriers = slack(channels=("#other",))
    desk.carriers.by_channel["#rollout"] = Stumbling()
    sent = desk.delivery().run()
    assert (sent.failed, sent.delivered) == ({"n1": "internal error: ZeroDivisionError"}, {"n2": "slack"})


class Stumbling(Carrier):
    def send(self, message: Message) -> Receipt:
        raise ZeroDivisionError(message.id)


def test_without_any_credential_notices_are_kept(desk: Desk) -> None:
    desk.record(*incident_notices())
    sent = desk.delivery().run()
    assert set(sent.kept) == {"first", "follow-up", "unrelated"}
    assert sent.delivered == {"entry": "runbook"}
    assert sent.is_complete
    assert all(notice.is_settled for notice in desk.state.notices)
    assert [row[1] for row in desk.deliveries()] == ["kept", "delivered", "kept", "kept"]


@pytest.mark.parametrize("why", ["another channel has one", "it was sent before"])
def test_a_credential_that_is_missing_is_a_fault_where_there_is_or_was_one(desk: Desk, why: str) -> None:
    if why == "it was sent before":
        desk.record(notice("n0"))
        desk.carriers = slack()
        desk.delivery().run()
        desk.carriers = Carriers()
    else:
        desk.carriers = Carriers({"webhook": Carrier("webhook")})
    desk.record(notice("n1"))
    assert desk.delivery().run().failed == {"n1": "no credential: set the credential of #rollout"}
    assert desk.kept == []


def test_a_page_that_cannot_be_written_is_told(desk: Desk) -> None:
    desk.page_fault = OSError(28, "No space left on device")
    desk.record(notice("begun", "runbook", "i1", "begun"))
    assert desk.delivery().run().failed == {"begun": "i1: cannot be written: No space left on device"}


def test_a_receipt_that_cannot_be_recorded_ends_the_run(desk: Desk) -> None:
    """Nothing more is sent that could not be remembered; the copy of the next run has the same id."""
    desk.record(notice("n1"), notice("n2"))
    desk.carriers = slack()
    delivery = desk.delivery()
    with files_of_at_most(desk.ledger.stat().st_size), pytest.raises(NotRecorded, match=r"n1 is not in the ledger"):
        delivery.run()
    assert names(desk.carriers) == ["n1"]
    assert desk.delivery().run().is_complete
    assert names(desk.carriers) == ["n1", "n1", "n2"]


def test_one_process_delivers_at_a_time(desk: Desk) -> None:
    desk.record(notice("n1"))
    second = reporting(desk.ledger, wait_s=0.05)
    with reporting(desk.ledger), pytest.raises(NotRecorded, match="another phasegate is delivering"), second:
        raise AssertionError("two processes deliver at once")
