"""The transports against a real server: what is sent, what each fault comes to, and that no credential is ever told."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checker.errors import UsageError
from checker.reporter.messages import Message, NotDelivered, Transport
from checker.reporter.transports.backoff import next_pause
from checker.reporter.transports.credentials import Transports
from checker.reporter.transports.pagerduty import PagerDuty
from checker.reporter.transports.slack import SlackBot
from checker.reporter.transports.slack_blocks import MAX_SECTION, parts
from checker.reporter.transports.slack_webhook import SlackWebhook
from checker.reporter.transports.webhook import SIGNATURE, TIMESTAMP, Webhook, is_genuine
from tests.chat_server import ROUTING_KEY, TOKEN, ChatServer, Fault, serving

NOW = datetime(2026, 1, 2, 12, 5, tzinfo=UTC)
SECRET = "s3cret-of-the-webhook"
MESSAGE = Message(
    id="autosave/B/20260102T114500Z/autosave-incident",
    channel="#incident-autosave",
    text="🚨 AutoSave B *violation*\n`phasegate rollback --target=autosave`",
    outcome="violation",
    target="autosave",
    title="AutoSave",
    phase="B",
    window_start=NOW - timedelta(minutes=20),
    recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
    incident="incident-1",
)


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with serving(ChatServer()) as server:
        yield server


def bot(chat: ChatServer, token: str = TOKEN) -> SlackBot:
    return SlackBot(token, chat.api, deadline_s=1)


def transport(chat: ChatServer, kind: str) -> Transport:
    """A transport of this kind that may wait for a second."""
    return {
        "slack": lambda: bot(chat),
        "slack-webhook": lambda: SlackWebhook(f"{chat.address}/services/T/B/x", 1),
        "pagerduty": lambda: PagerDuty(ROUTING_KEY, chat.address, 1),
        "webhook": lambda: Webhook(f"{chat.address}/hook/{SECRET}", SECRET, lambda: NOW, 1),
    }[kind]()


PATHS = {
    "slack": "/api/chat.postMessage",
    "slack-webhook": "/services",
    "pagerduty": "/v2/enqueue",
    "webhook": "/hook",
}


def test_a_bots_message_has_blocks_and_plain_text_and_a_receipt(chat: ChatServer) -> None:
    receipt = bot(chat).send(MESSAGE)
    (message,) = chat.messages
    assert (receipt.reference, receipt.found) == (f"C002/{message['ts']}", False)
    assert message["text"] == MESSAGE.text
    assert message["blocks"] == [
        {"type": "section", "text": {"type": "mrkdwn", "text": MESSAGE.text, "verbatim": True}},
        {"type": "context", "elements": [{"type": "plain_text", "text": MESSAGE.id}]},
    ]
    assert message["metadata"] == {"event_type": "phasegate_notice", "event_payload": {"id": MESSAGE.id}}


def test_a_follow_up_goes_into_the_thread(chat: ChatServer) -> None:
    first = bot(chat).send(MESSAGE)
    follow_up = replace(MESSAGE, id="later", thread=first.reference)
    assert bot(chat).send(follow_up).reference.startswith("C002/")
    assert chat.messages[1]["thread_ts"] == chat.messages[0]["ts"]
    assert bot(chat).send(follow_up).found
    assert chat.ids() == [MESSAGE.id, "later"]


def test_a_copy_is_found_on_a_later_page(chat: ChatServer) -> None:
    for number in range(5):
        bot(chat).send(replace(MESSAGE, id=f"n{number}"))
    receipt = bot(chat).send(replace(MESSAGE, id="n0"))
    assert (receipt.found, receipt.reference) == (True, f"C002/{chat.messages[0]['ts']}")
    assert chat.ids() == ["n0", "n1", "n2", "n3", "n4"]


def test_one_look_is_enough_for_a_run(chat: ChatServer) -> None:
    one = bot(chat)
    for number in range(5):
        one.send(replace(MESSAGE, id=f"n{number}"))
    assert chat.requests.count("/api/conversations.history") == 1


@pytest.mark.parametrize("scopes", [{"chat:write"}, {"chat:write", "channels:read"}])
def test_without_the_scope_to_look_it_sends(chat: ChatServer, scopes: set[str]) -> None:
    chat.scopes = frozenset(scopes)
    assert not bot(chat).send(MESSAGE).found
    assert not bot(chat).send(MESSAGE).found
    assert chat.ids() == [MESSAGE.id, MESSAGE.id]


@pytest.mark.parametrize("kind", ["cut", "hang"])
@pytest.mark.parametrize("takes", [True, False])
def test_a_message_whose_answer_was_lost_exists_once(chat: ChatServer, kind: str, takes: bool) -> None:
    chat.faults = [Fault("/api/chat.postMessage", kind, takes=takes)]
    one = bot(chat)
    with pytest.raises(NotDelivered) as caught:
        one.send(MESSAGE)
    assert caught.value.may_have_arrived
    assert one.send(MESSAGE).found is takes
    assert chat.ids() == [MESSAGE.id]


FAULTS: list[tuple[Fault, dict[str, Any]]] = [
    (Fault("", "status", 429, "7"), {"retry_after_s": 7.0, "is_final": False, "may_have_arrived": False}),
    (Fault("", "status", 429), {"retry_after_s": None, "is_final": False, "may_have_arrived": False}),
    (Fault("", "status", 500), {"is_final": False, "may_have_arrived": True}),
    (Fault("", "status", 503, "3"), {"is_final": False, "may_have_arrived": True}),
    (Fault("", "cut"), {"is_final": False, "may_have_arrived": True}),
    (Fault("", "hang"), {"is_final": False, "may_have_arrived": True}),
    (Fault("", "status", 404), {"is_final": True, "may_have_arrived": False}),
]


@pytest.mark.parametrize(
    ("kind", "fault", "expected"),
    [
        (kind, *row) for kind in PATHS for row in FAULTS if (kind, row[0].status) != ("slack", 404)
    ],  # it has no such answer
    ids=lambda value: getattr(value, "kind", ""),
)
def test_each_fault_of_each_transport(chat: ChatServer, kind: str, fault: Fault, expected: dict[str, Any]) -> None:
    chat.faults = [replace(fault, path=PATHS[kind])]
    with pytest.raises(NotDelivered) as caught:
        transport(chat, kind).send(MESSAGE)
    assert {name: getattr(caught.value, name) for name in expected} == expected
    assert transport(chat, kind).send(MESSAGE).reference


@pytest.mark.parametrize("kind", list(PATHS))
def test_a_server_that_is_not_there_got_nothing(kind: str) -> None:
    with serving(ChatServer()) as gone:
        port = gone.port
    with pytest.raises(NotDelivered, match="cannot be reached") as caught:
        transport(ChatServer(port=port), kind).send(MESSAGE)
    assert not caught.value.may_have_arrived
    assert not caught.value.is_final


@pytest.mark.parametrize(
    ("error", "is_final"),
    [("channel_not_found", True), ("invalid_auth", True), ("ratelimited", False), ("internal_error", False)],
)
def test_what_slack_refuses(chat: ChatServer, error: str, is_final: bool) -> None:
    chat.faults = [Fault("/api/chat.postMessage", "error", error=error)]
    with pytest.raises(NotDelivered) as caught:
        bot(chat).send(MESSAGE)
    assert caught.value.is_final is is_final


def test_a_wrong_token_is_final(chat: ChatServer) -> None:
    with pytest.raises(NotDelivered, match="Slack: invalid_auth") as caught:
        bot(chat, "xoxb-wrong").send(MESSAGE)
    assert caught.value.is_final
    with pytest.raises(NotDelivered, match="PagerDuty answered 400") as caught:
        PagerDuty("wrong", chat.address, 1).send(MESSAGE)
    assert caught.value.is_final


def test_an_incident_is_triggered_and_resolved_under_one_key(chat: ChatServer) -> None:
    pager = transport(chat, "pagerduty")
    pager.send(MESSAGE)
    pager.send(replace(MESSAGE, id="later", outcome="recovered"))
    first, second = chat.events
    assert (first["event_action"], second["event_action"]) == ("trigger", "resolve")
    assert first["dedup_key"] == second["dedup_key"] == "phasegate/autosave/incident-1"
    assert first["payload"]["summary"] == MESSAGE.text.split("\n")[0]
    assert first["payload"]["severity"] == "critical"


def test_the_webhooks_signature_is_what_its_receiver_computes(chat: ChatServer) -> None:
    transport(chat, "webhook").send(MESSAGE)
    (call,) = chat.calls
    headers, body = call["headers"], call["body"].encode()
    digest = hmac.new(SECRET.encode(), headers[TIMESTAMP].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"v1={digest}"
    assert headers["Idempotency-Key"] == MESSAGE.id
    assert json.loads(body)["text"] == MESSAGE.text
    assert is_genuine(SECRET, headers, body, NOW)
    assert not is_genuine(SECRET, headers, body + b" ", NOW)
    assert not is_genuine("other", headers, body, NOW)
    assert not is_genuine(SECRET, headers, body, NOW + timedelta(minutes=6))


@pytest.mark.parametrize("length", [1, MAX_SECTION, MAX_SECTION + 1, 7_900, 39_500])
def test_a_long_text_is_cut_into_sections_that_slack_takes(chat: ChatServer, length: int) -> None:
    lines = "\n".join("x" * 97 for _ in range(length // 98 + 1))[:length]
    assert "\n".join(parts(lines)) == lines
    assert all(len(part) <= MAX_SECTION for part in parts(lines))
    bot(chat).send(replace(MESSAGE, text=lines))
    assert chat.messages[0]["text"] == lines


def test_no_credential_is_told(chat: ChatServer, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever fails: not in an error, not in a log at its most talkative, not in what an object shows of itself."""
    caplog.set_level(logging.DEBUG)
    secrets = (TOKEN, "xoxb-wrong", ROUTING_KEY, SECRET, "T/B/x")
    told = []
    for kind, path in PATHS.items():
        carrier = transport(chat, kind)
        told.append(repr(carrier))
        for fault in (Fault(path, "status", 500), Fault(path, "cut"), Fault(path, "status", 403)):
            chat.faults = [fault]
            with pytest.raises(NotDelivered) as caught:
                carrier.send(MESSAGE)
            told += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    with pytest.raises(NotDelivered) as caught:
        bot(chat, "xoxb-wrong").send(MESSAGE)
    told += [str(caught.value), caplog.text]
    assert len(told) > 20
    assert [secret for secret in secrets if any(secret in text for text in told)] == []


