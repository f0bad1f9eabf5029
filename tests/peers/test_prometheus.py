"""A real Prometheus, filled with samples that are known one by one: what the source reads of it is what they hold."""

from __future__ import annotations

import json
import math
import queue
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx
import pytest

from checker.collector.sources.base import Ask, SourceFailed
from checker.collector.sources.prometheus import PrometheusSource
from checker.model import Window
from checker.policy.collecting import Metric, PrometheusRule
from tests.batches import FIRST, WINDOW, start_of
from tests.prometheus_api import QUERY_PATH, PrometheusApi, sample, scalar, serving, vector
from tests.test_source_prometheus import Taken

STARTS_WITHIN_S = 30
SAMPLE_EVERY = timedelta(minutes=1)
BOUNDS = (0.25, 0.5, 1.0, 2.0, 5.0, math.inf)
# Saves a minute in each bucket (not cumulative), and failed ones, by phase and window.
SAVES: dict[str, list[tuple[int, ...]]] = {
    "A": [(8, 8, 3, 1, 0, 0), (0, 0, 0, 0, 0, 0), (100, 0, 0, 0, 0, 0)],  # a window without a save
    "B": [(1, 6, 50, 40, 3, 0), (10, 10, 10, 10, 5, 0), (1, 0, 0, 0, 0, 1)],  # the last ends beyond every bound
}
FAILED = {"A": [0, 0, 3], "B": [1, 9, 2]}
P95 = Metric(
    "save_latency_p95",
    "histogram_quantile(0.95, sum by (le, phase) (rate(autosave_save_duration_seconds_bucket[$window])))",
    {"phase": "phase"},
)
FAILURE_RATE = Metric(
    "failure_rate",
    "sum by (phase) (rate(autosave_save_errors_total[$window]))"
    " / sum by (phase) (rate(autosave_save_duration_seconds_count[$window]))",
    {"phase": "phase"},
    scale=100,
)


def quantile(share: float, counts: Sequence[int]) -> float:
    """`histogram_quantile` of the saves in each bucket, as Prometheus documents it.

    Linear in the bucket, from 0 in the first; the highest finite bound where it lies beyond; NaN of nothing.
    """
    if not sum(counts):
        return math.nan
    rank = share * sum(counts)
    index = next(index for index, below in enumerate(accumulate(counts)) if below >= rank)
    if BOUNDS[index] == math.inf:
        return BOUNDS[index - 1]
    lower = BOUNDS[index - 1] if index else 0.0
    return lower + (BOUNDS[index] - lower) * (rank - sum(counts[:index])) / counts[index]


