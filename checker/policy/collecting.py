"""The collector's part of the policy as frozen values: sources, and what is watched beside the SLOs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

FILES, OTLP, OTLP_FILES, PROMETHEUS = "files", "otlp", "otlp_files", "prometheus"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event's field comes from in a log record of OpenTelemetry.

    `path` is `attributes.NAME`, `resource.NAME`, `scope.name`, `scope.version`, `scope.NAME`, `body`, `body.NAME`,
    `time`, `event_name`, `severity_text`, `severity_number`, `trace_id` or `span_id`; NAME may hold dots. Where it is
    empty, the field is the constant `value`.
    """

    path: str = ""
    value: str | int | float | bool | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """What one PromQL query gives: a `metric` event called `name` for each window.

    `query` may hold `$window`, which becomes the window's length as PromQL writes it (`900s`). `labels` maps event
    fields to labels of the result. The value is multiplied by `scale`.
    """

    name: str
    query: str
    labels: Mapping[str, str] = field(default_factory=dict)
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class SourceRule:
    """What every kind of source has: its name, and how long one read may take.

    One with `alongside` is read only while the SLO of that name is violated.
    """

    name: str
    deadline: timedelta = timedelta(seconds=30)
    alongside: str | None = None


@dataclass(frozen=True, slots=True)
class FilesRule(SourceRule):
    """Files of JSON lines that an application appends to, by globs relative to the project's root.

    `read_from` (beginning or end) says where a file begins that was there before the first cycle. Without `optional`
    it is a failure where no file is there. With `fields` the lines are those of the OpenTelemetry Collector's file
    exporter.
    """

    paths: tuple[str, ...] = ()
    optional: bool = False
    read_from: str = "beginning"
    fields: Mapping[str, Origin] | None = None


@dataclass(frozen=True, slots=True)
class OtlpRule(SourceRule):
    """A receiver of OTLP/HTTP logs on `host`:`port`; requests may have `max_request_mb` MiB, unpacked."""

    host: str = "127.0.0.1"
    port: int = 4318
    fields: Mapping[str, Origin] = field(default_factory=dict)
    max_request_mb: int = 16


@dataclass(frozen=True, slots=True)
class PrometheusRule(SourceRule):
    """A Prometheus server's HTTP API. `bearer_token_env` names the environment's variable that holds the token."""

    url: str = ""
    metrics: tuple[Metric, ...] = ()
    bearer_token_env: str | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """A window is warned of that has fewer events than `warn_below` of the mean of the same hour `before`.

    Where that hour has no batch, the hour before the window stands for it.
    """

    warn_below: float
    before: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Exposure:
    """The share of a phase's events may lie `within` so much (of 1) of the policy's; those of a phase that was left
    must be gone `gone_after` its rollback."""

    within: float
    gone_after: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Collector:
    """The collector's cycle, the delay that it must report, the pauses between its retries, and its sources.

    Without a verdict for `no_verdict_after` the loop warns; its own warnings go to `channel`, nowhere without one.
    """

    cycle: timedelta
    delay_limit: timedelta
    retry: tuple[timedelta, ...]
    sources: tuple[SourceRule, ...] = ()
    no_verdict_after: timedelta = timedelta(minutes=30)
    channel: str | None = None
    volume: Volume | None = None
    exposure: Exposure | None = None
