"""Slack, by a bot's token: messages with blocks, follow-ups in threads, and a look for copies before one is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from checker.reporter.messages import Message, NotDelivered, Receipt
from checker.reporter.transports.http import DEADLINE_S, is_loopback, retry_after_of
from checker.reporter.transports.slack_blocks import blocks, id_of, metadata
from checker.reporter.transports.slack_faults import SILENT, told_of_faults

if TYPE_CHECKING:
    from slack_sdk import WebClient

API = "https://slack.com/api/"
_PAGE = 200
_CODE = re.compile(r"[a-z_]{1,80}")
_CANNOT_LOOK = {"missing_scope", "not_in_channel", "channel_not_found", "not_allowed_token_type"}
_PASSING = {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}


@dataclass(slots=True)
class SlackBot:
    """Sends with a bot's token. Scopes: chat:write; to recognise copies also channels:read and channels:history."""

    token: str = field(repr=False)
    api: str = API
    deadline_s: float = DEADLINE_S
    name: str = "slack"
    _channels: dict[str, str] = field(default_factory=dict, repr=False)  # ids by name
    _seen: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)  # by channel: notice's id → ts

    def send(self, message: Message) -> Receipt:
        """Send it once, or give the receipt of a copy that is there. Raises NotDelivered."""
        if found := self._copy_of(message):
            return Receipt(found, found=True)
        channel, _, thread = (message.thread or "").partition("/")
        answer = self._call(
            lambda client: client.chat_postMessage(
                channel=channel or message.channel,
                text=message.text[:40_000],
                blocks=blocks(message.text, message.id),
                metadata=metadata(message.id),
                thread_ts=thread or None,
                unfurl_links=False,
                unfurl_media=False,
            )
        )
        return Receipt(f"{answer.get('channel')}/{answer.get('ts')}")

    def _copy_of(self, message: Message) -> str | None:
        """The receipt of a copy that an earlier attempt left there; None where there is none, or nobody may look."""
        channel, _, thread = (message.thread or "").partition("/")
        key = message.thread or message.channel
        if key not in self._seen:
            try:
                known = channel or self._channel_id(message.channel)
                oldest = f"{message.recorded_at.timestamp():.6f}"
                self._seen[key] = {} if known is None else dict(self._sent(known, thread, oldest))
            except _MayNotLook:
                self._seen[key] = {}
        return self._seen[key].get(message.id)

    def _sent(self, channel: str, thread: str, oldest: str) -> Iterator[tuple[str, str]]:
        """Id and receipt of each notice in a channel, or in a thread of it, since the instant `oldest`."""

        def page(client: WebClient, cursor: str) -> Any:
            told: dict[str, Any] = {"channel": channel, "cursor": cursor, "include_all_metadata": True, "limit": _PAGE}
            if thread:
                return client.conversations_replies(ts=thread, **told)
            return client.conversations_history(oldest=oldest, inclusive=True, **told)

        for answer in self._pages(page):
            for row in answer.get("messages", ()):
                if name := id_of(row):
                    yield name, f"{channel}/{row['ts']}"

    def _channel_id(self, name: str) -> str | None:
        wanted = name.removeprefix("#")
        if not self._channels:

            def page(client: WebClient, cursor: str) -> Any:
                types = "public_channel,private_channel"
                return client.conversations_list(cursor=cursor, limit=1000, exclude_archived=True, types=types)

            for answer in self._pages(page):
                self._channels |= {row["name"]: row["id"] for row in answer.get("channels", ())}
        return self._channels.get(wanted)

    def _pages(self, page: Callable[[WebClient, str], Any]) -> Iterator[Any]:
        cursor = ""
        while True:
            answer = self._call(lambda client, at=cursor: page(client, at), looks=True)  # type: ignore[misc]
            yield answer
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    def _call(self, ask: Callable[[WebClient], Any], *, looks: bool = False) -> Any:
        """One call of the API. Raises NotDelivered, and _MayNotLook for a look that the token does not allow."""
        from slack_sdk.errors import SlackApiError

        try:
            with told_of_faults("Slack"):
                try:
                    return ask(self._client())
                except SlackApiError as fault:
                    refusal = self._refusal(fault, looks)
        except NotDelivered as fault:
            if fault.may_have_arrived and not looks:
                self._seen.clear()  # what was seen may be less than there is: look again before the next attempt
                raise
            raise NotDelivered(fault.reason, retry_after_s=fault.retry_after_s, is_final=fault.is_final) from None
        if isinstance(refusal, NotDelivered) and refusal.may_have_arrived:
            self._seen.clear()
        raise refusal

    def _refusal(self, fault: Any, looks: bool) -> Exception:
        answer = fault.response
        code = str(answer.get("error") or "")
        code = code if _CODE.fullmatch(code) else ""  # else it is what some proxy answered
        status = getattr(answer, "status_code", 0)
        if looks and code in _CANNOT_LOOK:
            return _MayNotLook()
        if status == 429 or code in ("ratelimited", "rate_limited"):
            wait_s = retry_after_of(str((answer.headers or {}).get("Retry-After", "")))
            return NotDelivered("Slack: rate limit", retry_after_s=wait_s)
        if status >= 500 or code in _PASSING or not code:
            return NotDelivered(f"Slack answered {status} {code}".rstrip(), may_have_arrived=not looks)
        return NotDelivered(f"Slack: {code}", is_final=True)

    def _client(self) -> WebClient:
        from slack_sdk import WebClient

        # retrying is the outbox's, and a proxy of the environment is not for this machine
        client = WebClient(
            token=self.token,
            base_url=self.api,
            timeout=int(max(self.deadline_s, 1)),
            retry_handlers=[],
            logger=SILENT,
        )
        if is_loopback(self.api):
            client.proxy = None
        return client


class _MayNotLook(Exception):
    """The token does not allow a look for copies."""
