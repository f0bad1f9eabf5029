"""Slack, by incoming webhooks: one for each channel, without threads and without a look for copies."""

from __future__ import annotations

from dataclasses import dataclass, field

from checker.reporter.messages import Message, Receipt
from checker.reporter.transports.http import DEADLINE_S, Answer, refused, retry_after_of
from checker.reporter.transports.slack_blocks import blocks, metadata
from checker.reporter.transports.slack_faults import SILENT, told_of_faults

SERVICE = "Slack's webhook"


@dataclass(frozen=True, slots=True)
class SlackWebhook:
    """Sends into the channel that the webhook's address, which is a secret, belongs to."""

    url: str = field(repr=False)
    deadline_s: float = DEADLINE_S
    name: str = "slack-webhook"

    def send(self, message: Message) -> Receipt:
        """Send it once. Raises NotDelivered."""
        from slack_sdk.webhook import WebhookClient

        client = WebhookClient(self.url, timeout=int(max(self.deadline_s, 1)), retry_handlers=[], logger=SILENT)
        body = {
            "text": message.text[:40_000],
            "blocks": blocks(message.text, message.id),
            "metadata": metadata(message.id),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        with told_of_faults(SERVICE):
            answer = client.send_dict(body)
        found = Answer(answer.status_code, answer.body[:200], retry_after_of(answer.headers.get("Retry-After")))
        if found.status != 200:
            raise refused(SERVICE, found)
        return Receipt("webhook")
