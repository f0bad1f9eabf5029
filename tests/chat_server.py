"""A real HTTP server on loopback that speaks Slack's Web API, incoming webhooks, PagerDuty's Events API and a webhook.

It fails as it is told: `faults` are taken one by one, the first whose path begins as the request's. Everything that it
took is kept, in memory and, with `--state`, in a file of JSON lines, so that it can be started anew where it was, even
after it was killed while it wrote.

    python -m tests.chat_server --state FILE [--port 0] [--faults JSON]    prints its port, serves until stdin closes
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.slack_api import TOKEN, SlackApi

__all__ = ["ROUTING_KEY", "TOKEN", "ChatServer", "Fault", "serving"]

ROUTING_KEY = "R0000000000000000000000000000000"
DRIP_S = 0.02  # between two bytes of a dripping answer


@dataclass
class Fault:
    """What goes wrong with a request to `path`: the next, or the one after `passes` more.

    `kind` is `status` (with `status`, `retry_after`, `location`), `error` (Slack's `ok: false` with `error`), `body`
    (200 with `body`), `cut` (the connection is closed after the request was read), `hang` (no answer until the client
    gives up) or `drip` (an answer that never ends, byte by byte). With `takes` it did what was asked all the same.
    """

    path: str
    kind: str
    status: int = 500
    retry_after: str | None = None
    location: str | None = None
    error: str = "fatal_error"
    body: str = ""
    takes: bool = False
    passes: int = 0


@dataclass
class ChatServer(SlackApi):
    """Messages by channel, events and calls of the webhook, and the paths of all requests, in order."""

    state: Path | None = None
    faults: list[Fault] = field(default_factory=list)
    hooked: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        if self.state and self.state.exists():
            kept = self.state.read_bytes()
            whole = kept[: kept.rfind(b"\n") + 1]  # the last line is torn where the server was killed while it wrote
            self.state.write_bytes(whole)
            for line in whole.splitlines():
                told = json.loads(line)
                getattr(self, told["list"]).append(told["item"])

    @property
    def api(self) -> str:
        """The base address of Slack's API."""
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def address(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    def keep(self, name: str, item: Any) -> None:
        """Keep what was taken."""
        with self._lock:
            getattr(self, name).append(item)
            if self.state:
                with self.state.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"list": name, "item": item}) + "\n")

    def fault_of(self, path: str) -> Fault | None:
        """The fault of this request, taken."""
        with self._lock:
            self.keep("requests", path)
            for fault in self.faults:
                if path.startswith(fault.path):
                    if fault.passes:
                        fault.passes -= 1
                        return None
                    self.faults.remove(fault)
                    return fault
        return None

    def slack(self, method: str, token: str, told: dict[str, str]) -> dict[str, Any]:
        """What Slack answers to a call of its Web API."""
        with self._lock:
            return self.answer(method, token, told, lambda message: self.keep("messages", message))


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
        else:
            self._fail(fault, chat)

    def do_GET(self) -> None:
        """Nothing here is asked for with GET, but a client that follows a redirect does; it gets what looks well."""
        self.server.chat.keep("requests", f"GET {self.path} {self.headers.get('Authorization', '')}".rstrip())
        self._send(200, {"ok": True, "channel": "C000", "ts": "1.1"})

    def _fail(self, fault: Fault, chat: ChatServer) -> None:
        if fault.kind == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault.kind == "hang":
            chat.closing.wait(30)
            self.close_connection = True
        elif fault.kind == "drip":
            self._drip(chat)
        elif fault.kind == "error":
            self._send(200, {"ok": False, "error": fault.error})
        elif fault.kind == "body":
            self._send(200, fault.body)
        else:
            self._send(fault.status, {"ok": False, "error": "ratelimited" if fault.status == 429 else "x"}, fault)

    def _drip(self, chat: ChatServer) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with suppress(OSError):  # until the client has enough
            while not chat.closing.wait(DRIP_S):
                self.wfile.write(b" ")
        self.close_connection = True

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
                return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": ["routing_key"]}
            chat.keep("events", event)
            return 202, {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
        if kind == "hook":
            chat.keep("calls", {"headers": dict(self.headers), "body": body.decode()})
            return 204, ""
        return 404, ""

    def _send(self, status: int, answer: Any, fault: Fault | None = None) -> None:
        content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        if fault and fault.retry_after is not None:
            self.send_header("Retry-After", fault.retry_after)
        if fault and fault.location is not None:
            self.send_header("Location", fault.location)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(ConnectionError):  # who reads the status alone may be gone already
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
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--faults", default="[]", help="a JSON array of objects with the fields of Fault")
    given = parser.parse_args(list(arguments))
    faults = [Fault(**fault) for fault in json.loads(given.faults)]
    with serving(ChatServer(state=given.state, faults=faults, port=given.port)) as chat:
        print(chat.port, flush=True)  # noqa: T201  whoever started it waits for this
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
