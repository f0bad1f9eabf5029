"""A message, and each transport as it sends to a chat server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from checker.reporter.messages import Message, Transport
from checker.reporter.transports.pagerduty import PagerDuty
from checker.reporter.transports.slack import SlackBot
from checker.reporter.transports.slack_webhook import SlackWebhook
from checker.reporter.transports.webhook import Webhook
from tests.chat_server import ROUTING_KEY, TOKEN, ChatServer

DEADLINE_S = 0.5
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


PATHS = {
    "slack": "/api/chat.postMessage",
    "slack-webhook": "/services",
    "pagerduty": "/v2/enqueue",
    "webhook": "/hook",
}


def bot(chat: ChatServer, token: str = TOKEN) -> SlackBot:
    return SlackBot(token, chat.api, deadline_s=DEADLINE_S)


def transport(chat: ChatServer, kind: str) -> Transport:
    """A transport of this kind that waits for DEADLINE_S at most."""
    return {
        "slack": lambda: bot(chat),
        "slack-webhook": lambda: SlackWebhook(f"{chat.address}/services/T/B/x", DEADLINE_S),
        "pagerduty": lambda: PagerDuty(ROUTING_KEY, chat.address, DEADLINE_S),
        "webhook": lambda: Webhook(f"{chat.address}/hook/{SECRET}", SECRET, lambda: NOW, DEADLINE_S),
    }[kind]()
