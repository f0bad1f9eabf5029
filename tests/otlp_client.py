"""What sends OpenTelemetry logs, for tests: the SDK itself, and requests made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from checker.collector.otlp.receiver import Receiver
from checker.collector.otlp.spool import blocks, segments
from checker.policy.collecting import Origin, OtlpRule
from checker.running.serving import Address, serve

FIELDS = {
    "schema_version": Origin(value=1),
    "event": Origin("event_name"),
    "phase": Origin("attributes.rollout.phase"),
    "release": Origin("resource.service.version"),
    "request_id": Origin("attributes.request.id"),
    "duration_ms": Origin("attributes.duration_ms"),
    "retryable": Origin("attributes.retryable"),
    "code": Origin("body.code"),
}
SAVED = "autosave.save.completed"


def any_value(value: Any) -> AnyValue:
    """A value as OpenTelemetry has it."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            made = AnyValue()
            made.array_value.values.extend(map(any_value, value))
            return made
        case _:
            made = AnyValue()
            made.kvlist_value.values.extend(pairs(value))
            return made


def pairs(attributes: Mapping[str, Any]) -> list[KeyValue]:
    """Attributes as OpenTelemetry has them."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def request(records: Iterable[Mapping[str, Any]], release: str = "1.2.3") -> ExportLogsServiceRequest:
    """A request with one scope. A record has event_name, time_ns, body, and attributes."""
    made = ExportLogsServiceRequest()
    of_resource = made.resource_logs.add()
    of_resource.resource.attributes.extend(pairs({"service.version": release}))
    of_scope = of_resource.scope_logs.add()
    of_scope.scope.name, of_scope.scope.version = "autosave", "7"
    for record in records:
        log = of_scope.log_records.add()
        log.event_name, log.time_unix_nano = record.get("event_name", ""), record.get("time_ns", 0)
        log.attributes.extend(pairs(record.get("attributes", {})))
        if "body" in record:
            log.body.CopyFrom(any_value(record["body"]))
    return made


def saves(count: int, first: int = 0, time_ns: int = 1_767_225_600_000_000_000) -> list[dict[str, Any]]:
    """Records of saves that completed, a millisecond apart."""
    return [
        {
            "event_name": SAVED,
            "time_ns": time_ns + number * 1_000_000,
            "attributes": {"rollout.phase": "B", "request.id": f"r{number}", "duration_ms": 3.5},
        }
        for number in range(first, first + count)
    ]


@contextmanager
def receiving(folder: Path, rule: OtlpRule | None = None) -> Iterator[tuple[Receiver, Address]]:
    """A receiver on loopback, at a port that is free."""
    app = Receiver(rule or OtlpRule("otel", fields=FIELDS, max_request_mb=1), folder)
    try:
        with serve(app, Address("127.0.0.1", 0), max_body_bytes=2 << 20) as address:
            yield app, address
    finally:
        app.close()


def spooled(folder: Path) -> list[bytes]:
    """The event lines in the spool."""
    return [line for path in segments(folder) for block in blocks(path) for line in block.lines.splitlines()]