ENVIRONMENT = {
    "PHASEGATE_SLACK_TOKEN": TOKEN,
    "PHASEGATE_PAGERDUTY_ROUTING_KEY": ROUTING_KEY,
    "PHASEGATE_WEBHOOK_URL": "https://example.org/hook",
    "PHASEGATE_WEBHOOK_SECRET": SECRET,
}


def carried(environment: dict[str, str], channel: str) -> str | None:
    carrier = Transports(environment, lambda: NOW).carrier(channel)
    return carrier.name if carrier else None


@pytest.mark.parametrize(
    ("environment", "channel", "name"),
    [
        (ENVIRONMENT, "#a", "slack"),
        ({"SLACK_BOT_TOKEN": TOKEN}, "#a", "slack"),
        ({"PHASEGATE_SLACK_WEBHOOK_INCIDENT_AUTOSAVE": "https://h.example/x"}, "#incident-autosave", "slack-webhook"),
        ({"PHASEGATE_SLACK_WEBHOOK_INCIDENT_AUTOSAVE": "https://h.example/x"}, "#autosave-rollout", None),
        ({"PHASEGATE_SLACK_WEBHOOK": "https://h.example/x"}, "#autosave-rollout", "slack-webhook"),
        (ENVIRONMENT, "pagerduty", "pagerduty"),
        (ENVIRONMENT, "webhook", "webhook"),
        ({"PHASEGATE_WEBHOOK_URL": "https://example.org/hook"}, "webhook", None),
        ({}, "#a", None),
        ({}, "pagerduty", None),
    ],
)
def test_which_transport_carries_a_channel(environment: dict[str, str], channel: str, name: str | None) -> None:
    assert carried(environment, channel) == name


