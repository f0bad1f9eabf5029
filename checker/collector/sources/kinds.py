"""The sources that a policy declares, each made by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from checker.collector.otlp.mapping import exporter_lines
from checker.collector.places import Places
from checker.collector.sources.base import Source
from checker.collector.sources.files import FilesSource
from checker.policy.collecting import Collector, FilesRule, OtlpRule, PrometheusRule, SourceRule


def make_sources(
    collector: Collector, root: Path, window: timedelta, places: Places, environ: Mapping[str, str]
) -> list[Source]:
    """A source for each rule of the policy, in its order. `root` is the project, `environ` holds credentials."""
    return [_made(rule, root, window, places, environ) for rule in collector.sources]


def _made(rule: SourceRule, root: Path, window: timedelta, places: Places, environ: Mapping[str, str]) -> Source:
    match rule:
        case FilesRule():
            return FilesSource(rule, root, exporter_lines(rule.fields) if rule.fields else None)
        case OtlpRule():
            from checker.collector.sources.otlp import OtlpSource

            return OtlpSource(rule, places.spool(rule.name))
        case PrometheusRule():
            from checker.collector.sources.prometheus import PrometheusSource

            return PrometheusSource(rule, window, environ)
        case _:
            raise ValueError(f"there is no source for {type(rule).__name__}")
