"""A Prometheus that does not answer as it should: told in a few plain words, in time, and without a credential."""

from __future__ import annotations

import gzip
import json
import socket
import time
import tracemalloc
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from checker.collector.promql import MAX_SERIES
from checker.collector.sources.base import Ask, SourceFailed
from checker.collector.sources.prometheus import MAX_ANSWER_BYTES, PrometheusSource
from checker.model import Window
from checker.policy.collecting import Metric, PrometheusRule
from checker.windows import iso
from tests.batches import FIRST, WINDOW
from tests.prometheus_api import PrometheusApi, Reply, Result, failed, sample, serving, vector
from tests.test_source_prometheus import Taken

ENDED = Window(FIRST, FIRST + WINDOW)
TOKEN, VARIABLE = "wx.7-Tq/42=", "PHASEGATE_PROMETHEUS_TOKEN"
GZIP = {"Content-Encoding": "gzip"}
NO_API = "answered {} with what is no answer of Prometheus' API"
MALFORMED = "the answer is not as Prometheus' API gives it"
TOO_LARGE = "the answer has more than 8 MiB; ask for fewer series"
BOMB = gzip.compress(bytes(MAX_ANSWER_BYTES * 8))


@pytest.fixture
def api() -> Iterator[PrometheusApi]:
    with serving(PrometheusApi({"x": vector(sample("1"))})) as server:
        yield server


def failure(
    url: str,
    deadline_s: float = 10,
    *,
    variable: str | None = None,
    environ: Mapping[str, str] | None = None,
    position: Mapping[str, Any] | None = None,
) -> str:
    """Why a read of the metric `m` fails."""
    deadline = timedelta(seconds=deadline_s)
    rule = PrometheusRule("metrics", deadline, url=url, metrics=(Metric("m", "x"),), bearer_token_env=variable)
    with pytest.raises(SourceFailed) as caught:
        PrometheusSource(rule, WINDOW, environ or {}).read(position or {}, Ask(ENDED, ENDED.end, "B", True), Taken())
    return str(caught.value)


def success(data: Any) -> Reply:
    return Reply(body=json.dumps({"status": "success", "data": data}).encode())


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(400, failed("bad_data", "1:1: parse error")), "answered 400: bad_data: 1:1: parse error"),
        (Reply(422, failed("execution", "many-to-many")), "answered 422: execution: many-to-many"),
        (Reply(200, failed("timeout", "slow")), "answered 200: timeout: slow"),
        (Reply(500, b'{"status": "error"}'), "answered 500: error: without a reason"),
        (Reply(400, failed("a", "\x1b[2J\n\u202e")), r"answered 400: a: \x1b[2J\n\u202e"),
        (Reply(400, failed("a", "b" * 300)), f"answered 400: a: {'b' * 197}… (103 more characters)"),
        (Reply(502, b"<html>Bad Gateway</html>"), NO_API.format(502)),
        (Reply(503, b'{"status": "success", "data": {}}'), NO_API.format(503)),
        (
            Reply(401, b"Unauthorized\n"),
            f"{NO_API.format(401)}; the server wants another token than the one in the variable of `bearer_token_env`",
        ),
        (
            Reply(403, failed("forbidden", "no")),
            "answered 403: forbidden: no; the token in the variable of `bearer_token_env` may not ask for this",
        ),
        (Reply(404, b"not found"), f"{NO_API.format(404)}; is `url` the API's address, without /api/v1?"),
        (
            Reply(302, b"", {"Location": "/api/v1/query?query=x"}),
            f"{NO_API.format(302)}; redirects are not followed, write the address they lead to",
        ),
        (Reply(200, b""), NO_API.format(200)),
        (Reply(200, b'{"status": "success", "data": {"resultTy'), NO_API.format(200)),
        (Reply(200, b"[" * 100_000), NO_API.format(200)),
        (Reply(200, b"\xff"), NO_API.format(200)),
        (Reply(200, b'["success"]'), NO_API.format(200)),
        (Reply(200, b'{"status": ["success"]}'), NO_API.format(200)),
        (Reply(200, b'{"status": "success", "data": "\\ud800"}'), NO_API.format(200)),
        (success(None), MALFORMED),
        (success({"resultType": "vector", "result": {}}), MALFORMED),
        (success({"resultType": "scalar", "result": [1]}), MALFORMED),
        (success({"resultType": "scalar", "result": [1, "one"]}), MALFORMED),
        (success({"resultType": "scalar", "result": [1, 1.0]}), MALFORMED),
        (success(vector({"metric": {"a": 1}, "value": [0, "1"]})), MALFORMED),
        (success(vector({"metric": {}, "values": [[0, "1"]]})), MALFORMED),
        (
            success(vector({"metric": {}, "histogram": [0, {"count": "1"}]})),
            "gives histograms, expected numbers; take one of each, with histogram_quantile, say",
        ),
        (
            success({"resultType": "matrix", "result": []}),
            "gives a matrix, expected a vector or a scalar: one value a series at the window's end",
        ),
        (
            success({"resultType": "string", "result": [0, "x"]}),
            "gives a string, expected a vector or a scalar: one value a series at the window's end",
        ),
        (
            success(vector(*[{"metric": {}, "value": [0, "1"]}] * (MAX_SERIES + 1))),
            "gives 1,001 series, at most 1,000 are taken; put them together (sum by …)",
        ),
        (Reply(200, b" " * (MAX_ANSWER_BYTES + 1)), TOO_LARGE),
        (Reply(200, BOMB, GZIP), TOO_LARGE),
        (Reply(200, gzip.compress(b"{}")[:-9], GZIP), "the answer is broken gzip"),
        (Reply(200, b"{}", GZIP), "the answer is broken gzip"),
        (
            Reply(200, zlib.compress(b"{}"), {"Content-Encoding": "deflate"}),
            "answered in the encoding 'deflate', which was not asked for",
        ),
    ],
)
def test_what_is_no_value_is_told(api: PrometheusApi, reply: Reply, told: str) -> None:
    api.replies.append(reply)
    assert failure(api.url) == f"m: {told}"
    assert api.others == []  # no redirect is followed