def exposition() -> str:
    """The counters at each minute of all windows, in OpenMetrics; they begin at 0."""
    buckets, errors = [], []
    for phase, windows in SAVES.items():
        counts, failed = [0] * len(BOUNDS), 0
        for minute in range(len(windows) * (WINDOW // SAMPLE_EVERY) + 1):
            if minute:
                window = (minute - 1) // (WINDOW // SAMPLE_EVERY)
                counts = [count + more for count, more in zip(counts, windows[window], strict=True)]
                failed += FAILED[phase][window]
            at = int((FIRST + SAMPLE_EVERY * minute).timestamp())
            for bound, count in zip(BOUNDS, accumulate(counts), strict=True):
                le = "+Inf" if bound == math.inf else str(bound)
                buckets.append(f'autosave_save_duration_seconds_bucket{{le="{le}",phase="{phase}"}} {count} {at}')
            buckets.append(f'autosave_save_duration_seconds_count{{phase="{phase}"}} {sum(counts)} {at}')
            errors.append(f'autosave_save_errors_total{{phase="{phase}"}} {failed} {at}')
    head = "# TYPE autosave_save_duration_seconds histogram"
    return "\n".join([head, *buckets, "# TYPE autosave_save_errors counter", *errors, "# EOF\n"])


@contextmanager
def running(binary: str, folder: Path) -> Iterator[str]:
    """The address of a Prometheus over the blocks in `folder`, on a free port of this machine."""
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    process = subprocess.Popen(
        [
            binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=100y",
            "--web.listen-address=127.0.0.1:0",
        ],
        cwd=folder, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said: queue.Queue[str] = queue.Queue()
    listening = threading.Thread(target=lambda: [said.put(line) for line in process.stderr or ()])
    listening.start()
    try:
        address, is_ready = "", False
        while not (address and is_ready):  # it says both, in any order
            line = said.get(timeout=STARTS_WITHIN_S)
            is_ready |= "ready to receive" in line
            if found := re.search(r'"Listening on" address=(\S+)', line):
                address = f"http://{found[1]}"
        yield address
    finally:
        process.terminate()
        process.wait(STARTS_WITHIN_S)
        listening.join()
        process.stderr.close()


@pytest.fixture(scope="module")
def url(binaries: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "history").write_text(exposition())
    command = [binaries["promtool"], "tsdb", "create-blocks-from", "openmetrics", "history", "data"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    with running(binaries["prometheus"], folder) as address:
        yield address


def read(url: str, number: int, *metrics: Metric, position: Any = None) -> list[dict[str, Any]]:
    """The events of a read that seals the window with this number."""
    window, sink = Window(start_of(number), start_of(number + 1)), Taken()
    source = PrometheusSource(PrometheusRule("metrics", url=url, metrics=metrics), WINDOW, {})
    source.read(position or {}, Ask(window, window.end, "none", True), sink)
    return [json.loads(line) for line in sink.lines]


def test_quantiles_and_rates_of_every_window_are_those_of_its_samples(url: str) -> None:
    found = read(url, 2, P95, FAILURE_RATE, position={"until": "2026-01-01T00:00:00Z"})
    expected = []
    for number in range(3):
        at = start_of(number + 1) - timedelta(milliseconds=1)
        for name in ("save_latency_p95", "failure_rate"):
            for phase, windows in SAVES.items():
                saves = windows[number]
                rate = FAILED[phase][number] / sum(saves) * 100 if sum(saves) else math.nan
                value = quantile(0.95, saves) if name == "save_latency_p95" else rate
                if not math.isnan(value):
                    expected.append(
                        (at.isoformat().replace("+00:00", "Z"), name, phase, pytest.approx(value, rel=1e-9))
                    )
    assert len(expected) == 10  # A saved nothing in the second window
    assert [(event["ts"], event["name"], event["phase"], event["value"]) for event in found] == expected
    (last,) = [event["value"] for event in found[-4:] if (event["name"], event["phase"]) == ("save_latency_p95", "B")]
    assert last == BOUNDS[-2]


def test_a_scalar_and_nothing(url: str) -> None:
    at_s = start_of(1).timestamp()
    assert [event["value"] for event in read(url, 0, Metric("now", "time()"))] == [at_s]
    assert read(url, 0, Metric("none", "no_such_metric")) == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("rate(x[$window]", r"m: answered 400: bad_data: .*parse error: unclosed left parenthesis"),
        ("autosave_save_errors_total[$window]", r"m: gives a matrix, expected a vector or a scalar"),
        ("'text'", r"m: gives a string, expected a vector or a scalar"),
        (
            "autosave_save_errors_total * on () group_right () autosave_save_errors_total",
            r"m: answered 422: execution: .*duplicate series",
        ),
    ],
)
def test_what_it_says_of_a_query_that_gives_no_values(url: str, query: str, told: str) -> None:
    with pytest.raises(SourceFailed, match=told):
        read(url, 0, Metric("m", query))


def test_an_address_with_the_api_in_it(url: str) -> None:
    with pytest.raises(SourceFailed, match=r"is `url` the API's address, without /api/v1\?"):
        read(f"{url}/api/v1", 0, P95)


def shape(value: Any) -> Any:
    """What JSON is made of, without its texts and numbers; errors keep their type."""
    match value:
        case dict():
            return {
                key: item if key in ("status", "errorType", "resultType") else shape(item)
                for key, item in value.items()
            }
        case list():
            return [shape(item) for item in value]
        case str():
            return "text"
        case _:
            return "number"


@pytest.mark.parametrize(
    "form",
    [
        {"query": "vector(1)", "time": "2026-01-01T00:15:00Z"},
        {"query": "vector(1)", "time": "2026-01-01T00:15:00.5+01:00"},
        {"query": "1", "time": "2026-01-01T00:15:00Z"},
        {"query": "no_such_metric", "time": "2026-01-01T00:15:00Z"},
        {"query": "(", "time": "2026-01-01T00:15:00Z"},
        {"query": "", "time": "2026-01-01T00:15:00Z"},
        {"query": "vector(1)", "time": "yesterday"},
    ],
)
def test_the_suite_s_own_server_answers_as_it_does(url: str, form: dict[str, str]) -> None:
    results = {"vector(1)": vector(sample("1")), "1": scalar("1"), "no_such_metric": vector()}
    with serving(PrometheusApi(dict(results))) as api:
        own, real = (httpx.post(f"{base}{QUERY_PATH}", data=form, trust_env=False) for base in (api.url, url))
    assert (own.status_code, shape(own.json())) == (real.status_code, shape(real.json()))
