"""slack_sdk's clients as they are used here: asked once, no redirects, no log, a deadline, no proxy to this machine.

The two methods that open a connection are replaced. They would follow a redirect, with the token, to wherever it leads
and take what answers there for Slack; they would send requests to this machine through a proxy of the environment; and
their deadline is for each read, not for the answer.
"""

from __future__ import annotations

import json
import time
import urllib.request
from email.message import Message as Headers
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError

from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient, WebhookResponse

from checker.reporter.transports.http import is_loopback
from checker.reporter.transports.slack_faults import SILENT

_CHUNK = 65_536  # bytes


class Web(WebClient):
    """Slack's Web API."""

    def __init__(self, token: str, api: str, deadline_s: float) -> None:
        super().__init__(token=token, base_url=api, retry_handlers=[], logger=SILENT)
        self._deadline_s = deadline_s

    def _perform_urllib_http_request_internal(self, url: str, req: urllib.request.Request) -> dict[str, Any]:
        status, headers, text = _asked(url, req, self._deadline_s)
        return {"status": status, "headers": headers, "body": text if _is_object(text) else "{}"}


class Hook(WebhookClient):
    """An incoming webhook."""

    def __init__(self, url: str, deadline_s: float) -> None:
        super().__init__(url, retry_handlers=[], logger=SILENT)
        self._deadline_s = deadline_s

    def _perform_http_request_internal(self, url: str, req: urllib.request.Request) -> WebhookResponse:
        status, headers, text = _asked(url, req, self._deadline_s)
        return WebhookResponse(url=url, status_code=status, body=text, headers=headers)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Headers, newurl: str
    ) -> None:
        """Follow none: the answer is the redirect itself."""


def _asked(url: str, request: urllib.request.Request, deadline_s: float) -> tuple[int, dict[str, str], str]:
    """Status, headers (names in small letters) and text of the answer, whatever its status."""
    end_s = time.monotonic() + deadline_s
    proxies = urllib.request.ProxyHandler({} if is_loopback(url) else None)
    opener = urllib.request.build_opener(_NoRedirects, proxies)
    try:
        answer = opener.open(request, timeout=deadline_s)
    except HTTPError as fault:
        answer = fault
    with answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return answer.code, headers, _text(answer, end_s)


def _text(answer: HTTPResponse, end_s: float) -> str:
    read = b""
    while chunk := answer.read1(_CHUNK):
        read += chunk
        if time.monotonic() > end_s:
            raise TimeoutError
    return read.decode("utf-8", "replace")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
