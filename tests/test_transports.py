"""The transports against a real server: what is sent, what each fault comes to, and that no credential is ever told."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from checker.errors import UsageError
from checker.reporter.messages import NotDelivered, Transport
from checker.reporter.transports.credentials import Transports
from checker.reporter.transports.pagerduty import PagerDuty
from checker.reporter.transports.slack import SlackBot
from checker.reporter.transports.slack_webhook import SlackWebhook
from checker.reporter.transports.webhook import SIGNATURE, TIMESTAMP, Webhook, is_genuine, signature
from tests.chat_server import ROUTING_KEY, TOKEN, ChatServer, Fault, serving
from tests.transports import DEADLINE_S, MESSAGE, NOW, PATHS, SECRET, bot, transport


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with serving(ChatServer()) as server:
        yield server


FAULTS: list[tuple[Fault, dict[str, Any]]] = [
    (Fault("", "status", 429, "7"), {"retry_after_s": 7.0, "is_final": False, "may_have_arrived": False}),
    (Fault("", "status", 429), {"retry_after_s": None, "is_final": False, "may_have_arrived": False}),
    (Fault("", "status", 500), {"is_final": False, "may_have_arrived": True}),
    (Fault("", "status", 503, "3"), {"is_final": False, "may_have_arrived": True}),
    (Fault("", "cut"), {"is_final": False, "may_have_arrived": True}),
    (Fault("", "hang"), {"is_final": False, "may_have_arrived": True}),
    (Fault("", "status", 408), {"is_final": False, "may_have_arrived": False}),
    (Fault("", "status", 302, location="/elsewhere"), {"is_final": True, "may_have_arrived": False}),
    (Fault("", "status", 404), {"is_final": True, "may_have_arrived": False}),
]


@pytest.mark.parametrize(
    ("kind", "fault", "expected"),
    [
        (kind, *row) for kind in PATHS for row in FAULTS if (kind, row[0].status) != ("slack", 408)
    ],  # it has no such answer
    ids=lambda value: getattr(value, "kind", ""),
)
def test_each_fault_of_each_transport(chat: ChatServer, kind: str, fault: Fault, expected: dict[str, Any]) -> None:
    chat.faults = [replace(fault, path=PATHS[kind])]
    with pytest.raises(NotDelivered) as caught:
        transport(chat, kind).send(MESSAGE)
    assert {name: getattr(caught.value, name) for name in expected} == expected
    assert transport(chat, kind).send(MESSAGE).reference
    assert [request for request in chat.requests if request.startswith("GET")] == []


@pytest.mark.parametrize("kind", ["slack", "slack-webhook"])
def test_an_answer_that_never_ends_is_left_at_the_deadline(chat: ChatServer, kind: str) -> None:
    chat.faults = [Fault(PATHS[kind], "drip")]
    with pytest.raises(NotDelivered, match="did not answer in time") as caught:
        transport(chat, kind).send(MESSAGE)
    assert caught.value.may_have_arrived


def test_of_an_answer_that_never_ends_the_status_is_enough(chat: ChatServer) -> None:
    chat.faults = [Fault(PATHS["webhook"], "drip"), Fault(PATHS["pagerduty"], "drip")]
    assert transport(chat, "webhook").send(MESSAGE).reference
    with pytest.raises(NotDelivered, match="PagerDuty answered 200: "):
        transport(chat, "pagerduty").send(MESSAGE)


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY")


@pytest.mark.parametrize("kind", list(PATHS))
def test_a_proxy_of_the_environment_is_not_for_this_machine(
    chat: ChatServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ChatServer()) as proxy:
        for name in PROXIES:
            monkeypatch.setenv(name, proxy.address)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert transport(chat, kind).send(MESSAGE).reference
    assert proxy.requests == []


@pytest.mark.parametrize("kind", list(PATHS))
def test_a_proxy_of_the_environment_is_for_everything_else(
    chat: ChatServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, chat.address)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    there = "http://notices.example"
    far: dict[str, Transport] = {
        "slack": SlackBot(TOKEN, f"{there}/api/", DEADLINE_S),
        "slack-webhook": SlackWebhook(f"{there}/services/x", DEADLINE_S),
        "pagerduty": PagerDuty(ROUTING_KEY, there, DEADLINE_S),
        "webhook": Webhook(f"{there}/hook", SECRET, lambda: NOW, DEADLINE_S),
    }
    with pytest.raises(NotDelivered):  # this proxy knows no such host
        far[kind].send(MESSAGE)
    assert {request.split("/")[2] for request in chat.requests} == {"notices.example"}


@pytest.mark.parametrize("kind", list(PATHS))
def test_a_server_that_is_not_there_got_nothing(kind: str) -> None:
    with serving(ChatServer()) as gone:
        port = gone.port
    with pytest.raises(NotDelivered, match="cannot be reached") as caught:
        transport(ChatServer(port=port), kind).send(MESSAGE)
    assert not caught.value.may_have_arrived
    assert not caught.value.is_final


def test_a_wrong_token_is_final(chat: ChatServer) -> None:
    with pytest.raises(NotDelivered, match="Slack: invalid_auth") as caught:
        bot(chat, "xoxb-wrong").send(MESSAGE)
    assert caught.value.is_final
    with pytest.raises(NotDelivered, match="PagerDuty answered 400") as caught:
        PagerDuty("wrong", chat.address, DEADLINE_S).send(MESSAGE)
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


@pytest.mark.parametrize(
    ("outcome", "severity"),
    [
        ("violation", "critical"),
        ("rollback", "critical"),
        ("warn", "warning"),
        ("no_verdict", "warning"),
        ("ok", "info"),
        ("another", "error"),
    ],
)
def test_everything_that_is_no_recovery_triggers(chat: ChatServer, outcome: str, severity: str) -> None:
    text = "\n" + "x" * 2_000 + "\nsecond"
    receipt = transport(chat, "pagerduty").send(replace(MESSAGE, outcome=outcome, incident=None, text=text))
    (event,) = chat.events
    assert receipt.reference == event["dedup_key"] == f"phasegate/autosave/{MESSAGE.id}"
    assert (event["event_action"], event["payload"]["severity"]) == ("trigger", severity)
    assert event["payload"]["summary"] == "x" * 1_024
    assert event["payload"]["custom_details"] == {
        "notice_id": MESSAGE.id,
        "text": text,
        "phase": "B",
        "window": "2026-01-02T11:45:00Z",
    }


def test_a_key_is_never_longer_than_pagerduty_takes(chat: ChatServer) -> None:
    receipt = transport(chat, "pagerduty").send(replace(MESSAGE, target="t" * 300))
    assert len(receipt.reference) == 255
    assert receipt.reference.endswith("/incident-1")


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
    assert is_genuine(SECRET, {name.lower(): value for name, value in headers.items()}, body, NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {TIMESTAMP: "9" * 5_000},
        {TIMESTAMP: "-1"},
        {TIMESTAMP: "\u0661"},
        {TIMESTAMP: f"{NOW.timestamp():.0f}", SIGNATURE: "v1=\u00e9"},
        {TIMESTAMP: f"{NOW.timestamp():.0f}", SIGNATURE: "\ud800"},
        {TIMESTAMP: f"{NOW.timestamp():.0f}"},
        {SIGNATURE: signature(SECRET, "", b"")},
    ],
)
def test_whatever_a_stranger_sends_is_not_genuine(headers: dict[str, str]) -> None:
    assert not is_genuine(SECRET, headers, b"", NOW)


def test_no_credential_is_told(chat: ChatServer, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever fails: not in an error, not in a log at its most talkative, not in what an object shows of itself."""
    caplog.set_level(logging.DEBUG)
    for kind in PATHS:  # so that every logger is there, and then talks
        transport(chat, kind).send(MESSAGE)
    for name in [name for name in logging.root.manager.loggerDict if name.startswith(("slack_sdk", "http"))]:
        caplog.set_level(logging.DEBUG, logger=name)
    chat.messages.clear()
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
    assert "httpcore" in caplog.text
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
        ("PHASEGATE_WEBHOOK_URL", "https:///secret-path", "is no https:// address"),
        ("PHASEGATE_WEBHOOK_URL", "https://host.example:99999/secret-path", "is no https:// address"),
        ("PHASEGATE_WEBHOOK_URL", "https://[secret-path", "is no https:// address"),
        ("PHASEGATE_WEBHOOK_URL", "http://127.0.0.1@host.example/", "is no https:// address"),
        ("PHASEGATE_SLACK_API", "file:///etc/passwd", "is no https:// address"),
        ("PHASEGATE_PAGERDUTY_API", "http://127.0.0.1.example.org/", "is no https:// address"),
    ],
)
def test_an_odd_credential_is_refused_and_not_shown(name: str, value: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"^{name}: {told}") as caught:
        Transports({name: value}, lambda: NOW)
    assert value not in str(caught.value)
