"""A real HTTP server on loopback that speaks the part of Prometheus' API that is used: instant queries, and its faults.

It knows a query by its text and computes nothing; `tests/peers` holds it against a real Prometheus.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from checker.windows import parse_iso

QUERY_PATH = "/api/v1/query"
DRIP_S = 0.01  # between two portions of a dripping answer

Result = dict[str, Any]


def sample(value: str, **labels: str) -> dict[str, Any]:
    """A series of a vector; the server puts the time in front of the value."""
    return {"metric": labels, "value": [value]}


def vector(*samples: Mapping[str, Any]) -> Result:
    """A result of the type vector."""
    return {"resultType": "vector", "result": list(samples)}


def scalar(value: str) -> Result:
    """A result of the type scalar."""
    return {"resultType": "scalar", "result": [value]}


def failed(kind: str, error: str) -> bytes:
    """The body of an error."""
    return json.dumps({"status": "error", "errorType": kind, "error": error}).encode()


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered whatever was asked.

    `kind` is `whole`, `cut` (half of the body, then the connection is closed), `hang` (nothing until the server
    closes), `drip` (the body again and again) or `drip_head` (header after header), without an end.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "whole"


@dataclass
class PrometheusApi:
    """Results by the query's text, or functions of the time that give them; `replies` are taken first, one by one.

    `asked` keeps each query with its time, `seen` the requests' headers, `others` other requests. Where it `packs`, and
    the client takes it, an answer is gzip. With a `token` only those who know it are answered.
    """

    results: dict[str, Result | Callable[[datetime], Result]] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    token: str = ""
    packs: bool = False
    asked: list[tuple[str, datetime]] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, form: Mapping[str, str]) -> Reply:
        """What Prometheus answers to an instant query."""
        at = _time(form.get("time", ""))
        if at is None:
            told = f'invalid parameter "time": cannot parse "{form.get("time")}" to a valid timestamp'
            return Reply(400, failed("bad_data", told))
        query = form.get("query", "")
        self.asked.append((query, at))
        found = self.results.get(query)
        if found is None:
            told = f'invalid parameter "query": 1:1: parse error: {query or "no expression found in input"}'
            return Reply(400, failed("bad_data", told))
        data = _timed(found(at) if callable(found) else found, at)
        return Reply(body=json.dumps({"status": "success", "data": data}).encode())


def _time(text: str) -> datetime | None:
    try:
        return parse_iso(text)
    except ValueError:
        return None


def _timed(data: Result, at: datetime) -> Result:
    if data["resultType"] == "vector":
        rows = [row | {"value": [at.timestamp(), *row["value"]]} if "value" in row else row for row in data["result"]]
        return data | {"result": rows}
    return data | {"result": [at.timestamp(), *data["result"]]} if data["resultType"] == "scalar" else data


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        api = self.server.api
        form = dict(parse_qsl(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()))
        api.seen.append({name.lower(): value for name, value in self.headers.items()})
        reply = self._reply(api, form)
        if api.packs and not reply.headers and "gzip" in self.headers.get("Accept-Encoding", ""):
            reply = Reply(reply.status, gzip.compress(reply.body), {"Content-Encoding": "gzip"}, reply.kind)
        with suppress(ConnectionError):  # who has enough is gone before the end
            self._send(reply, api)

    def do_GET(self) -> None:
        """Where a redirect leads: what looks well, for a client that follows it."""
        api = self.server.api
        api.others.append(f"GET {self.path}")
        self._send(Reply(body=json.dumps({"status": "success", "data": vector()}).encode()), api)

    def _reply(self, api: PrometheusApi, form: Mapping[str, str]) -> Reply:
        if api.replies:
            return api.replies.pop(0)
        if self.path != QUERY_PATH:
            return Reply(404, b"404 page not found\n")
        if api.token and self.headers.get("Authorization") != f"Bearer {api.token}":
            return Reply(401, b"Unauthorized\n")
        return api.answer(form)

    def _send(self, reply: Reply, api: PrometheusApi) -> None:
        if reply.kind == "hang":
            api.closing.wait()
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.kind == "drip_head":
            self.flush_headers()
            self._drip(b"X-More: of it\r\n", api)
            return
        endless = reply.kind == "drip"
        self.send_header("Content-Length", str(1 << 40 if endless else len(reply.body)))
        self.end_headers()
        if endless:
            self._drip(reply.body, api)
            return
        self.wfile.write(reply.body[: len(reply.body) // 2] if reply.kind == "cut" else reply.body)
        if reply.kind == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)

    def _drip(self, portion: bytes, api: PrometheusApi) -> None:
        self.close_connection = True
        while not api.closing.wait(DRIP_S):
            self.wfile.write(portion)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class calls it so
        del format, args


class _Server(ThreadingHTTPServer):
    api: PrometheusApi


@contextmanager
def serving(api: PrometheusApi) -> Iterator[PrometheusApi]:
    """The server, answering on loopback as long as the block runs."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.api, api.port = api, server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        api.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
