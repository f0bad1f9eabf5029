"""Slack, by a bot's token: messages with blocks, follow-ups in threads, and a look for copies before one is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from checker.reporter.messages import Message, NotDelivered, Receipt
from checker.reporter.transports.http import DEADLINE_S
from checker.reporter.transports.slack_blocks import content, id_of
from checker.reporter.transports.slack_calls import MayNotLook, SlackCalls

if TYPE_CHECKING:
    from slack_sdk import WebClient

API = "https://slack.com/api/"
CLOCKS_APART = timedelta(minutes=5)  # Slack's clock and the one that `recorded_at` is from
_PAGE = 200  # as Slack recommends
# One that the token has no scope for refuses the whole list: then the public ones alone.
_TYPES = ("public_channel,private_channel", "public_channel")
_RECEIPT = re.compile(r"([CDG][A-Z0-9]+)/(\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class _Place:
    """A channel's id, or its name where nobody may look for the id; and the thread in it, empty for none."""

    channel: str
    thread: str
    is_known: bool


@dataclass(slots=True)
class SlackBot:
    """Sends with a bot's token.

    Scopes: chat:write; to recognise copies also channels:read and channels:history, for private channels groups:read
    and groups:history. Without them a message may come twice, and is never lost.
    """

    token: str = field(repr=False)
    api: str = API
    deadline_s: float = DEADLINE_S
    name: str = "slack"
    _ids: dict[str, str] = field(default_factory=dict, repr=False)  # of channels, by name
    _has_all_ids: bool = field(default=False, repr=False)
    _seen: dict[_Place, tuple[datetime, dict[str, str]]] = field(default_factory=dict, repr=False)

    def send(self, message: Message) -> Receipt:
        """Send it once, or give the receipt of a copy that is there. Raises NotDelivered."""
        place = self._place(message)
        try:
            found = self._copy_of(message, place)
        except MayNotLook:  # its thread is gone: the channel is where it belongs then
            place = _Place(place.channel, "", place.is_known)
            found = self._copy_of(message, place)
        if found:
            return Receipt(found, found=True)
        reference = self._post(message, place)
        if place in self._seen:
            self._seen[place][1][message.id] = reference
        return Receipt(reference)

    @property
    def _calls(self) -> SlackCalls:
        return SlackCalls(self.token, self.api, self.deadline_s)

    def _post(self, message: Message, place: _Place) -> str:
        told = content(message.text, message.id) | {"channel": place.channel, "thread_ts": place.thread or None}
        try:
            answer = self._calls.ask(lambda client: client.chat_postMessage(**told))
            channel, ts = answer.get("channel"), answer.get("ts")
            if not (channel and ts):
                raise NotDelivered("Slack's answer does not name the message", may_have_arrived=True)
        except NotDelivered as fault:
            if fault.may_have_arrived:
                self._seen.clear()  # there may be more than was seen: look again before the next attempt
            raise
        return f"{channel}/{ts}"

    def _place(self, message: Message) -> _Place:
        """Where the message goes. A thread of another channel, or a receipt that is none of a bot's, is no thread."""
        receipt = _RECEIPT.fullmatch(message.thread or "")
        known = self._id_of(message.channel)
        if receipt and known in (None, receipt[1]):
            return _Place(receipt[1], receipt[2], is_known=True)
        return _Place(known or message.channel, "", is_known=known is not None)

    def _id_of(self, channel: str) -> str | None:
        name = channel.removeprefix("#")
        if name not in self._ids and not self._has_all_ids:
            self._has_all_ids = not self._list_until(name)
        return self._ids.get(name)

    def _list_until(self, name: str) -> bool:
        """Ask for channels until one has this name; False where they were all asked for, or nobody may."""
        for types in _TYPES:

            def page(client: WebClient, cursor: str, types: str = types) -> Any:
                return client.conversations_list(cursor=cursor, limit=_PAGE, exclude_archived=True, types=types)

            try:
                for rows in self._calls.look(page, "channels"):
                    self._ids |= {str(row.get("name")): str(row.get("id")) for row in rows}
                    if name in self._ids:
                        return True
            except MayNotLook:
                continue
            return False
        return False

    def _copy_of(self, message: Message, place: _Place) -> str | None:
        """The receipt of a copy that an earlier attempt left there; None where there is none, or nobody may look.

        Raises MayNotLook where the thread is gone.
        """
        since = message.recorded_at - CLOCKS_APART
        if not place.is_known:
            return None
        if place not in self._seen or since < self._seen[place][0]:
            try:
                self._seen[place] = since, dict(self._sent(place, since))
            except MayNotLook as fault:
                if place.thread and fault.code == "thread_not_found":
                    raise
                self._seen[place] = since, {}
        return self._seen[place][1].get(message.id)

    def _sent(self, place: _Place, since: datetime) -> Iterator[tuple[str, str]]:
        """Id and receipt of each notice in a channel since an instant, or in the whole of a thread."""

        def page(client: WebClient, cursor: str) -> Any:
            told: dict[str, Any] = {"channel": place.channel, "cursor": cursor, "limit": _PAGE}
            told["include_all_metadata"] = True
            if place.thread:
                return client.conversations_replies(ts=place.thread, **told)
            return client.conversations_history(oldest=f"{since.timestamp():.6f}", inclusive=True, **told)

        for rows in self._calls.look(page, "messages"):
            for row in rows:
                if name := id_of(row):
                    yield name, f"{place.channel}/{row.get('ts')}"
