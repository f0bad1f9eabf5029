"""One HTTP request, asked once, with a deadline; what went wrong in words that hold no address and no credential."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from checker.reporter.messages import NotDelivered

DEADLINE_S = 10.0
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's status and the beginning of its text."""

    status: int
    text: str
    retry_after_s: float | None = None


def post(url: str, body: bytes, headers: Mapping[str, str], service: str, deadline_s: float = DEADLINE_S) -> Answer:
    """POST `body`; redirects are not followed. Raises NotDelivered where no answer came.

    `service` is what errors call the other side: an address may be a credential.
    """
    import httpx

    for name in ("httpx", "httpcore"):  # they log addresses
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with httpx.Client(timeout=deadline_s, follow_redirects=False, trust_env=not is_loopback(url)) as client:
            answer = client.post(url, content=body, headers=dict(headers))
    except httpx.ConnectError as fault:
        raise NotDelivered(f"{service} cannot be reached ({_kind(fault)})") from None
    except httpx.ConnectTimeout:
        raise NotDelivered(f"{service} cannot be reached within {deadline_s:g} s") from None
    except httpx.TimeoutException:
        raise NotDelivered(f"{service} did not answer within {deadline_s:g} s", may_have_arrived=True) from None
    except httpx.HTTPError as fault:
        raise NotDelivered(f"{service} broke off ({_kind(fault)})", may_have_arrived=True) from None
    return Answer(answer.status_code, answer.text[:_SHOWN], retry_after_of(answer.headers.get("retry-after")))


def _kind(fault: Exception) -> str:
    return type(fault).__name__


def refused(service: str, answer: Answer) -> NotDelivered:
    """What an answer that is no acknowledgement comes to: a rate limit and a fault of the server's pass by."""
    told = f"{service} answered {answer.status}"
    if answer.status == 429:
        return NotDelivered(f"{told} (rate limit)", retry_after_s=answer.retry_after_s)
    if answer.status >= 500:
        return NotDelivered(told, retry_after_s=answer.retry_after_s, may_have_arrived=True)
    return NotDelivered(told, is_final=True)


def retry_after_of(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for; None where it names none, or a date."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None


def is_loopback(url: str) -> bool:
    """Whether the address is of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_safe(url: str) -> bool:
    """Whether a secret may be sent there: over TLS, or not out of this machine."""
    return urlsplit(url).scheme == "https" or (urlsplit(url).scheme == "http" and is_loopback(url))
