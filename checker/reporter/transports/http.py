"""One HTTP request, asked once, with a deadline; what went wrong in words that hold no address and no credential."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from checker.reporter.messages import NotDelivered

DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's status, which is all that is read of it."""

    status: int
    retry_after_s: float | None = None


def post(url: str, body: bytes, headers: Mapping[str, str], service: str, deadline_s: float = DEADLINE_S) -> Answer:
    """POST `body`; redirects are not followed. Raises NotDelivered where no answer came.

    `service` is what errors call the other side: an address may be a credential.
    """
    import httpx

    for name in ("httpx", "httpcore"):  # they log addresses
        logging.getLogger(name).setLevel(logging.CRITICAL)
    given = dict(headers)
    try:
        with (
            httpx.Client(timeout=deadline_s, follow_redirects=False, trust_env=not is_loopback(url)) as client,
            # only its head is read: a body that never ends holds up nobody
            client.stream("POST", url, content=body, headers=given) as answer,
        ):
            return Answer(answer.status_code, retry_after_of(answer.headers.get("retry-after")))
    except httpx.ConnectError as fault:
        raise NotDelivered(f"{service} cannot be reached ({_kind(fault)})", answered=False) from None
    except httpx.ConnectTimeout:
        raise NotDelivered(f"{service} cannot be reached within {deadline_s:g} s", answered=False) from None
    except httpx.TimeoutException:
        told = f"{service} did not answer within {deadline_s:g} s"
        raise NotDelivered(told, may_have_arrived=True, answered=False) from None
    except httpx.HTTPError as fault:
        raise NotDelivered(f"{service} broke off ({_kind(fault)})", may_have_arrived=True, answered=False) from None


def _kind(fault: Exception) -> str:
    return type(fault).__name__


def refused(service: str, answer: Answer, what_to_do: str) -> NotDelivered:
    """What an answer that is no acknowledgement comes to: a rate limit and a fault of the server's pass by."""
    told = f"{service} answered {answer.status}"
    if answer.status == 429:
        return NotDelivered(f"{told} (rate limit)", retry_after_s=answer.retry_after_s)
    if answer.status >= 500:
        return NotDelivered(told, retry_after_s=answer.retry_after_s, may_have_arrived=True)
    if answer.status == 408:
        return NotDelivered(told, retry_after_s=answer.retry_after_s)
    return NotDelivered(f"{told}: {what_to_do}", is_final=True)


def retry_after_of(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for; None where it names none, or a date."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None


def is_loopback(url: str) -> bool:
    """Whether the address is of this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_safe(url: str) -> bool:
    """Whether it is an address that a secret may be sent to: over TLS, or not out of this machine."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or brackets that are none
        return False
    return has_host and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))
