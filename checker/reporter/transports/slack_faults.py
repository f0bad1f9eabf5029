"""What goes wrong with Slack, in our words: no answer, or an answer that is a refusal. No credential is among them."""

from __future__ import annotations

import http.client
import logging
import re
import urllib.error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from checker.reporter.messages import NotDelivered
from checker.reporter.transports.http import retry_after_of

SILENT = logging.getLogger("checker.silent")  # the client's own log holds what it sends
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
SILENT.setLevel(logging.CRITICAL)

RATE_LIMITS = frozenset({"ratelimited", "rate_limited"})
_PASSING = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)  # of these the first two may have done what was asked
_CODE = re.compile(r"[a-z_]{1,80}")
_TOKEN = "set PHASEGATE_SLACK_TOKEN to the token of a bot that is installed"
_INVITE = "see that the channel exists and invite the bot to it"
_WHAT_TO_DO = {
    "invalid_auth": _TOKEN,
    "not_authed": _TOKEN,
    "account_inactive": _TOKEN,
    "token_revoked": _TOKEN,
    "token_expired": _TOKEN,
    "channel_not_found": _INVITE,
    "not_in_channel": _INVITE,
    "is_archived": "the channel is archived: restore it, or name another one in policy.yaml",
    "missing_scope": "give the bot the scope chat:write and install it again",
}


class Refusal(NotDelivered):
    """Slack answered, and no; `code` is its word for why."""

    def __init__(self, reason: str, code: str, *, is_final: bool, may_have_arrived: bool, wait_s: float | None) -> None:
        self.code = code
        super().__init__(reason, retry_after_s=wait_s, is_final=is_final, may_have_arrived=may_have_arrived)


@contextmanager
def told_of_faults(service: str) -> Iterator[None]:
    """Raise NotDelivered for a connection that was refused, cut or left without an answer."""
    from slack_sdk.errors import SlackClientError

    try:
        yield
    except urllib.error.URLError as fault:
        may = isinstance(fault.reason, TimeoutError)
        raise NotDelivered(
            f"{service} cannot be reached ({_kind(fault.reason)})", may_have_arrived=may, answered=False
        ) from None
    except TimeoutError:
        raise NotDelivered(f"{service} did not answer in time", may_have_arrived=True, answered=False) from None
    except (OSError, http.client.HTTPException, SlackClientError, ValueError) as fault:
        raise NotDelivered(f"{service} broke off ({_kind(fault)})", may_have_arrived=True, answered=False) from None


def code_of(answer: Mapping[str, Any]) -> str:
    """Slack's word for what is wrong; empty where some proxy answered instead."""
    code = answer.get("error")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def refusal(status: int, headers: Mapping[str, str], code: str) -> Refusal:
    """What a refusal of the Web API comes to; `headers` by their names in small letters."""
    may = False
    is_final = False
    if status == 429 or code in RATE_LIMITS:
        reason = "Slack: rate limit"
    elif status >= 500 or code in _PASSING or (status == 200 and not code):
        reason, may = f"Slack answered {status} {code}".rstrip(), True
    elif code:
        reason, is_final = ": ".join(filter(None, ("Slack", code, _WHAT_TO_DO.get(code)))), True
    else:
        reason, is_final = f"Slack answered {status}, not as its API does: see PHASEGATE_SLACK_API", True
    wait_s = retry_after_of(headers.get("retry-after"))
    return Refusal(reason, code, is_final=is_final, may_have_arrived=may, wait_s=wait_s)


def _kind(fault: object) -> str:
    return type(fault).__name__
