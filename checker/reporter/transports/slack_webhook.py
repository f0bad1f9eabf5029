"""Slack, by incoming webhooks: one for each channel, without threads and without a look for copies."""

from __future__ import annotations

from dataclasses import dataclass, field

from checker.reporter.messages import Message, Receipt
from checker.reporter.transports.http import DEADLINE_S, Answer, refused, retry_after_of
from checker.reporter.transports.slack_blocks import content
from checker.reporter.transports.slack_faults import told_of_faults

SERVICE = "Slack's webhook"


@dataclass(frozen=True, slots=True)
class SlackWebhook:
    """Sends into the channel that the webhook's address, which is a secret, belongs to."""

    url: str = field(repr=False)
    deadline_s: float = DEADLINE_S
    name: str = "slack-webhook"

    def send(self, message: Message) -> Receipt:
        """Send it once. Raises NotDelivered."""
        from checker.reporter.transports.slack_client import Hook

        with told_of_faults(SERVICE):
            answer = Hook(self.url, self.deadline_s).send_dict(content(message.text, message.id))
        if answer.status_code != 200:
            found = Answer(answer.status_code, retry_after_of(answer.headers.get("retry-after")))
            raise refused(SERVICE, found, "see that its address is right and its channel still there")
        return Receipt("webhook")
