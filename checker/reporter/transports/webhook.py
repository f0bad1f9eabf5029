"""A webhook of one's own: a small JSON document, signed, that its receiver can check and tell copies of apart.

The signature is HMAC-SHA256 over `<timestamp>.<body>`, so that neither can be changed, and an old one not be replayed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from checker.reporter.messages import Message, Receipt
from checker.reporter.transports.http import DEADLINE_S, post, refused
from checker.windows import iso

SERVICE = "the webhook"
TIMESTAMP, SIGNATURE = "X-Phasegate-Timestamp", "X-Phasegate-Signature"
_SECONDS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Webhook:
    """Sends to one address with a shared secret; `now` is when a request is signed."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    now: Callable[[], datetime]
    deadline_s: float = DEADLINE_S
    name: str = "webhook"

    def send(self, message: Message) -> Receipt:
        """Send it once. Raises NotDelivered."""
        body = json.dumps(document(message), ensure_ascii=False).encode()
        timestamp = str(int(self.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": message.id.encode("ascii", "backslashreplace").decode(),
            TIMESTAMP: timestamp,
            SIGNATURE: signature(self.secret, timestamp, body),
        }
        answer = post(self.url, body, headers, SERVICE, self.deadline_s)
        if not 200 <= answer.status < 300:
            raise refused(SERVICE, answer, "see PHASEGATE_WEBHOOK_URL and what its receiver expects")
        return Receipt("webhook")


def document(message: Message) -> dict[str, object]:
    """What is sent, version 1."""
    return {
        "schema_version": 1,
        "id": message.id,
        "target": message.target,
        "title": message.title,
        "phase": message.phase,
        "outcome": message.outcome,
        "window_start": iso(message.window_start) if message.window_start else None,
        "recorded_at": iso(message.recorded_at),
        "incident": message.incident,
        "text": message.text,
    }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`v1=<hex>` for a request's timestamp and body."""
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1={signed.hexdigest()}"


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, now: datetime, tolerance_s: float = 300.0) -> bool:
    """Whether a request was signed with `secret` and not longer ago than `tolerance_s`: what a receiver asks.

    Names of headers may be in any case; whatever a stranger put into them gives False.
    """
    given = {name.lower(): value for name, value in headers.items()}
    timestamp, told = given.get(TIMESTAMP.lower(), ""), given.get(SIGNATURE.lower(), "")
    if not _SECONDS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > tolerance_s:
        return False
    return hmac.compare_digest(signature(secret, timestamp, body).encode(), told.encode("utf-8", "replace"))
