"""A real HTTP server on loopback that speaks Slack's Web API, incoming webhooks, PagerDuty's Events API and a webhook.

It fails as it is told: `faults` are taken one by one, the first whose path begins as the request's. Everything that it
took is kept, in memory and, with `--state`, in a file of JSON lines, so that it can be started anew where it was.

    python -m tests.chat_server --state FILE [--faults JSON]    prints its port
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

TOKEN = "xoxb-right"  # what its bot has
ROUTING_KEY = "R0000000000000000000000000000000"
PAGE = 2  # messages on a page of history: small, so that there are pages


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next request to `path`.

    `kind` is `status` (with `status`, `retry_after`), `error` (Slack's `ok: false` with `error`), `cut` (the connection
    is closed after the request was read) or `hang` (no answer until the client gives up). With `takes` it did what was
    asked all the same.
    """

    path: str
    kind: str
    status: int = 500
    retry_after: str | None = None
    error: str = "fatal_error"
    takes: bool = False


@dataclass
class ChatServer:
    """Messages by channel, events and calls of the webhook, requests by path; `scopes` are what its bot may do."""

    state: Path | None = None
    faults: list[Fault] = field(default_factory=list)
    scopes: frozenset[str] = frozenset({"chat:write", "channels:read", "channels:history"})
    channels: dict[str, str] = field(default_factory=lambda: {"autosave-rollout": "C001", "incident-autosave": "C002"})
    messages: list[dict[str, Any]] = field(default_factory=list)
    hooked: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.state and self.state.exists():
            for line in self.state.read_text(encoding="utf-8").splitlines():
                kept = json.loads(line)
                getattr(self, kept["list"]).append(kept["item"])

    @property
    def api(self) -> str:
        """The base address of Slack's API."""
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def address(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    def ids(self) -> list[str]:
        """Ids of the notices that were posted with the bot's token, in order, copies too."""
        return [message["metadata"]["event_payload"]["id"] for message in self.messages]

    def keep(self, name: str, item: dict[str, Any]) -> None:
        """Keep what was taken."""
        with self._lock:
            getattr(self, name).append(item)
            if self.state:
                with self.state.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"list": name, "item": item}) + "\n")

    def fault_of(self, path: str) -> Fault | None:
        """The next fault of this path, taken."""
        with self._lock:
            self.requests.append(path)
            for fault in self.faults:
                if path.startswith(fault.path):
                    self.faults.remove(fault)
                    return fault
        return None

    def slack(self, method: str, token: str, told: Mapping[str, str]) -> dict[str, Any]:
        """What Slack answers to a call of its Web API."""
        if token != TOKEN:
            return {"ok": False, "error": "invalid_auth"}
        needed = {"chat.postMessage": "chat:write", "conversations.list": "channels:read"}.get(
            method, "channels:history"
        )
        if needed not in self.scopes:
            return {"ok": False, "error": "missing_scope", "needed": needed}
        return {
            "chat.postMessage": self._post,
            "conversations.list": self._list,
            "conversations.history": self._history,
            "conversations.replies": self._history,
        }[method](told)

    def _post(self, told: Mapping[str, str]) -> dict[str, Any]:
        channel = self.channels.get(told["channel"].removeprefix("#"), told["channel"])
        if channel not in self.channels.values():
            return {"ok": False, "error": "channel_not_found"}
        if len(told["text"]) > 40_000 or any(len(text) > 3_000 for text in _texts(told)):
            return {"ok": False, "error": "invalid_blocks"}
        message = {
            "ts": f"{1_767_225_600 + len(self.messages)}.000100",
            "channel": channel,
            "text": told["text"],
            "blocks": json.loads(told["blocks"]),
            "metadata": json.loads(told["metadata"]),
            "thread_ts": told.get("thread_ts") or None,
        }
        self.keep("messages", message)
        return {"ok": True, "channel": channel, "ts": message["ts"], "message": message}

    def _list(self, told: Mapping[str, str]) -> dict[str, Any]:
        rows = [{"name": name, "id": channel} for name, channel in sorted(self.channels.items())]
        return _page("channels", rows, told, 1)

    def _history(self, told: Mapping[str, str]) -> dict[str, Any]:
        thread = told.get("ts")
        rows = [
            message
            for message in self.messages
            if message["channel"] == told["channel"]
            and (thread in (message["thread_ts"], message["ts"]) if thread else not message["thread_ts"])
        ]
        if told.get("include_all_metadata") not in ("1", "true", "True"):
            rows = [{key: value for key, value in row.items() if key != "metadata"} for row in rows]
        return _page("messages", rows[::-1], told, PAGE)


def _texts(told: Mapping[str, str]) -> Iterator[str]:
    for block in json.loads(told["blocks"]):
        yield from (part["text"] for part in [block.get("text"), *block.get("elements", ())] if part)


def _page(name: str, rows: list[Any], told: Mapping[str, str], size: int) -> dict[str, Any]:
    start = int(told.get("cursor") or 0)
    following = str(start + size) if start + size < len(rows) else ""
    return {"ok": True, name: rows[start : start + size], "response_metadata": {"next_cursor": following}}


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        chat = self.server.chat
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = chat.fault_of(self.path)
        if fault is None or fault.takes:
            answer = self._answer(chat, body)
        if fault is None:
            self._send(*answer)
        elif fault.kind == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault.kind == "hang":
            chat.closing.wait(30)
            self.close_connection = True
        elif fault.kind == "error":
            self._send(200, {"ok": False, "error": fault.error})
        else:
            self._send(fault.status, {"ok": False, "error": "ratelimited" if fault.status == 429 else "x"}, fault)

    def _answer(self, chat: ChatServer, body: bytes) -> tuple[int, Any]:
        kind, _, rest = self.path.removeprefix("/").partition("/")
        if kind == "api":
            told = _told(body, self.headers.get("Content-Type", ""))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            return 200, chat.slack(rest.split("?")[0], token, told)
        if kind == "services":
            chat.keep("hooked", {"path": self.path, **json.loads(body)})
            return 200, "ok"
        if kind == "v2":
            event = json.loads(body)
            if event["routing_key"] != ROUTING_KEY:
                return 400, {"status": "invalid event"}
            chat.keep("events", event)
            return 202, {"status": "success", "dedup_key": event["dedup_key"]}
        if kind == "hook":
            chat.keep("calls", {"headers": dict(self.headers), "body": body.decode()})
            return 204, ""
        return 404, ""

    def _send(self, status: int, answer: Any, fault: Fault | None = None) -> None:
        content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        if fault and fault.retry_after is not None:
            self.send_header("Retry-After", fault.retry_after)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class calls it so
        del format, args


def _told(body: bytes, content_type: str) -> dict[str, str]:
    if content_type.startswith("application/json"):
        found = json.loads(body)
        return {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in found.items()
            if value is not None
        }
    return dict(parse_qsl(body.decode()))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    chat: ChatServer


@contextmanager
def serving(chat: ChatServer) -> Iterator[ChatServer]:
    """The server, answering on loopback as long as the block runs."""
    server = _Server(("127.0.0.1", chat.port), _Handler)
    server.chat = chat
    chat.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield chat
    finally:
        chat.closing.set()
        server.shutdown()
        server.server_close()


def main(arguments: Iterable[str]) -> None:
    """Serve until stdin is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--faults", default="[]")
    given = parser.parse_args(list(arguments))
    with serving(ChatServer(given.state, [Fault(**fault) for fault in json.loads(given.faults)])) as chat:
        print(chat.port, flush=True)  # noqa: T201  whoever started it waits for this
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
