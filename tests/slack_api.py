"""What Slack's Web API answers: over the messages that were posted, in pages, with the errors that it documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TOKEN = "xoxb-right"  # what its bot has
PAGE = 2  # rows on a page: few, so that there are pages
FIRST_TS = 4_102_444_800  # the first message's instant: after whatever a test records, and the same in every run
MOST_CHARACTERS = 12_000  # of all blocks

Answer = dict[str, Any]


def refused(error: str, **told: str) -> Answer:
    """Slack's answer to what it does not do."""
    return {"ok": False, "error": error, **told}


@dataclass
class SlackApi:
    """Channels' ids by name; `private` ones, and those that the bot has not joined, by name; `scopes` of its token."""

    scopes: frozenset[str] = frozenset({"chat:write", "channels:read", "channels:history"})
    channels: dict[str, str] = field(default_factory=lambda: {"autosave-rollout": "C001", "incident-autosave": "C002"})
    private: frozenset[str] = frozenset()
    not_joined: frozenset[str] = frozenset()
    messages: list[dict[str, Any]] = field(default_factory=list)

    def ids(self) -> list[str]:
        """Ids of the notices that were posted with the bot's token, in order, copies too."""
        return [message["metadata"]["event_payload"]["id"] for message in self.messages]

    def answer(
        self, method: str, token: str, told: Mapping[str, str], keep: Callable[[dict[str, Any]], None]
    ) -> Answer:
        """What is answered to a call; `keep` takes a message that is posted."""
        if token != TOKEN:
            return refused("invalid_auth" if token else "not_authed")
        channel = self._channel(told)
        for scope in self._needed(method, channel, told):
            if scope not in self.scopes:
                return refused("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))
        if method == "conversations.list":
            return self._list(told)
        if channel is None:
            return refused("channel_not_found")
        if channel in {self.channels[name] for name in self.not_joined}:
            return refused("not_in_channel")
        if method == "chat.postMessage":
            return self._post(channel, told, keep)
        if method == "conversations.history":
            return self._history(channel, told)
        return self._replies(channel, told) if method == "conversations.replies" else refused("unknown_method")

    def _channel(self, told: Mapping[str, str]) -> str | None:
        named = told.get("channel", "")
        found = self.channels.get(named.removeprefix("#"), named)
        return found if found in self.channels.values() else None

    def _needed(self, method: str, channel: str | None, told: Mapping[str, str]) -> Sequence[str]:
        if method == "chat.postMessage":
            return ["chat:write"]
        if method == "conversations.list":
            kinds = told.get("types", "public_channel").split(",")
            return [{"public_channel": "channels:read", "private_channel": "groups:read"}[kind] for kind in kinds]
        is_private = channel in {self.channels[name] for name in self.private}
        return ["groups:history" if is_private else "channels:history"]

    def _post(self, channel: str, told: Mapping[str, str], keep: Callable[[dict[str, Any]], None]) -> Answer:
        blocks = json.loads(told.get("blocks", "[]"))
        texts = list(_texts(blocks))
        if not told.get("text") and not blocks:
            return refused("no_text")
        if len(told["text"]) > 40_000:
            return refused("msg_too_long")
        if len(blocks) > 50 or any(not 0 < len(text) <= 3_000 for text in texts):
            return refused("invalid_blocks")
        if sum(map(len, texts)) > MOST_CHARACTERS:
            return refused("msg_blocks_too_long")
        thread = told.get("thread_ts") or None
        if thread and thread not in self._beginnings(channel):
            return refused("thread_not_found")
        message = {
            "ts": f"{FIRST_TS + len(self.messages)}.000100",
            "channel": channel,
            "text": told["text"],
            "blocks": blocks,
            "metadata": json.loads(told["metadata"]),
            "thread_ts": thread,
            "asked": {name: value for name, value in told.items() if name not in ("text", "blocks", "metadata")},
        }
        keep(message)
        return {"ok": True, "channel": channel, "ts": message["ts"], "message": message}

    def _beginnings(self, channel: str) -> set[str]:
        return {row["ts"] for row in self.messages if row["channel"] == channel and not row["thread_ts"]}

    def _list(self, told: Mapping[str, str]) -> Answer:
        kinds = told.get("types", "public_channel").split(",")
        rows = [
            {"name": name, "id": channel}
            for name, channel in sorted(self.channels.items())
            if ("private_channel" if name in self.private else "public_channel") in kinds
        ]
        return _page("channels", rows, told, 1)

    def _history(self, channel: str, told: Mapping[str, str]) -> Answer:
        oldest, is_inclusive = float(told.get("oldest", "0")), told.get("inclusive") in ("1", "true")
        rows = [
            row
            for row in reversed(self.messages)  # the newest first
            if row["channel"] == channel and not row["thread_ts"]
            if float(row["ts"]) > oldest or (is_inclusive and float(row["ts"]) == oldest)
        ]
        return _page("messages", _told_of(rows, told), told, PAGE)

    def _replies(self, channel: str, told: Mapping[str, str]) -> Answer:
        thread = told["ts"]
        if thread not in self._beginnings(channel):
            return refused("thread_not_found")
        rows = [row for row in self.messages if row["channel"] == channel and thread in (row["thread_ts"], row["ts"])]
        return _page("messages", _told_of(rows, told), told, PAGE)


def _told_of(rows: list[dict[str, Any]], told: Mapping[str, str]) -> list[dict[str, Any]]:
    if told.get("include_all_metadata") in ("1", "true"):
        return rows
    return [{key: value for key, value in row.items() if key != "metadata"} for row in rows]


def _texts(blocks: list[dict[str, Any]]) -> Iterator[str]:
    for block in blocks:
        yield from (part["text"] for part in [block.get("text"), *block.get("elements", ())] if part)


def _page(name: str, rows: list[Any], told: Mapping[str, str], size: int) -> Answer:
    start = int(told.get("cursor") or 0)
    following = str(start + size) if start + size < len(rows) else ""
    return {"ok": True, name: rows[start : start + size], "response_metadata": {"next_cursor": following}}
