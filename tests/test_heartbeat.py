"""The ping to a dead-man's switch: it arrives, or it is told that it did not, without the address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from checker.errors import NotRecorded
from checker.running.heartbeat import VARIABLE, ping


class Switch(ThreadingHTTPServer):
    """Counts pings, and answers as it is told."""

    status = 200
    pings: int = 0


class _Handler(BaseHTTPRequestHandler):
    server: Switch

    def do_POST(self) -> None:
        self.server.pings += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def listening(status: int = 200) -> Iterator[Switch]:
    """A switch on loopback."""
    with Switch(("127.0.0.1", 0), _Handler) as switch:
        switch.status = status
        thread = threading.Thread(target=switch.serve_forever)
        thread.start()
        try:
            yield switch
        finally:
            switch.shutdown()
            thread.join()


def address(switch: Switch) -> str:
    """Where it listens; the path is the secret."""
    return f"http://127.0.0.1:{switch.server_address[1]}/secret"


@pytest.mark.parametrize("status", [200, 204])
def test_it_arrives(status: int) -> None:
    with listening(status) as switch:
        assert ping({VARIABLE: address(switch)}) is True
        assert switch.pings == 1


@pytest.mark.parametrize("status", [301, 404, 500])
def test_an_answer_that_is_none_is_told(status: int) -> None:
    with listening(status) as switch, pytest.raises(NotRecorded, match=f"answered {status}") as fault:
        ping({VARIABLE: address(switch)})
    assert "secret" not in str(fault.value)


def test_nobody_there_is_told() -> None:
    with listening() as switch:
        gone = address(switch)
    with pytest.raises(NotRecorded, match="cannot be reached") as fault:
        ping({VARIABLE: gone})
    assert "secret" not in str(fault.value)


def test_nobody_to_be_told() -> None:
    assert ping({}) is False
