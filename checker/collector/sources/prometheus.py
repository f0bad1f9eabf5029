"""SLOs that live in Prometheus: PromQL over its HTTP API, a `metric` event for each series and window."""

from __future__ import annotations

import asyncio
import re
import ssl
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta

import httpx

from checker.collector.promql import (
    QUERY_PATH,
    NotAnswered,
    Series,
    event_lines,
    instant_query,
    is_address,
    series_of,
    server_of,
    windows_due,
)
from checker.collector.sources.base import Ask, Position, Sink, SourceFailed
from checker.model import Window
from checker.policy.collecting import Metric, PrometheusRule
from checker.units import counted, plain
from checker.windows import iso, parse_iso

MAX_ANSWER_BYTES = 8 << 20  # unpacked
_GZIP = "gzip"
_GZIP_BITS = 16 + zlib.MAX_WBITS
_ODD = re.compile(r"[^\x21-\x7e]")


class PrometheusSource:
    """Asks a server for each window's metrics, at its end. `environ` holds the token, where there is one.

    `window` is the policy's; in a recovery the windows asked for are shorter slices.
    """

    def __init__(self, rule: PrometheusRule, window: timedelta, environ: Mapping[str, str]) -> None:
        self.name = rule.name
        self._rule, self._window, self._environ = rule, window, environ

    def read(self, position: Position, ask: Ask, sink: Sink) -> Position:
        """Every window that was not asked for yet, of a day at most, up to the one to be sealed; see `Source.read`."""
        until = self._until(position, ask.window)
        asyncio.run(self._read(windows_due(until, ask.window), ask, sink))
        length = ask.window.end - ask.window.start
        own = {} if length == self._window else {"length_s": int(length.total_seconds())}
        return {"until": iso(max(until or ask.window.end, ask.window.end)), **own}

    def skip(self, position: Position) -> Position:
        """Windows in which it was not wanted are not asked for later."""
        del position
        return {}

    def committed(self, position: Position) -> None:
        """Nothing is held for a position."""

    def _until(self, position: Position, window: Window) -> datetime | None:
        """The end of the last window that was asked for, None where `window` is the first.

        A recovery begins where the batches are: windows before its first slice are theirs.
        """
        length_s = position.get("length_s", self._window.total_seconds())
        goes_on = "until" in position and timedelta(seconds=length_s) == window.end - window.start
        return parse_iso(position["until"]) if goes_on else None

    def _token(self) -> str:
        name = self._rule.bearer_token_env
        if name is None:
            return ""
        token = self._environ.get(name, "")
        if not token:
            raise SourceFailed(f"{name} is not set; put the server's token there")
        if _ODD.search(token):
            raise SourceFailed(f"{name} holds a blank or a character that no token has; set it without")
        return token

    async def _read(self, windows: list[Window], ask: Ask, sink: Sink) -> None:
        if not is_address(self._rule.url):
            raise SourceFailed(self._no_address())
        token, deadline_s, done = self._token(), self._rule.deadline.total_seconds(), 0
        try:
            async with asyncio.timeout(deadline_s), _client(self._rule.url, token) as client:
                for window in windows:
                    for metric in self._rule.metrics:
                        series = await self._asked(client, metric, window, token)
                        sink.add(event_lines(metric, series, window, ask.phase), f"{metric.name}@{iso(window.end)}")
                    done += 1
        except TimeoutError:
            whole = f"{done} of {counted(len(windows), 'window')} read"
            told = f"{server_of(self._rule.url)} did not answer all within {deadline_s:g} s ({whole})"
            raise SourceFailed(f"{told}; ask for less, or give the source a longer `deadline`") from None

    async def _asked(self, client: httpx.AsyncClient, metric: Metric, window: Window, token: str) -> list[Series]:
        """The series of one answer. Raises SourceFailed, which names the metric."""
        try:
            async with client.stream(
                "POST", f"{self._rule.url}{QUERY_PATH}", data=instant_query(metric, window)
            ) as answer:
                return series_of(answer.status_code, await _body(answer), token)
        except NotAnswered as fault:
            raise SourceFailed(f"{metric.name}: {fault}") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as fault:
            told = f"{server_of(self._rule.url)} cannot be reached: {plain(str(fault)) or type(fault).__name__}"
            raise SourceFailed(f"{metric.name}: {told}") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise SourceFailed(self._no_address()) from None
        except httpx.HTTPError as fault:
            told = f"{server_of(self._rule.url)} broke off ({type(fault).__name__})"
            raise SourceFailed(f"{metric.name}: {told}") from None

    def _no_address(self) -> str:
        return f"{server_of(self._rule.url)} is no address of a server; look at `url`"


def _client(url: str, token: str) -> httpx.AsyncClient:
    """A client that asks the server alone: it follows no redirect and takes no proxy from the environment."""
    headers = {"Accept-Encoding": _GZIP} | ({"Authorization": f"Bearer {token}"} if token else {})
    is_plain = url.startswith("http:")  # then nobody is to be trusted, and the authorities (20 ms) need not be read
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_plain else httpx.create_ssl_context()
    return httpx.AsyncClient(headers=headers, verify=context, timeout=None, follow_redirects=False, trust_env=False)


async def _body(answer: httpx.Response) -> bytes:
    """The whole answer, unpacked portion by portion: one that is too large is not taken in. Raises NotAnswered."""
    encoding = answer.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", _GZIP):
        raise NotAnswered(f"answered in the encoding {plain(encoding)[:20]!r}, which was not asked for")
    packed = zlib.decompressobj(_GZIP_BITS) if encoding == _GZIP else None
    body = bytearray()
    try:
        async for portion in answer.aiter_raw():
            body += packed.decompress(portion, MAX_ANSWER_BYTES + 1 - len(body)) if packed else portion
            if len(body) > MAX_ANSWER_BYTES:
                raise NotAnswered(f"the answer has more than {MAX_ANSWER_BYTES >> 20} MiB; ask for fewer series")
    except zlib.error:
        raise NotAnswered("the answer is broken gzip") from None
    if packed and not packed.eof:
        raise NotAnswered("the answer is broken gzip")
    return bytes(body)
