"""A day in a minute, its events sent by OpenTelemetry's own SDK; and 20,000 events a second for a minute."""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer.governed import load_governed
from checker.pipeline import Past, Request, replay
from checker.windows import floor_to_window, parse_iso, windows_between
from tests.batches import FIRST, WINDOW
from tests.looping import PATIENT, Loop, Project, application, eventually, looping, make_project
from tests.otlp_client import SAVED, request

PORT = 14318
LOAD_S = float(os.environ.get("PHASEGATE_LOAD_S", "60"))
RATE = 20_000
REQUEST = 500  # events of a request
FIELDS = """
        schema_version: {value: 1}
        event: event_name
        phase: attributes.rollout.phase
        request_id: attributes.request.id
        duration_ms: attributes.duration_ms
        code: attributes.code
        retryable: attributes.retryable
"""
SOURCES = (
    "    - name: app             # AutoSave appends its events here, a line each\n      kind: files\n"
    "      paths: [telemetry/*.jsonl]\n",
    f'    - name: otel\n      kind: otlp\n      listen: "127.0.0.1:{PORT}"\n      fields:{FIELDS}',
)
STEP = timedelta(seconds=30)
ERRONEOUS = 40  # a window with too many failures, and one too slow
SLOW = 60


def emitted(since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """What the product does in that time: a save every 30 s; in two windows it does badly."""
    for step in windows_between(since, until, STEP):
        at = step.start
        number = int((at - FIRST) / STEP)
        window = (at - FIRST) // WINDOW
        common = {"rollout.phase": "B", "request.id": f"r{number}"}
        if window == ERRONEOUS and number % 3 == 0:
            yield {"at": at, "name": "autosave.save.error", **common, "code": "timeout", "retryable": number % 2 == 0}
        else:
            yield {"at": at, "name": SAVED, **common, "duration_ms": 5000.0 if window == SLOW else 400.0}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path, SOURCES, PATIENT)


def request_ids(project: Project) -> Counter[str]:
    """How often each event is in a batch."""
    return Counter(
        event["request_id"] for events in project.batches().values() for event in events if "request_id" in event
    )


def test_a_day_in_a_minute(project: Project) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

        provider = LoggerProvider()
        exporter = OTLPLogExporter(endpoint=f"http://127.0.0.1:{PORT}/v1/logs")
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=50))
        logger = provider.get_logger("autosave")
        sent: list[str] = []

        def write(since: datetime, until: datetime) -> None:
            for event in emitted(since, until):
                fields = {key: value for key, value in event.items() if key not in ("at", "name")}
                logger.emit(timestamp=int(event["at"].timestamp()) * 10**9, event_name=event["name"], attributes=fields)
                sent.append(event["request.id"])

        with looping(project, FIRST - timedelta(minutes=30), 1440.0, "--phase=B") as loop:
            loop.wait_for("^sealed ")  # the receiver listens
            with application(loop, write, STEP):
                eventually(lambda: loop.now() > FIRST + timedelta(days=1), "a day has passed", 90)
            provider.shutdown()
            _wait_for_all(project, len(sent))
            end = FIRST + timedelta(days=1)
            eventually(lambda: _is_judged_until(loop, end), "the day's last window is judged", 90)
            assert loop.stop() == 0
    ids = request_ids(project)
    assert set(ids) == set(sent)
    assert set(ids.values()) == {1}
    outcomes = _replayed(project)
    assert outcomes == _undisturbed(project, outcomes)
    assert project.state.incidents, "\n".join(loop.lines)
    (incident,) = project.state.incidents
    assert {slo for _, slo in incident.violations} == {"failure_rate", "save_latency_p95"}


def _is_judged_until(loop: Loop, end: datetime) -> bool:
    """Whether a pass has judged a window that begins at or after `end`, and with it all before."""
    judged = [line.split()[1].rstrip(":") for line in list(loop.lines) if line.startswith("judged ")]
    return any(parse_iso(text) >= end for text in judged)


def _wait_for_all(project: Project, count: int) -> None:
    eventually(lambda: sum(request_ids(project).values()) >= count, f"all {count} events are sealed", 30)


