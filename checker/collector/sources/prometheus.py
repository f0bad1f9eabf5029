"""SLOs that live in Prometheus: PromQL over its HTTP API, a `metric` event for each series and window."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from checker.collector.sources.base import Ask, Position, Sink, SourceFailed
from checker.model import Window
from checker.policy.collecting import Metric, PrometheusRule
from checker.units import plain
from checker.windows import iso, parse_iso, windows_between

EVENT = "metric"
SCHEMA_VERSION = 1
MAX_CAUGHT_UP = timedelta(hours=24)  # older windows are not asked for: their events would be too late
MAX_SERIES = 1_000
MAX_ANSWER_BYTES = 8 << 20
MAX_TOLD = 200
WINDOW = "$window"
_LAST = timedelta(milliseconds=1)  # before a window's end: an event of the window itself


class PrometheusSource:
    """Asks a server for each window's metrics, at its end. `environ` holds the token, where there is one."""

    def __init__(self, rule: PrometheusRule, window: timedelta, environ: Mapping[str, str]) -> None:
        self.name = rule.name
        self._rule, self._window, self._environ = rule, window, environ

    def read(self, position: Position, ask: Ask, sink: Sink) -> Position:
        """Every window that was not asked for yet, up to the one to be sealed; see `Source.read`."""
        import httpx

        end_s = time.monotonic() + self._rule.deadline.total_seconds()
        headers = self._headers()
        try:
            with httpx.Client(headers=headers, follow_redirects=False, trust_env=False) as client:
                for window in self._windows(position, ask.window):
                    for metric in self._rule.metrics:
                        lines = b"".join(self._lines(metric, self._asked(client, metric, window, end_s), window, ask))
                        sink.add(lines, f"{metric.name}@{iso(window.end)}")
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise SourceFailed(
                f"the server cannot be asked ({type(fault).__name__}); look at {self._rule.url}"
            ) from None
        return {"until": iso(ask.window.end)}

    def skip(self, position: Position) -> Position:
        """Windows in which it was not wanted are not asked for later."""
        del position
        return {}

    def committed(self, position: Position) -> None:
        """Nothing is held for a position."""

    def _headers(self) -> dict[str, str]:
        name = self._rule.bearer_token_env
        if name is None:
            return {}
        if not self._environ.get(name):
            raise SourceFailed(f"{name} is not set; put the server's token there")
        return {"Authorization": f"Bearer {self._environ[name]}"}

    def _windows(self, position: Position, window: Window) -> Iterator[Window]:
        until = parse_iso(position["until"]) if "until" in position else window.start
        first = min(window.start, max(until, window.end - MAX_CAUGHT_UP))
        return windows_between(first, window.end, self._window)

    def _asked(self, client: Any, metric: Metric, window: Window, end_s: float) -> Sequence[Any]:
        """The series of one answer. Raises SourceFailed, and httpx.HTTPError."""
        query = metric.query.replace(WINDOW, f"{int(self._window.total_seconds())}s")
        data = {"query": query, "time": f"{window.end.timestamp():.3f}"}
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            raise SourceFailed(f"{metric.name}: {self._late()}")
        with client.stream("POST", f"{self._rule.url}/api/v1/query", data=data, timeout=left_s) as answer:
            body = self._body(answer, metric, end_s)
            return _series(metric, _document(metric, answer.status_code, body))

    def _body(self, answer: Any, metric: Metric, end_s: float) -> bytes:
        body = bytearray()
        for portion in answer.iter_bytes():
            body += portion
            if len(body) > MAX_ANSWER_BYTES:
                raise SourceFailed(f"{metric.name}: the answer has more than {MAX_ANSWER_BYTES:,} bytes; ask for less")
            if time.monotonic() > end_s:
                raise SourceFailed(f"{metric.name}: {self._late()}")
        return bytes(body)

    def _late(self) -> str:
        return f"no whole answer within {self._rule.deadline.total_seconds():g} s"

    def _lines(self, metric: Metric, series: Sequence[Any], window: Window, ask: Ask) -> Iterator[bytes]:
        """An event for each series that has a value, in the order of their labels."""
        at = iso(window.end - _LAST)
        for row in sorted(series, key=lambda row: json.dumps(row[0], sort_keys=True)):
            labels, value = row
            if not math.isfinite(value):
                continue  # an empty histogram's quantile: nothing was measured
            named = {field: labels[label] for field, label in metric.labels.items() if label in labels}
            event = {
                "schema_version": SCHEMA_VERSION,
                "ts": at,
                "event": EVENT,
                "phase": ask.phase,
                "name": metric.name,
            }
            event |= {**named, "value": value * metric.scale}
            yield json.dumps(event, ensure_ascii=False).encode() + b"\n"


def _document(metric: Metric, status: int, body: bytes) -> Mapping[str, Any]:
    """The API's answer. Raises SourceFailed for an error, and for what is none of the API's."""
    try:
        document = json.loads(body)
        is_answer = isinstance(document, dict) and document.get("status") in ("success", "error")
    except (ValueError, RecursionError):
        is_answer = False
    if not is_answer:
        raise SourceFailed(f"{metric.name}: answered {status} with what is no answer of Prometheus' API")
    if document["status"] == "error" or status != 200:
        told = plain(f"{document.get('errorType')}: {document.get('error')}")[:MAX_TOLD]
        raise SourceFailed(f"{metric.name}: answered {status}: {told}")
    data = document.get("data")
    if not isinstance(data, dict):
        raise SourceFailed(f"{metric.name}: the answer holds no data")
    return data


def _series(metric: Metric, data: Mapping[str, Any]) -> list[tuple[Mapping[str, str], float]]:
    """Labels and value of each series. Raises SourceFailed for another type of result, and for too many."""
    kind, result = data.get("resultType"), data.get("result")
    try:
        if kind == "scalar":
            return [({}, float(result[1]))]  # type: ignore[index]
        if kind != "vector" or not isinstance(result, list):
            raise SourceFailed(f"{metric.name}: gives a {plain(str(kind))[:20]}, expected a vector or a scalar")
        if len(result) > MAX_SERIES:
            raise SourceFailed(f"{metric.name}: gives {len(result):,} series, at most {MAX_SERIES:,} are taken")
        return [(row["metric"], float(row["value"][1])) for row in result]
    except (KeyError, IndexError, TypeError, ValueError):
        raise SourceFailed(f"{metric.name}: the result is not as Prometheus' API has it") from None
