"""PagerDuty, by its Events API v2: an incident is triggered under a key of its own, and resolved under the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from checker.reporter.messages import RECOVERED, Message, Receipt
from checker.reporter.transports.http import DEADLINE_S, post, refused
from checker.windows import iso

API = "https://events.pagerduty.com"
SERVICE = "PagerDuty"
MAX_SUMMARY = 1_024
MAX_KEY = 255
_SEVERITY = {"violation": "critical", "rollback": "critical", "no_verdict": "warning", "warn": "warning", "ok": "info"}


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """Sends with an integration's routing key. A copy is harmless: its key is the same."""

    routing_key: str = field(repr=False)
    api: str = API
    deadline_s: float = DEADLINE_S
    name: str = "pagerduty"

    def send(self, message: Message) -> Receipt:
        """Send it once. Raises NotDelivered."""
        body = json.dumps(event(message) | {"routing_key": self.routing_key}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        answer = post(f"{self.api.rstrip('/')}/v2/enqueue", body, headers, SERVICE, self.deadline_s)
        if answer.status != 202:
            raise refused(SERVICE, answer, "see that PHASEGATE_PAGERDUTY_ROUTING_KEY is an Events API v2 key")
        return Receipt(dedup_key(message))


def dedup_key(message: Message) -> str:
    """What PagerDuty knows the alert by: one for an incident, whatever is told of it."""
    return f"phasegate/{message.target}/{message.incident or message.id}"[-MAX_KEY:]


def event(message: Message) -> dict[str, Any]:
    """The event: a recovery resolves, anything else triggers or adds to what is triggered already.

    What the policy sends here somebody shall see: a change event would notify nobody, and to acknowledge is a person's.
    How loud it is, the severity says, by which a service sets its urgency.
    """
    told: dict[str, Any] = {
        "event_action": "resolve" if message.outcome == RECOVERED else "trigger",
        "dedup_key": dedup_key(message),
        "client": "phasegate",
    }
    if message.outcome == RECOVERED:
        return told
    return told | {
        "payload": {
            "summary": message.text.strip().split("\n", 1)[0][:MAX_SUMMARY] or message.id,
            "source": message.target,
            "severity": _SEVERITY.get(message.outcome, "error"),
            "timestamp": iso(message.recorded_at),
            "component": message.phase,
            "custom_details": {
                "notice_id": message.id,
                "text": message.text,
                "phase": message.phase,
                "window": iso(message.window_start) if message.window_start else None,
            },
        }
    }
