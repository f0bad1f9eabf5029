"""Calls of Slack's Web API: each asked once, its answer or what kept it away; and lists that come in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from checker.reporter.messages import NotDelivered
from checker.reporter.transports.slack_faults import Refusal, code_of, refusal, told_of_faults

if TYPE_CHECKING:
    from slack_sdk import WebClient

MOST_PAGES = 1_000  # of one list: an answer could name a following page for ever


class MayNotLook(Exception):
    """A look was refused for good; `code` is Slack's word for why."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class SlackCalls:
    """Calls with one bot's token; each may take `deadline_s` seconds."""

    token: str = field(repr=False)
    api: str
    deadline_s: float

    def ask(self, question: Callable[[WebClient], Any]) -> Any:
        """One call. Raises NotDelivered."""
        from slack_sdk.errors import SlackApiError

        from checker.reporter.transports.slack_client import Web

        with told_of_faults("Slack"):
            try:
                return question(Web(self.token, self.api, self.deadline_s))
            except SlackApiError as fault:
                answer: Any = fault.response
        raise refusal(answer.status_code, answer.headers, code_of(answer))

    def look(self, question: Callable[..., Any], rows: str) -> Iterator[list[dict[str, Any]]]:
        """The `rows` of each page that `question(client, cursor=…)` gets. Raises NotDelivered and MayNotLook.

        A look changes nothing, so that none of its faults says that a message may have arrived.
        """
        cursor = ""
        for _ in range(MOST_PAGES):
            try:
                answer = self.ask(partial(question, cursor=cursor))
            except NotDelivered as fault:
                if isinstance(fault, Refusal) and fault.is_final:
                    raise MayNotLook(fault.code) from None
                raise NotDelivered(fault.reason, retry_after_s=fault.retry_after_s, answered=fault.answered) from None
            yield [row for row in answer.get(rows) or () if isinstance(row, dict)]
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return
