"""What slack_sdk raises where no answer came, in our words; nothing of what it sent is among them."""

from __future__ import annotations

import http.client
import logging
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager

from checker.reporter.messages import NotDelivered

SILENT = logging.getLogger("checker.silent")  # the client's own log holds what it sends
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
SILENT.setLevel(logging.CRITICAL)


@contextmanager
def told_of_faults(service: str) -> Iterator[None]:
    """Raise NotDelivered for a connection that was refused, cut or left without an answer."""
    from slack_sdk.errors import SlackClientError

    try:
        yield
    except urllib.error.HTTPError as fault:
        raise NotDelivered(f"{service} answered {fault.code}", may_have_arrived=fault.code >= 500) from None
    except urllib.error.URLError as fault:
        may = isinstance(fault.reason, TimeoutError)
        raise NotDelivered(f"{service} cannot be reached ({_kind(fault.reason)})", may_have_arrived=may) from None
    except (OSError, http.client.HTTPException, SlackClientError, ValueError) as fault:
        raise NotDelivered(f"{service} broke off ({_kind(fault)})", may_have_arrived=True) from None


def _kind(fault: object) -> str:
    return type(fault).__name__