def test_a_bomb_is_not_unpacked(api: PrometheusApi) -> None:
    api.replies.append(Reply(200, BOMB, GZIP))
    tracemalloc.start()
    try:
        failure(api.url)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_ANSWER_BYTES
    finally:
        tracemalloc.stop()


def test_the_largest_answer_is_taken(api: PrometheusApi) -> None:
    body = success(vector(sample("1"))).body.replace(b'["1"]', b'[0, "1"]')
    api.replies = [
        Reply(200, body.ljust(MAX_ANSWER_BYTES)),
        Reply(200, gzip.compress(body.ljust(MAX_ANSWER_BYTES)), GZIP),
    ]
    source = PrometheusSource(PrometheusRule("metrics", url=api.url, metrics=(Metric("m", "x"),) * 2), WINDOW, {})
    sink = Taken()
    source.read({}, Ask(ENDED, ENDED.end, "B", True), sink)
    assert len(sink.lines) == 2


def test_a_connection_that_breaks_off(api: PrometheusApi) -> None:
    api.replies.append(Reply(200, success(vector(sample("1"))).body, kind="cut"))
    assert failure(api.url) == f"m: {api.url} broke off (RemoteProtocolError)"


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    told = "cannot be reached: All connection attempts failed"
    assert failure(f"http://{address}/prom") == f"m: http://{address} {told}"
    assert failure(f"http://ada:secret@{address}") == f"m: http://{address} {told}"


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:65536", "http://127.0.0.1:0", "http://[::zz]", "ftp://127.0.0.1", "nonsense", "http://h\x00"],
)
def test_no_address_at_all(url: str) -> None:
    assert "is no address of a server; look at `url`" in failure(url)


def test_a_server_that_speaks_no_tls(api: PrometheusApi) -> None:
    secure = api.url.replace("http:", "https:")
    assert failure(secure).startswith(f"m: {secure} cannot be reached: [SSL")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(kind="hang"),
        Reply(kind="drip_head"),
        Reply(kind="drip", body=b" "),
        Reply(kind="drip", body=b"\x1f\x8b\x08\x10\x01\x01\x01\x01\x01\x01", headers=GZIP),  # its comment never ends
    ],
    ids=["hang", "head", "body", "packed"],
)
def test_the_deadline_passes_whatever_comes(api: PrometheusApi, reply: Reply) -> None:
    api.replies.append(reply)
    begun = time.monotonic()
    told = failure(api.url, 0.1)
    assert time.monotonic() - begun < 2
    assert told == (
        f"{api.url} did not answer all within 0.1 s (0 of 1 window read);"
        " ask for less, or give the source a longer `deadline`"
    )


def test_the_deadline_is_that_of_all_windows_together(api: PrometheusApi) -> None:
    def later(at: datetime) -> Result:
        if at == FIRST - 2 * WINDOW:
            api.closing.wait(10)  # until the test is over
        return vector(sample("1"))

    api.results["x"] = later
    told = failure(api.url, 0.3, position={"until": iso(FIRST - 5 * WINDOW)})
    assert "(2 of 6 windows read)" in told


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, f"{VARIABLE} is not set; put the server's token there"),
        ({VARIABLE: ""}, f"{VARIABLE} is not set; put the server's token there"),
        ({VARIABLE: f"{TOKEN}\n"}, f"{VARIABLE} holds a blank or a character that no token has; set it without"),
        ({VARIABLE: "ключ"}, f"{VARIABLE} holds a blank or a character that no token has; set it without"),
    ],
)
def test_a_token_that_cannot_be_one(api: PrometheusApi, environ: dict[str, str], told: str) -> None:
    assert failure(api.url, variable=VARIABLE, environ=environ) == told
    assert api.seen == []  # nothing was sent


def test_the_token_is_sent_and_never_told(api: PrometheusApi) -> None:
    api.token = TOKEN
    rule = PrometheusRule("metrics", url=api.url, metrics=(Metric("m", "x"),), bearer_token_env=VARIABLE)
    sink = Taken()
    PrometheusSource(rule, WINDOW, {VARIABLE: TOKEN}).read({}, Ask(ENDED, ENDED.end, "B", True), sink)
    assert len(sink.lines) == 1
    assert "answered 401" in failure(api.url, variable=VARIABLE, environ={VARIABLE: "another"})
    assert "answered 401" in failure(api.url)
    for before in (0, 195):  # the shortened text must not end in half of it
        api.replies.append(Reply(400, failed("a", f"{'b' * before}{TOKEN} is no token")))
        told = failure(api.url, variable=VARIABLE, environ={VARIABLE: TOKEN})
        assert not any(TOKEN[:length] in told for length in range(4, len(TOKEN)))
