"""PromQL over Prometheus' HTTP API: what is asked for a window, what an answer holds, the events of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson

from checker.model import Window
from checker.policy.collecting import Metric
from checker.units import finite, plain, shortened
from checker.windows import iso, windows_between

QUERY_PATH = "/api/v1/query"
PLACEHOLDER = "$window"
EVENT = "metric"
SCHEMA_VERSION = 1
MAX_CAUGHT_UP = timedelta(hours=24)  # the event schema's `max_late`: what is older would not be counted any more
MAX_SERIES = 1_000
MAX_TOLD = 200  # characters of what a server says
_LAST = timedelta(milliseconds=1)  # before its end a window's last event happens
_OK = 200
_MALFORMED = "the answer is not as Prometheus' API gives it"
_WAYS_OUT = {
    401: "; the server wants another token than the one in the variable of `bearer_token_env`",
    403: "; the token in the variable of `bearer_token_env` may not ask for this",
    404: "; is `url` the API's address, without /api/v1?",
}


class NotAnswered(Exception):
    """No value came of a query. The text is shown to people."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and the value at the time that was asked for."""

    labels: Mapping[str, str]
    value: float


def windows_due(until: datetime | None, window: Window) -> list[Window]:
    """`window` and those before it, as long as it is, that ended after `until`: oldest first, of one day at most.

    Without `until` it is `window` alone.
    """
    length = window.end - window.start
    missed = 0 if until is None else max(0, -((until - window.start) // length))
    first = window.start - length * min(missed, MAX_CAUGHT_UP // length - 1)
    return list(windows_between(first, window.end, length))


def instant_query(metric: Metric, window: Window) -> dict[str, str]:
    """The form that asks for the metric's value at the window's end."""
    length_s = int((window.end - window.start).total_seconds())
    return {"query": metric.query.replace(PLACEHOLDER, f"{length_s}s"), "time": iso(window.end)}


def series_of(status: int, body: bytes, secret: str = "") -> list[Series]:
    """The series of an answer with this HTTP status, as they come; a scalar is one without labels.

    Raises NotAnswered for errors and for what is no instant value; `secret` is kept out of its text.
    """
    document = _document(body)
    if document is None or (document["status"] != "error" and status != _OK):
        raise NotAnswered(f"answered {status} with what is no answer of Prometheus' API{_way_out(status)}")
    if document["status"] == "error":
        raise NotAnswered(f"answered {status}: {_told(document, secret)}{_way_out(status)}")
    return _series(document.get("data"))


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and found.get("status") in ("success", "error") else None


def _way_out(status: int) -> str:
    is_redirect = 300 <= status < 400
    return "; redirects are not followed, write the address they lead to" if is_redirect else _WAYS_OUT.get(status, "")


def _told(document: Mapping[str, Any], secret: str) -> str:
    text = f"{document.get('errorType', 'error')}: {document.get('error', 'without a reason')}"
    return plain(shortened(text.replace(secret, "[token]") if secret else text, MAX_TOLD))


def _series(data: object) -> list[Series]:
    match data:
        case {"resultType": "scalar", "result": [_, str(value)]}:
            return [Series({}, _number(value))]
        case {"resultType": "vector", "result": [*rows]}:
            if len(rows) > MAX_SERIES:
                told = f"gives {len(rows):,} series, at most {MAX_SERIES:,} are taken; put them together (sum by …)"
                raise NotAnswered(told)
            return [_one(row) for row in rows]
        case {"resultType": "matrix" | "string" as kind}:
            raise NotAnswered(f"gives a {kind}, expected a vector or a scalar: one value a series at the window's end")
    raise NotAnswered(_MALFORMED)


def _one(row: object) -> Series:
    match row:
        case {"metric": dict(labels), "value": [_, str(value)]} if all(
            isinstance(label, str) for label in labels.values()
        ):
            return Series(labels, _number(value))
        case {"metric": {}, "histogram": _}:
            raise NotAnswered("gives histograms, expected numbers; take one of each, with histogram_quantile, say")
    raise NotAnswered(_MALFORMED)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise NotAnswered(_MALFORMED) from None


def event_lines(metric: Metric, series: Iterable[Series], window: Window, phase: str) -> bytes:
    """An event at the window's last millisecond for each series that has a value, in the order of their labels.

    A series without the label that `phase` is mapped to has `phase`. One that is not finite gives none: the quantile of
    an empty histogram is NaN, and nothing was measured.
    """
    measured = [
        (sorted(one.labels.items()), value) for one in series if (value := finite(one.value * metric.scale)) is not None
    ]
    at = iso(window.end - _LAST)
    return b"".join(_line(metric, dict(labels), value, at, phase) for labels, value in sorted(measured))


def _line(metric: Metric, labels: Mapping[str, str], value: float, at: str, phase: str) -> bytes:
    given = {field: labels[label] for field, label in metric.labels.items() if labels.get(label)}
    event = {
        "schema_version": SCHEMA_VERSION,
        "ts": at,
        "event": EVENT,
        "phase": given.get("phase", phase),
        "name": metric.name,
        "value": value,
    }
    # what tells a metric's event from others is no label's to change
    event |= {field: label for field, label in given.items() if field not in event}
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


def server_of(url: str) -> str:
    """What of an address may be shown: scheme, host and port."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the source's `url`"
    return plain(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def is_address(url: str) -> bool:
    """Whether it is an address that can be asked: http or https, with a host, and no port beyond the last."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets, or a port, that are none
        return False
