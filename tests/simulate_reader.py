"""A second reader of telemetry, for tests: strict, slow, measured by NumPy; shares no code with the simulator."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import yaml

from checker.model import Comparison, Status, Threshold

ROOT = Path(__file__).parent.parent
POLICY = yaml.safe_load((ROOT / "policy/policy.yaml").read_text())
SLOS = ("save_latency_p95", "failure_rate", "history_drift", "collector_latency")
WINDOW = timedelta(minutes=15)
Event = dict[str, Any]
Batches = Mapping[datetime, bytes]


class BrokenLineError(Exception):
    """A line that is no event; the message is the kind."""


@dataclass
class Story:
    """What lies in the logs: events by window, copies and lines that are too late dropped, and where lines went."""

    events: dict[datetime, list[Event]] = field(default_factory=lambda: defaultdict(list))
    on_time: dict[datetime, list[Event]] = field(default_factory=lambda: defaultdict(list))
    lines: dict[datetime, int] = field(default_factory=dict)
    broken: dict[datetime, list[str]] = field(default_factory=lambda: defaultdict(list))
    late: int = 0
    too_late: int = 0
    duplicates: int = 0


@cache
def validator() -> Any:
    return jsonschema_rs.validator_for(json.loads((ROOT / "schemas/event.schema.json").read_text()))


def unique(pairs: list[tuple[str, Any]]) -> Event:
    if len(dict(pairs)) < len(pairs):
        raise BrokenLineError("duplicate_keys")
    return dict(pairs)


def not_finite(_: str) -> float:
    raise BrokenLineError("not_finite")


def read(line: bytes) -> Event:
    if len(line) > 1 << 20:
        raise BrokenLineError("too_long")
    try:
        event = json.loads(line.decode(), object_pairs_hook=unique, parse_constant=not_finite)
    except UnicodeDecodeError:
        raise BrokenLineError("not_utf8") from None
    except ValueError:
        raise BrokenLineError("torn" if line.startswith(b'{"schema_version"') else "not_json") from None
    errors = [error.message for error in validator().iter_errors(event)]
    if errors:
        raise BrokenLineError("missing_field" if "is a required property" in errors[0] else "wrong_type")
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["ts"]):
        raise BrokenLineError("no_zone")
    return dict(event)


def window_of(event: Event) -> datetime:
    named = event["batch_start"] if event["event"].startswith("collector.") else event["ts"]
    instant = datetime.fromisoformat(named)
    return instant - (instant - datetime(1970, 1, 1, tzinfo=UTC)) % WINDOW


def tell(batches: Batches) -> Story:
    story = Story()
    first_of: dict[tuple[Any, ...], Event] = {}
    for start, data in batches.items():
        lines = data.splitlines()
        story.lines[start] = len(lines)
        for line in lines:
            try:
                event = read(line)
            except BrokenLineError as fault:
                story.broken[start].append(str(fault))
                continue
            window = window_of(event)
            if datetime.fromisoformat(event["ts"]) < start - timedelta(hours=24):
                story.too_late += 1
                continue
            key = (event["event"], event["request_id"], window) if "request_id" in event else (line,)
            if key in first_of:
                story.duplicates += 1
                continue
            first_of[key] = event
            story.late += window < start
            story.events[window].append(event)
            story.on_time[window] += [event] if window == start else []
    return story


def named(events: Iterable[Event], name: str) -> list[Event]:
    return [event for event in events if event["event"] == name]


def p95_s(events: Iterable[Event]) -> float | None:
    durations = [event["duration_ms"] for event in named(events, "autosave.save.completed")]
    return float(np.percentile(durations, 95, method="linear")) / 1000 if durations else None


def failure_rate(events: list[Event]) -> float | None:
    failed = len(named(events, "autosave.save.error"))
    saves = failed + len(named(events, "autosave.save.completed"))
    return 100 * failed / saves if saves else None


def measure(story: Story, window: datetime) -> dict[str, float | None]:
    events = story.events[window]
    hour = [start for start in (window - back * WINDOW for back in range(4)) if start in story.lines]
    drifts = [len(named(story.events[start], "autosave.history.drift")) for start in hour]
    latencies = [event["latency_ms"] / 1000 for event in named(events, "collector.latency")]
    return {
        "save_latency_p95": p95_s(events),
        "failure_rate": failure_rate(events),
        "history_drift": float(np.mean(drifts)) if drifts else None,
        "collector_latency": max(latencies, default=None),
    }


def threshold(slo: str, phase: str) -> Threshold:
    rule = POLICY["slos"][slo]
    limit = float(rule["threshold"][phase])
    warn = limit * rule["warn_at"] if "warn_at" in rule else None
    return Threshold(Comparison(rule["comparison"]), limit, warn)


def judge(story: Story, window: datetime, phase: str = "B") -> dict[str, Status]:
    if window not in story.lines:
        return dict.fromkeys(SLOS, Status.NO_DATA)
    values = measure(story, window)
    statuses = {slo: threshold(slo, phase).judge(values[slo], int(values[slo] is not None), 1) for slo in SLOS}
    if len(story.broken[window]) > POLICY["max_quarantined"] * story.lines[window]:
        return {slo: Status.NO_DATA if status.is_met else status for slo, status in statuses.items()}
    return statuses


def outcome(story: Story, window: datetime, phase: str = "B") -> Status:
    return max(judge(story, window, phase).values(), key=lambda status: status.severity)
