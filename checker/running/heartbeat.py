"""The ping to a dead-man's switch: something outside that raises an alarm once it no longer hears from the loop."""

from __future__ import annotations

from collections.abc import Mapping

from checker.errors import NotRecorded
from checker.reporter.messages import NotDelivered
from checker.reporter.transports.http import post

VARIABLE = "PHASEGATE_HEARTBEAT_URL"  # whoever knows it can silence the alarm, so it is a credential


def ping(environ: Mapping[str, str]) -> bool:
    """Say that there was a verdict; False where nobody is to be told.

    Raises NotRecorded where nobody heard it; the message does not hold the address.
    """
    url = environ.get(VARIABLE)
    if not url:
        return False
    try:
        answer = post(url, b"", {}, "the dead-man's switch")
    except NotDelivered as fault:
        raise NotRecorded(f"{fault}; look at {VARIABLE}") from None
    if not 200 <= answer.status < 300:
        raise NotRecorded(f"the dead-man's switch answered {answer.status}; expected 2xx: look at {VARIABLE}")
    return True
