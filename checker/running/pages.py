"""/healthz and /metrics: what the loop knows of itself, as a WSGI app that reads the standing for each request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from checker.running.metrics import metrics_text
from checker.running.standing import Standing, read_standing
from checker.windows import iso, iso_or_none

UNWRITTEN_S = 30.0  # a supervisor that has not written for so long hangs, or is gone
TEXT = "text/plain; version=0.0.4; charset=utf-8"

StartResponse = Callable[[str, list[tuple[str, str]]], object]


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one loop. `received` gives each receiver's counts, `age_s` how long ago the standing was written."""

    own: Path
    now: Callable[[], datetime]
    age_s: Callable[[], float]
    received: Callable[[], Mapping[str, Mapping[str, int]]]

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD")
        if path not in ("/healthz", "/metrics"):
            return _answer(start_response, "404 Not Found", "text/plain", b"/healthz or /metrics\n")
        if method not in ("GET", "HEAD"):
            return _answer(start_response, "405 Method Not Allowed", "text/plain", b"GET\n", ("Allow", "GET, HEAD"))
        standing = self._standing()
        if path == "/metrics":
            return _answer(start_response, "200 OK", TEXT, metrics_text(standing, self.received(), self.now()))
        document, is_healthy = self._health(standing)
        status = "200 OK" if is_healthy else "503 Service Unavailable"
        return _answer(start_response, status, "application/json", json.dumps(document, indent=1).encode() + b"\n")

    def _standing(self) -> Standing | None:
        try:
            return read_standing(self.own)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def _health(self, standing: Standing | None) -> tuple[dict[str, Any], bool]:
        if standing is None:
            return {"healthy": False, "troubles": ["the loop has not said anything yet"]}, False
        troubles = standing.troubles
        is_stale = self.age_s() > UNWRITTEN_S
        if is_stale:
            troubles.append(f"the loop has said nothing for {self.age_s():.0f} s")
        is_healthy = standing.is_healthy and not is_stale
        return {
            "healthy": is_healthy,
            "target": standing.target,
            "now": iso(self.now()),
            "begun_at": iso(standing.begun_at),
            "cycle_lag_s": standing.lag_s,
            "newest_sealed_window": iso_or_none(standing.sealed),
            "newest_judged_window": iso_or_none(standing.judged),
            "last_verdict_at": iso_or_none(standing.verdict_at),
            "outbox": standing.outbox,
            "governed_digest": standing.governed_digest,
            "troubles": troubles,
        }, is_healthy


def _answer(
    start_response: StartResponse, status: str, kind: str, body: bytes, *more: tuple[str, str]
) -> Iterable[bytes]:
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"), *more]
    start_response(status, headers)
    return [body]
