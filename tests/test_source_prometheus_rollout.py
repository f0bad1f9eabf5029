"""A rollout of one's own whose SLO lives in Prometheus: YAML and SQL, from the server to a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from checker.analyzer.governed import Governed, load_governed
from checker.collector.station import Setting, Station
from checker.pipeline import Past, Request, check
from tests.batches import FIRST, WINDOW, closed, start_of
from tests.own_rollout import PAGE, write_project
from tests.prometheus_api import PrometheusApi, Reply, failed, sample, serving, vector

FIELDS = """"name": {"type": "string", "minLength": 1},
    "value": {"type": "number"},
    "latency_ms": {"type": "number", "minimum": 0},
    "batch_start": {"type": "string", "format": "date-time"},
    "incomplete": {"type": "array", "items": {"type": "string"}}"""
SLO = """slos:
  save_latency_p95:
    title: save latency P95
    query: slo/save_latency_p95.sql
    unit: ms
    comparison: lte
    threshold: {canary: 500, full: 400}
    warn_at: 0.8

"""
SOURCE = """
collector:
  sources:
    - name: metrics
      kind: prometheus
      url: URL
      metrics:
        - name: save_latency_p95
          query: histogram_quantile(0.95, sum by (le, stage) (rate(save_seconds_bucket[$window])))
          labels: {phase: stage}
          scale: 1000
        - name: queue_length
          query: max(queue_length)
"""
ASKED = "histogram_quantile(0.95, sum by (le, stage) (rate(save_seconds_bucket[900s])))"
QUERY = """-- name: save_latency_p95
-- measures: 95th percentile of the time that a save took, as Prometheus has it; in a recovery the worst of its slices
-- unit: ms
-- reads: events(window_start, event, phase, name, value), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
with
    measured as (
        select window_start, value
        from events
        where event = 'metric' and name = 'save_latency_p95' and phase = $phase
    )

select
    windows.window_start,
    max(measured.value) as value,
    count(measured.value) as samples
from windows
left join measured using (window_start)
group by windows.window_start
order by windows.window_start
"""


@pytest.fixture
def api() -> Iterator[PrometheusApi]:
    with serving(PrometheusApi({"max(queue_length)": vector(sample("7000"))})) as server:
        yield server


def governed_by(api: PrometheusApi, root: Path) -> Governed:
    """The walk's project, with an SLO that Prometheus measures in place of its own two."""
    write_project(PAGE.read_text(encoding="utf-8"), root)
    schema, policy, queries = root / "schemas/event.schema.json", root / "policy/policy.yaml", root / "queries/slo"
    schema.write_text(schema.read_text().replace('"status": {', f'{FIELDS},\n    "status": {{', 1))
    text = policy.read_text()
    before, after = text[: text.index("slos:")], text[text.index("gates:") :]
    policy.write_text(before + SLO + after + SOURCE.replace("URL", api.url))
    for path in queries.iterdir():
        path.unlink()
    (queries / "save_latency_p95.sql").write_text(QUERY)
    return load_governed(policy)


def test_an_slo_that_lives_in_prometheus(api: PrometheusApi, tmp_path: Path) -> None:
    governed, logs = governed_by(api, tmp_path), tmp_path / "sealed"
    answers = [
        vector(sample("0.4", stage="canary"), sample("9", stage="full")),
        vector(sample("0.5", stage="canary")),  # exactly at the threshold is met
        vector(sample("0.5000001", stage="canary")),
        vector(sample("NaN", stage="canary")),
        vector(),
        Reply(503, failed("unavailable", "starting")),
        vector(sample("0.1", stage="canary")),
    ]
    clock = [FIRST]
    setting = Setting(logs, None, tmp_path / "reports", lambda: clock[0], {}, phase="canary")
    station = Station(governed, setting)
    found, reasons = [], []

    for number, answer in enumerate(answers):
        if isinstance(answer, Reply):
            api.replies.append(answer)
        else:
            api.results[ASKED] = answer
        clock[0] = start_of(number) + WINDOW
        with station.lock():
            (window,) = station.due()
            station.collect(window)
        decision = check(governed, Request("canary", closed(number + 1), logs), Past()).decision
        (judgement,) = decision.judgements
        found.append((judgement.status.value, decision.verdict.value, judgement.value))
        reasons.append(judgement.reason)
    assert found == [
        ("ok", "hold", 400.0),
        ("warn", "hold", 500.0),
        ("violation", "rollback", pytest.approx(500.0001)),
        ("no_data", "hold", None),
        ("no_data", "hold", None),
        ("no_data", "hold", None),
        ("ok", "hold", 100.0),
    ]
    assert reasons[5] == "sealed without metrics, whose lines come with a later batch"
    assert [*(logs / "quarantine").glob("*")] == []
