"""Shows the dashboard's two files to this machine alone, over HTTP."""

from __future__ import annotations

import functools
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from checker.cli import say
from checker.errors import UsageError
from checker.reporter.dashboard.write import DOCUMENT, PAGE

_TYPES = {PAGE: "text/html; charset=utf-8", DOCUMENT: "application/json"}


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """One of the two files; anything else is not there."""
        name = self.path.split("?", 1)[0].removeprefix("/") or PAGE
        if not self._is_asked_here() or name not in _TYPES:
            self.send_error(404)
            return
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", _TYPES[name])
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        self.wfile.write(content)

    def _is_asked_here(self) -> bool:
        """Whether the request names this machine: another page's script may point its own name at it."""
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        return host in ("127.0.0.1", "localhost")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
        """Say nothing: requests are of this machine alone."""
        del format, args


def serve_folder(folder: Path, port: int) -> None:
    """Serve until interrupted. Raises UsageError where the port cannot be had."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Handler, folder))
    except OSError as fault:
        raise UsageError(f"--port {port}: {fault.strerror}; give another one, or 0 for any") from fault
    with server:
        say.text(f"http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends it)")
        server.serve_forever(poll_interval=0.1)
