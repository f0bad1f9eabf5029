"""Which channel is carried by what, by the credentials that the environment holds. None of them is ever shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from checker.errors import UsageError
from checker.reporter.messages import Transport
from checker.reporter.transports import pagerduty, slack
from checker.reporter.transports.http import is_safe
from checker.reporter.transports.pagerduty import PagerDuty
from checker.reporter.transports.slack import SlackBot
from checker.reporter.transports.slack_webhook import SlackWebhook
from checker.reporter.transports.webhook import Webhook

SLACK_TOKENS = ("PHASEGATE_SLACK_TOKEN", "SLACK_BOT_TOKEN")
SLACK_API = "PHASEGATE_SLACK_API"
SLACK_WEBHOOK = "PHASEGATE_SLACK_WEBHOOK"
PAGERDUTY_KEY = "PHASEGATE_PAGERDUTY_ROUTING_KEY"
PAGERDUTY_API = "PHASEGATE_PAGERDUTY_API"
WEBHOOK_URL = "PHASEGATE_WEBHOOK_URL"
WEBHOOK_SECRET = "PHASEGATE_WEBHOOK_SECRET"
_ODD = re.compile(r"[^\x21-\x7e]")


@dataclass(slots=True)
class Transports:
    """The transports of one run, each made when it is first asked for and then kept."""

    environment: Mapping[str, str] = field(repr=False)
    now: Callable[[], datetime]
    _made: dict[str, Transport | None] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Raises UsageError for a credential that cannot be one, without showing it."""
        names = [*SLACK_TOKENS, PAGERDUTY_KEY, WEBHOOK_SECRET, SLACK_API, PAGERDUTY_API, WEBHOOK_URL, *self._webhooks]
        for name in names:
            value = self._value(name)
            if value and _ODD.search(value):
                raise UsageError(f"{name}: holds a blank or a character that no credential has; set it without")
            is_address = name in (SLACK_API, PAGERDUTY_API, WEBHOOK_URL) or name in self._webhooks
            if value and is_address and not is_safe(value):
                raise UsageError(f"{name}: is no https:// address (http:// is for this machine alone)")

    @property
    def _webhooks(self) -> list[str]:
        return sorted(name for name in self.environment if name.startswith(SLACK_WEBHOOK))

    def _value(self, name: str) -> str:
        return self.environment.get(name, "")

    @property
    def has_any(self) -> bool:
        """Whether there is any credential at all."""
        names = [*SLACK_TOKENS, PAGERDUTY_KEY, WEBHOOK_URL, *self._webhooks]
        return any(self._value(name) for name in names)

    def carrier(self, channel: str) -> Transport | None:
        """The transport of `#a-channel`, `pagerduty` or `webhook`; None where its credential is missing."""
        key = channel if not channel.startswith("#") or not self._token else "#"
        if key not in self._made:
            self._made[key] = self._make(channel)
        return self._made[key]

    @property
    def _token(self) -> str:
        return next(filter(None, map(self._value, SLACK_TOKENS)), "")

    def _make(self, channel: str) -> Transport | None:
        if channel == "pagerduty":
            key = self._value(PAGERDUTY_KEY)
            return PagerDuty(key, self._value(PAGERDUTY_API) or pagerduty.API) if key else None
        if channel == "webhook":
            url, secret = self._value(WEBHOOK_URL), self._value(WEBHOOK_SECRET)
            return Webhook(url, secret, self.now) if url and secret else None
        if not channel.startswith("#"):
            return None
        if self._token:
            return SlackBot(self._token, self._value(SLACK_API) or slack.API)
        url = self._value(webhook_variable(channel)) or self._value(SLACK_WEBHOOK)
        return SlackWebhook(url) if url else None

    def check_channels(self, channels: Iterable[str]) -> None:
        """Raises UsageError where two Slack channels would share one webhook, and no token tells them apart."""
        if self._token:
            return
        by_variable: dict[str, set[str]] = {}
        for channel in channels:
            if channel.startswith("#"):
                by_variable.setdefault(webhook_variable(channel), set()).add(channel)
        for name, told in by_variable.items():
            if self._value(name) and (len(told) > 1 or name == f"{SLACK_WEBHOOK}_"):
                raise UsageError(f"{name}: stands for {', '.join(sorted(told))}; set {SLACK_TOKENS[0]} instead")

    def missing(self, channel: str) -> str:
        """What to set so that the channel has a transport."""
        if channel == "pagerduty":
            return f"set {PAGERDUTY_KEY}"
        if channel == "webhook":
            return f"set {WEBHOOK_URL} and {WEBHOOK_SECRET}"
        if channel.startswith("#"):
            return f"set {SLACK_TOKENS[0]}, or {webhook_variable(channel)}"
        return f"nothing carries {channel!r}: a channel is #name, runbook, pagerduty or webhook"


def webhook_variable(channel: str) -> str:
    """`#incident-autosave` → PHASEGATE_SLACK_WEBHOOK_INCIDENT_AUTOSAVE."""
    return f"{SLACK_WEBHOOK}_{re.sub(r'[^A-Za-z0-9]+', '_', channel).strip('_').upper()}"


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program that is none of ours: no name that a credential of ours has."""
    return {
        name: value
        for name, value in environment.items()
        if name not in SLACK_TOKENS and not name.startswith((SLACK_WEBHOOK, "PHASEGATE_PAGERDUTY", "PHASEGATE_WEBHOOK"))
    }