def _replayed(project: Project) -> dict[datetime, dict[str, str]]:
    """The status of each SLO but the collector's own, in each whole window of the day, over what the loop sealed."""
    return _statuses(project, project.logs)


def _statuses(project: Project, logs: Path) -> dict[datetime, dict[str, str]]:
    governed = load_governed(project.policy)
    end = FIRST + timedelta(days=1)
    asked = Request("B", end + timedelta(hours=2), logs)
    return {
        decision.window.start: {
            row.slo: row.status.value for row in decision.judgements if row.slo != "collector_latency"
        }
        for decision in replay(governed, asked, Past(), FIRST, end)
    }


def _undisturbed(project: Project, like: dict[datetime, Any]) -> dict[datetime, dict[str, str]]:
    """The same over batches that are written by hand, each event in the batch of its own window."""
    import json

    from checker.windows import iso, stamp

    folder = project.root / "undisturbed"
    folder.mkdir()
    for start in like:
        lines = []
        for event in emitted(start, start + WINDOW):
            named = {"rollout.phase": "phase", "request.id": "request_id"}
            fields = {named.get(key, key): value for key, value in event.items() if key not in ("at", "name")}
            lines.append({"schema_version": 1, "ts": iso(event["at"]), "event": event["name"], **fields})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{stamp(start)}.jsonl").write_text(text, encoding="utf-8")
    return _statuses(project, folder)


def _load(begin: datetime, began_s: float, speed: float, sent: Any) -> None:
    """Send RATE events a second for LOAD_S, in a process of its own; `sent` counts what was accepted."""
    import httpx

    headers = {"Content-Type": "application/x-protobuf"}
    with httpx.Client(headers=headers, trust_env=False) as client:
        first_s, number = time.monotonic(), 0
        while (passed := time.monotonic() - first_s) < LOAD_S:
            if number >= passed * RATE:
                time.sleep(0.002)
                continue
            at = begin + timedelta(seconds=(time.monotonic() - began_s) * speed)
            time_ns = int(at.timestamp() * 1000) * 10**6
            attributes = [
                {"rollout.phase": "B", "request.id": f"r{number + step}", "duration_ms": 400.0}
                for step in range(REQUEST)
            ]
            records = [{"event_name": SAVED, "time_ns": time_ns, "attributes": fields} for fields in attributes]
            body = request(records).SerializeToString()
            while client.post(f"http://127.0.0.1:{PORT}/v1/logs", content=body).status_code != 200:
                time.sleep(0.05)
            number += REQUEST
            sent.value = number


def test_twenty_thousand_events_a_second(project: Project) -> None:
    """Every accepted event is in exactly one batch, and none is refused for good."""
    speed = 60.0  # a window takes 15 s
    with looping(project, FIRST - timedelta(minutes=1), speed, "--phase=B") as loop:
        loop.wait_for("^sealed ")
        context = multiprocessing.get_context("spawn")
        sent = context.Value("q", 0)
        sender = context.Process(target=_load, args=(loop.begin, loop.began_s, speed, sent))
        sender.start()
        sender.join(LOAD_S + 60)
        assert sender.exitcode == 0
        accepted = sent.value
        assert accepted >= 0.9 * RATE * LOAD_S
        end = floor_to_window(loop.now(), WINDOW) + WINDOW
        eventually(lambda: loop.now() > end, "the last window has ended", 60)
        loop.wait_for(f"^sealed {end - WINDOW:%Y-%m-%dT%H:%M}", 1, 60)
        assert loop.stop() == 0
    seen: Counter[int] = Counter()
    for path in project.logs.glob("*.jsonl"):
        with path.open("rb") as batch:
            for line in batch:
                place = line.find(b'"request_id":"r')
                if place >= 0:
                    seen[int(line[place + 15 : line.index(b'"', place + 15)])] += 1
    assert len(seen) == accepted
    assert set(seen.values()) == {1}
    assert {window.outcome for window in project.state.decided.values()} <= {"ok", "warn", "no_data"}
    assert not [line for line in loop.lines if "quarantined" in line]
