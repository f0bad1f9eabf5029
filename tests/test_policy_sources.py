"""The collector's sources in a policy: what they come to, and each fault at its place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from policies.project import edited, make_project, problems_of

from checker.policy.collecting import Exposure, FilesRule, Metric, Origin, OtlpRule, PrometheusRule, Volume
from checker.policy.load import load_policy

SOURCES = """sources:
    - {name: app, kind: files, paths: [telemetry/*.jsonl], optional: true, read_from: end}
    - name: otel
      kind: otlp
      listen: "[::1]:4318"
      fields: {event: event_name, phase: attributes.rollout.phase, schema_version: {value: 1}}
    - {name: exporter, kind: otlp_files, paths: [/var/log/otel/*.json], fields: {event: body, phase: resource.phase}}
    - name: prometheus
      kind: prometheus
      deadline: 10s
      url: http://127.0.0.1:9090/
      bearer_token_env: PHASEGATE_PROMETHEUS_TOKEN
      metrics: [{name: p95, query: 'sum(rate(x[$window]))', labels: {phase: phase}, scale: 100}]
    - {name: gc, kind: files, paths: [gc/*.jsonl], alongside: history_drift}
  volume: {warn_below: 0.5}
  exposure: {within: 0.05, gone_after: 45m}
  channel: "#autosave-rollout"
"""
CASES = {  # the sources, the text that the fault's column is that of, and what is told
    "kind": (
        "sources: [{name: app, kind: file, paths: [a]}]", "file,",
        "[0].kind: expected one of files, otlp, otlp_files, prometheus, found 'file'; did you mean 'files'?",
    ),
    "key_of_another_kind": (
        "sources: [{name: app, kind: files, paths: [a], url: 'http://h'}]", "url:",
        "[0].url: a source of kind 'files' has no 'url'"
        " (known: name, kind, deadline, alongside, paths, optional, read_from)",
    ),
    "missing_key": (
        "sources: [{name: app, kind: files}]", "{name", "[0]: a source of kind 'files' needs 'paths'",
    ),
    "name_twice": (
        "sources: [{name: xx, kind: files, paths: [a]}, {name: 'xx', kind: files, paths: [b]}]", "'xx'",
        "[1].name: 'xx' is already the name of sources[0]; choose another",
    ),
    "own_name": (
        "sources: [{name: collector, kind: files, paths: [a]}]", "collector",
        "[0].name: 'collector' is the collector's own word; choose another name",
    ),
    "address_twice": (
        "sources: [{name: a, kind: otlp, fields: {event: body, phase: body}},"
        " {kind: otlp, name: b, fields: {event: body, phase: body}}]", "{kind",
        "[1].listen: 'the default address' is already the address of sources[0]; choose another",
    ),
    "fields_without_event": (
        "sources: [{name: a, kind: otlp, fields: {phase: body}}]", "fields",
        "[0].fields: every event has 'event'; say where it comes from",
    ),
    "no_part_of_a_record": (
        "sources: [{name: a, kind: otlp, fields: {event: attribute.name, phase: body}}]", "attribute.name",
        "[0].fields.event: expected a part of a log record: attributes.NAME, resource.NAME, scope.NAME, body,"
        " body.NAME, time, event_name, severity_text, severity_number, trace_id or span_id, found 'attribute.name'",
    ),
    "unknown_slo": (
        "sources: [{name: gc, kind: files, paths: [a], alongside: history}]", "history",
        "[0].alongside: no SLO 'history'; did you mean 'history_drift'?"
        " (SLOs: save_latency_p95, failure_rate, history_drift, collector_latency)",
    ),
    "deadline": (
        "sources: [{name: app, kind: files, paths: [a], deadline: 6m}]", "6m",
        "[0].deadline: 6m is longer than a cycle can wait for a source; write at most 5m",
    ),
    "label_for_what_the_event_says": (
        "sources: [{name: p, kind: prometheus, url: 'http://h', metrics: [{name: m, query: x, labels: {value: le}}]}]",
        "value:", "[0].metrics[0].labels.value: 'value' is what the event itself says; map the label to another field",
    ),
    "credential_in_url": (  # it is not shown
        "sources: [{name: p, kind: prometheus, url: 'http://me:secret@h', metrics: [{name: m, query: x}]}]", "'http",
        "[0].url: holds a user, a query or a fragment; a token comes from the environment (bearer_token_env)",
    ),
}  # fmt: skip


def test_sources_as_values(tmp_path: Path) -> None:
    path = make_project(tmp_path)
    path.write_text(edited("sources: []\n", SOURCES), encoding="utf-8")
    assert problems_of(path) == []
    collector = load_policy(path).collector
    assert collector.sources == (
        FilesRule("app", paths=("telemetry/*.jsonl",), optional=True, read_from="end"),
        OtlpRule(
            "otel",
            host="::1",
            fields={
                "event": Origin("event_name"),
                "phase": Origin("attributes.rollout.phase"),
                "schema_version": Origin(value=1),
            },
        ),
        FilesRule(
            "exporter",
            paths=("/var/log/otel/*.json",),
            fields={"event": Origin("body"), "phase": Origin("resource.phase")},
        ),
        PrometheusRule(
            "prometheus",
            timedelta(seconds=10),
            url="http://127.0.0.1:9090",
            bearer_token_env="PHASEGATE_PROMETHEUS_TOKEN",
            metrics=(Metric("p95", "sum(rate(x[$window]))", {"phase": "phase"}, 100.0),),
        ),
        FilesRule("gc", alongside="history_drift", paths=("gc/*.jsonl",)),
    )
    assert (collector.volume, collector.exposure) == (Volume(0.5), Exposure(0.05, timedelta(minutes=45)))
    assert collector.channel == "#autosave-rollout"


@pytest.mark.parametrize(("sources", "at", "told"), CASES.values(), ids=CASES)
def test_fault_is_told_at_its_place(tmp_path: Path, sources: str, at: str, told: str) -> None:
    path = make_project(tmp_path)
    text = edited("sources: []", sources)
    path.write_text(text, encoding="utf-8")
    (number, line), *_ = [(number, line) for number, line in enumerate(text.splitlines(), 1) if sources in line]
    place = f"policy/policy.yaml:{number}:{line.index(at) + 1}"
    assert problems_of(path) == [f"{place}: collector.sources{told}"]


def test_the_same_hour_lies_whole_days_back(tmp_path: Path) -> None:
    path = make_project(tmp_path)
    path.write_text(edited("sources: []", "volume: {warn_below: 0.5, before: 1h}"), encoding="utf-8")
    (problem,) = problems_of(path)
    told = "the same hour before lies whole days back; write 24h or 7d, say"
    assert problem.endswith(f"collector.volume.before: {told}")