def test_every_credential_may_be_missing_and_is_named() -> None:
    none = Transports({"HOME": "/", "PHASEGATE_SLACK_TOKEN": ""}, lambda: NOW)
    assert not none.has_any
    told = {channel: none.missing(channel) for channel in ("#rollout", "pagerduty", "webhook", "pigeon")}
    assert told == {
        "#rollout": "set PHASEGATE_SLACK_TOKEN, or PHASEGATE_SLACK_WEBHOOK_ROLLOUT",
        "pagerduty": "set PHASEGATE_PAGERDUTY_ROUTING_KEY",
        "webhook": "set PHASEGATE_WEBHOOK_URL and PHASEGATE_WEBHOOK_SECRET",
        "pigeon": "nothing carries 'pigeon': a channel is #name, runbook, pagerduty or webhook",
    }
    assert all(Transports({name: "https://x"}, lambda: NOW).has_any for name in ENVIRONMENT if "SECRET" not in name)
    assert TOKEN not in repr(Transports(ENVIRONMENT, lambda: NOW))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PHASEGATE_SLACK_TOKEN", "xoxb-right\n", "holds a blank"),
        ("PHASEGATE_SLACK_TOKEN", "xoxb right", "holds a blank"),
        ("PHASEGATE_WEBHOOK_SECRET", "sécret", "holds a blank"),
        ("PHASEGATE_WEBHOOK_URL", "http://example.org/secret-path", "is no https:// address"),
        ("PHASEGATE_SLACK_WEBHOOK_X", "http://hooks.example/secret-path", "is no https:// address"),
        ("PHASEGATE_SLACK_API", "file:///etc/passwd", "is no https:// address"),
        ("PHASEGATE_PAGERDUTY_API", "http://127.0.0.1.example.org/", "is no https:// address"),
    ],
)
def test_an_odd_credential_is_refused_and_not_shown(name: str, value: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"^{name}: {told}") as caught:
        Transports({name: value}, lambda: NOW)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("attempt", "fault", "remaining_s", "pause_s"),
    [
        (1, NotDelivered("x"), 60, 1),
        (2, NotDelivered("x"), 60, 2),
        (5, NotDelivered("x"), 60, 16),
        (6, NotDelivered("x"), 60, 30),
        (99, NotDelivered("x"), 60, 30),
        (1, NotDelivered("x", retry_after_s=7), 60, 7),
        (6, NotDelivered("x", retry_after_s=7), 60, 30),
        (1, NotDelivered("x", retry_after_s=45), 60, 45),
        (1, NotDelivered("x", retry_after_s=60), 60, None),
        (1, NotDelivered("x"), 1, None),
        (1, NotDelivered("x", is_final=True), 60, None),
    ],
)
def test_pauses(attempt: int, fault: NotDelivered, remaining_s: float, pause_s: float | None) -> None:
    assert next_pause(attempt, fault, remaining_s) == pause_s
