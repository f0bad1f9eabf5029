"""Prometheus as a source: what is asked for which windows, and the lines that come of what it answers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from checker.collector.gather import ProbeSink
from checker.collector.sources.base import Ask
from checker.collector.sources.prometheus import PrometheusSource
from checker.model import Window
from checker.policy.collecting import Metric, PrometheusRule
from checker.windows import iso
from tests.batches import FIRST, WINDOW, start_of
from tests.collectors import Bench
from tests.prometheus_api import PrometheusApi, Reply, Result, failed, sample, scalar, serving, vector

QUERY, ASKED = "histogram_quantile(0.95, rate(x_bucket[$window]))", "histogram_quantile(0.95, rate(x_bucket[900s]))"
P95 = Metric("save_latency_p95", QUERY)
ENDED = Window(FIRST, FIRST + WINDOW)


class Taken:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.origins: list[str] = []

    def add(self, lines: bytes, origin: str, offset: int = 0, *, is_verbatim: bool = False) -> None:
        assert (offset, is_verbatim) == (0, False)
        self.lines += lines.splitlines(keepends=True)
        self.origins.append(origin)

    def is_past(self, lines: bytes) -> bool:
        raise AssertionError(lines)

    def tell(self, told: str) -> None:
        raise AssertionError(told)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def api() -> Iterator[PrometheusApi]:
    with serving(PrometheusApi()) as server:
        yield server


def read(
    api: PrometheusApi, *metrics: Metric, position: Mapping[str, Any] | None = None, window: Window = ENDED
) -> tuple[Any, Taken]:
    """The next position, and what was read."""
    source = PrometheusSource(PrometheusRule("metrics", url=api.url, metrics=metrics or (P95,)), WINDOW, {})
    sink = Taken()
    return source.read(position or {}, Ask(window, window.end, "B", True), sink), sink


def test_a_window_is_asked_for_at_its_end_and_becomes_a_line(api: PrometheusApi) -> None:
    api.results[ASKED] = vector(sample("0.25"))
    position, sink = read(api)
    assert api.asked == [(ASKED, ENDED.end)]
    assert position == {"until": "2026-01-01T00:15:00Z"}
    assert sink.lines == [
        b'{"schema_version":1,"ts":"2026-01-01T00:14:59.999000Z","event":"metric","phase":"B",'
        b'"name":"save_latency_p95","value":0.25}\n'
    ]
    assert sink.origins == ["save_latency_p95@2026-01-01T00:15:00Z"]


@pytest.mark.parametrize("packs", [False, True])
def test_an_answer_may_be_packed(api: PrometheusApi, packs: bool) -> None:
    api.packs, api.results[ASKED] = packs, vector(sample("1"))
    assert len(read(api)[1].lines) == 1
    assert api.seen[0]["accept-encoding"] == "gzip"  # and nothing that could not be unpacked portion by portion


@pytest.mark.parametrize(
    ("result", "scale", "values"),
    [
        (vector(), 1, []),
        (vector(sample("0.004")), 100, [0.4]),
        (vector(sample("5e-324")), 1, [5e-324]),
        (scalar("12"), 1, [12.0]),
        (scalar("NaN"), 1, []),
        (vector(sample("NaN"), sample("3", a="b")), 1, [3.0]),  # the quantile of an empty histogram is NaN
        (vector(sample("+Inf")), 1, []),
        (vector(sample("-Inf")), 1, []),
        (vector(sample("1e308")), 100, []),  # only the scale makes it infinite
        (vector(sample("-0")), 1, [0.0]),
        (vector(*(sample(str(number), a=str(number)) for number in range(1_000))), 1, None),  # as many as are taken
    ],
)
def test_values(api: PrometheusApi, result: Result, scale: float, values: list[float] | None) -> None:
    api.results[ASKED] = result
    found = [event["value"] for event in read(api, Metric("m", QUERY, {}, scale))[1].events()]
    if values is None:
        assert len(found) == 1_000
    else:
        assert found == values
        assert [math.copysign(1, value) for value in found] == [1.0] * len(values)


@pytest.mark.parametrize(
    ("mapped", "labels", "expected"),
    [
        ({}, {"phase": "C", "le": "x"}, {"phase": "B"}),
        ({"phase": "stage"}, {"stage": "C"}, {"phase": "C"}),
        ({"phase": "stage"}, {"phase": "C"}, {"phase": "B"}),
        ({"phase": "stage"}, {"stage": ""}, {"phase": "B"}),  # for Prometheus an empty label is none
        ({"release": "version"}, {"version": "1.2 é\u2028"}, {"phase": "B", "release": "1.2 é\u2028"}),
        ({"release": "version"}, {}, {"phase": "B"}),
        ({"ts": "a", "event": "a", "name": "a", "value": "a", "schema_version": "a"}, {"a": "x"}, {"phase": "B"}),
    ],
)
def test_labels_become_fields(
    api: PrometheusApi, mapped: dict[str, str], labels: dict[str, str], expected: dict[str, str]
) -> None:
    api.results[ASKED] = vector(sample("1", **labels))
    (event,) = read(api, Metric("m", QUERY, mapped))[1].events()
    fixed = {"schema_version": 1, "ts": "2026-01-01T00:14:59.999000Z", "event": "metric", "name": "m", "value": 1.0}
    assert event == fixed | expected


def test_lines_are_in_the_order_of_metrics_and_labels_whatever_the_server_s(api: PrometheusApi) -> None:
    rows = [sample("3", phase="B", zone="a"), sample("1", phase="A", zone="z"), sample("2", phase="B"), sample("4")]
    mapped = {"phase": "phase"}
    found = []
    for order in (rows, rows[::-1]):
        api.results |= {"b": vector(*order), "a": vector(*order)}
        found.append(read(api, Metric("second", "b", mapped), Metric("first", "a", mapped))[1].lines)
    assert found[0] == found[1]
    shown = [(event["name"], event["value"]) for event in map(json.loads, found[0])]
    assert shown == [(name, value) for name in ("second", "first") for value in (4, 1, 2, 3)]


SLICE = Window(FIRST + timedelta(minutes=10), FIRST + WINDOW)
NEXT = {"until": "2026-01-01T00:15:00Z"}


@pytest.mark.parametrize(
    ("position", "window", "ends", "following"),
    [
        ({}, ENDED, ["00:15"], NEXT),
        ({"until": "2026-01-01T00:00:00Z"}, ENDED, ["00:15"], NEXT),
        ({"until": "2025-12-31T23:59:59Z"}, ENDED, ["00:00", "00:15"], NEXT),  # the one before ended after that
        ({"until": "2025-12-31T23:15:00Z"}, ENDED, ["23:30", "23:45", "00:00", "00:15"], NEXT),
        (NEXT, ENDED, ["00:15"], NEXT),  # what is to be sealed is always asked for
        ({"until": "2026-01-01T09:00:00Z"}, ENDED, ["00:15"], {"until": "2026-01-01T09:00:00Z"}),  # a clock set back
        ({"until": "2025-12-31T23:45:00Z"}, SLICE, ["00:15"], NEXT | {"length_s": 300}),  # a recovery begins
        ({"until": "2026-01-01T00:05:00Z", "length_s": 300}, SLICE, ["00:10", "00:15"], NEXT | {"length_s": 300}),
        (NEXT | {"length_s": 300}, ENDED, ["00:15"], NEXT),
    ],
)
def test_windows_that_were_not_asked_for_yet(
    api: PrometheusApi, position: dict[str, Any], window: Window, ends: list[str], following: dict[str, Any]
) -> None:
    query = f"rate(x[{int((window.end - window.start).total_seconds())}s])"
    api.results[query] = lambda at: vector(sample(str(at.minute)))
    given, sink = read(api, Metric("m", "rate(x[$window])"), position=position, window=window)
    assert [iso(at)[11:16] for _, at in api.asked] == ends
    assert [(event["ts"], event["value"]) for event in sink.events()] == [
        (iso(at - timedelta(milliseconds=1)), at.minute) for _, at in api.asked
    ]
    assert given == following


def test_a_day_at_most_is_caught_up(api: PrometheusApi) -> None:
    api.results["x"] = vector(sample("1"))
    for days in (1, 3):
        api.asked.clear()
        read(api, Metric("m", "x"), position={"until": iso(FIRST + WINDOW - timedelta(days=days))})
        ends = [at for _, at in api.asked]
        assert ends == [ENDED.end - WINDOW * back for back in reversed(range(96))]


def test_one_that_is_not_wanted_begins_anew(api: PrometheusApi) -> None:
    source = PrometheusSource(PrometheusRule("metrics", url=api.url, metrics=(P95,)), WINDOW, {})
    assert source.skip({"until": "2025-12-31T12:00:00Z"}) == {}
    source.committed({"until": "2025-12-31T12:00:00Z"})
    assert (api.asked, api.others) == ([], [])


def test_a_trial_stops_at_the_first_line(api: PrometheusApi) -> None:
    api.results[ASKED] = vector(sample("1"))
    source = PrometheusSource(PrometheusRule("metrics", url=api.url, metrics=(P95, P95)), WINDOW, {})
    with pytest.raises(ProbeSink.Answered):
        source.read({}, Ask(ENDED, ENDED.end, "B", True), ProbeSink())
    assert len(api.asked) == 1


def test_what_a_server_did_not_answer_comes_with_the_next_batch(api: PrometheusApi, tmp_path: Any) -> None:
    api.results[ASKED] = lambda at: vector(sample(str(at.minute), phase="B"))
    rule = PrometheusRule("metrics", url=api.url, metrics=(Metric("p95", QUERY, {"phase": "phase"}),))
    bench = Bench(tmp_path, (rule,))
    bench.cycle(0)
    api.replies.append(Reply(503, failed("unavailable", "starting up")))
    (sealed,) = bench.cycle(1)
    assert sealed.failures == {"metrics": "p95: answered 503: unavailable: starting up"}
    bench.cycle(2)
    assert [[event["value"] for event in bench.lines(number)] for number in range(3)] == [[15], [], [30, 45]]
    assert [bench.seal(number).get("incomplete", []) for number in range(3)] == [[], ["metrics"], []]
    assert [at for _, at in api.asked] == [start_of(number) for number in (1, 2, 3)]
    assert not any(bench.quarantine(number) for number in range(3))
