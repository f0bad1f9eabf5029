"""Builds the collector's part of the policy from a document in which no fault was found; defaults are given here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checker.policy.collecting import (
    FILES,
    OTLP,
    OTLP_FILES,
    Collector,
    Exposure,
    FilesRule,
    Metric,
    Origin,
    OtlpRule,
    PrometheusRule,
    SourceRule,
    Volume,
)
from checker.policy.durations import duration_of

DEFAULT_RETRY = ("30s", "60s", "120s", "240s")
DEFAULT_LISTEN = "127.0.0.1:4318"


def build_collector(collector: Mapping[str, Any], window: str) -> Collector:
    """The collector that the sound `collector` section says, in a policy with windows of `window`."""
    volume, exposure = collector.get("volume"), collector.get("exposure")
    return Collector(
        cycle=duration_of(collector.get("cycle", window)),
        delay_limit=duration_of(collector.get("delay_limit", "5m")),
        retry=tuple(duration_of(pause) for pause in collector.get("retry", DEFAULT_RETRY)),
        sources=tuple(_source(source) for source in collector.get("sources", ())),
        no_verdict_after=duration_of(collector.get("no_verdict_after", "30m")),
        channel=collector.get("channel"),
        volume=Volume(float(volume["warn_below"]), duration_of(volume.get("before", "24h"))) if volume else None,
        exposure=Exposure(float(exposure["within"]), duration_of(exposure.get("gone_after", "30m")))
        if exposure
        else None,
    )


def _source(source: Mapping[str, Any]) -> SourceRule:
    common: dict[str, Any] = {
        "name": source["name"],
        "deadline": duration_of(source.get("deadline", "30s")),
        "alongside": source.get("alongside"),
    }
    match source["kind"]:
        case kind if kind in (FILES, OTLP_FILES):
            return _files(common, source)
        case kind if kind == OTLP:
            return _otlp(common, source)
        case _:
            return _prometheus(common, source)


def _files(common: Mapping[str, Any], source: Mapping[str, Any]) -> FilesRule:
    return FilesRule(
        **common,
        paths=tuple(source["paths"]),
        optional=source.get("optional", False),
        read_from=source.get("read_from", "beginning"),
        fields=_fields(source["fields"]) if source["kind"] == OTLP_FILES else None,
    )


def _otlp(common: Mapping[str, Any], source: Mapping[str, Any]) -> OtlpRule:
    host, _, port = source.get("listen", DEFAULT_LISTEN).rpartition(":")
    return OtlpRule(
        **common,
        host=host.strip("[]"),
        port=int(port),
        fields=_fields(source["fields"]),
        max_request_mb=source.get("max_request_mb", 16),
    )


def _fields(fields: Mapping[str, Any]) -> dict[str, Origin]:
    return {
        name: Origin(value=origin["value"]) if isinstance(origin, dict) else Origin(origin)
        for name, origin in fields.items()
    }


def _prometheus(common: Mapping[str, Any], source: Mapping[str, Any]) -> PrometheusRule:
    return PrometheusRule(
        **common,
        url=source["url"].rstrip("/"),
        bearer_token_env=source.get("bearer_token_env"),
        metrics=tuple(
            Metric(metric["name"], metric["query"], dict(metric.get("labels", {})), float(metric.get("scale", 1)))
            for metric in source["metrics"]
        ),
    )
