"""An HTTP server of the loop's: waitress, which holds slow and many clients off the app."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from checker.errors import UsageError

THREADS = 8
CHANNEL_TIMEOUT_S = 30
MAX_CONNECTIONS = 256


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens; port 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """The address that `HOST:PORT` names. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"{text!r} is no address such as 127.0.0.1:9464")
    return Address(host.strip("[]"), int(port))


def check_free(address: Address) -> None:
    """Raises UsageError where nothing can listen there."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address.host, address.port))
    except OSError as fault:
        raise _not_free(address, fault) from fault


def _not_free(address: Address, fault: OSError) -> UsageError:
    return UsageError(f"{address}: cannot listen there: {fault.strerror or fault}; name another address")


@contextmanager
def serve(app: Callable[..., Any], address: Address, max_body_bytes: int = 1 << 20) -> Iterator[Address]:
    """Serve `app` (WSGI) in threads of its own, at the address that is given. Raises UsageError where that is taken."""
    from waitress.server import create_server

    channels: dict[int, Any] = {}  # what the server waits on
    try:
        server: Any = create_server(
            app,
            map=channels,
            host=address.host,
            port=address.port,
            threads=THREADS,
            ident=None,
            connection_limit=MAX_CONNECTIONS,
            channel_timeout=CHANNEL_TIMEOUT_S,
            max_request_body_size=max_body_bytes,
            expose_tracebacks=False,
            clear_untrusted_proxy_headers=True,
        )
    except OSError as fault:
        raise _not_free(address, fault) from fault
    thread = threading.Thread(target=server.run, name=f"serving {address}", daemon=True)
    thread.start()
    try:
        yield Address(address.host, int(server.effective_port))
    finally:
        server.task_dispatcher.shutdown(timeout=CHANNEL_TIMEOUT_S)  # the requests at hand are answered
        server.trigger.pull_trigger(lambda: [channel.close() for channel in list(channels.values())])
        thread.join(CHANNEL_TIMEOUT_S)
