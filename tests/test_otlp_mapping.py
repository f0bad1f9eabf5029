"""Log records of OpenTelemetry become event lines, whichever way they came."""

from __future__ import annotations

import json
from itertools import repeat
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from checker.collector.otlp.mapping import MAX_BYTES, MAX_RECORDS, Mapper, TooMuch, exporter_lines
from checker.collector.otlp.records import MAX_DEPTH, NoRecords, records_of_document, records_of_request
from checker.policy.collecting import Origin
from tests.otlp_client import FIELDS, SAVED, request, saves

EVERYTHING = {
    "event_name": SAVED,
    "time_ns": 1_767_225_600_123_456_789,
    "body": {"code": "timeout", "of": [1, {"deep": True}]},
    "attributes": {
        "rollout.phase": "B", "request.id": "r1", "duration_ms": 3.5, "retryable": False, "count": -7, "big": 1 << 62,
        "list": ["a", 1, 2.5, False], "map": {"x": {"y": "z"}}, "bytes": b"\x00\xff",
    },
}  # fmt: skip


def of_protobuf(*records: dict[str, Any], **fields: Origin) -> list[dict[str, Any]]:
    mapped = Mapper(fields or FIELDS).lines(records_of_request(request(records)))
    return [json.loads(line) for line in mapped.lines.splitlines()]


def test_protobuf_json_and_the_file_exporter_say_the_same() -> None:
    message = request([EVERYTHING, *saves(3)])
    fields = {name: Origin(f"attributes.{name}") for name in ("count", "big", "list", "map", "bytes")}
    wanted = {**FIELDS, **fields, "scope": Origin("scope.name"), "scope_version": Origin("scope.version")}
    mapper = Mapper(wanted)
    document = MessageToDict(message)  # as OTLP/JSON has it, but for ids
    lines = mapper.lines(records_of_request(message)).lines
    assert mapper.lines(records_of_document(document)).lines == lines
    assert exporter_lines(wanted)(json.dumps(document).encode() + b"\n") == lines
    assert json.loads(lines.splitlines()[0]) == {
        "schema_version": 1, "event": SAVED, "phase": "B", "release": "1.2.3", "request_id": "r1", "duration_ms": 3.5,
        "retryable": False, "code": "timeout", "count": -7, "big": 1 << 62, "list": ["a", 1, 2.5, False],
        "map": {"x": {"y": "z"}}, "bytes": "AP8=", "scope": "autosave", "scope_version": "7",
        "ts": "2026-01-01T00:00:00.123456789Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("time_ns", "expected"),
    [
        (1_767_225_600_000_000_000, "2026-01-01T00:00:00Z"),
        (1_767_225_600_120_000_000, "2026-01-01T00:00:00.12Z"),
        (1_767_225_600_000_000_001, "2026-01-01T00:00:00.000000001Z"),
        (0, None),  # nobody says when
        (18_446_744_073_709_551_615, "2554-07-21T23:34:33.709551615Z"),  # the latest that fits
    ],
)
def test_the_time_is_told_to_the_nanosecond(time_ns: int, expected: str | None) -> None:
    (event,) = of_protobuf({**saves(1)[0], "time_ns": time_ns})
    assert event.get("ts") == expected


def test_when_it_was_seen_stands_for_when_it_happened() -> None:
    message = request([{**saves(1)[0], "time_ns": 0}])
    message.resource_logs[0].scope_logs[0].log_records[0].observed_time_unix_nano = 1_767_225_600_000_000_000
    mapped = Mapper(FIELDS).lines(records_of_request(message))
    assert json.loads(mapped.lines)["ts"] == "2026-01-01T00:00:00Z"


def test_a_record_without_an_event_is_none_of_ours() -> None:
    mapped = Mapper({"event": Origin("attributes.event"), "phase": Origin("severity_text")}).lines(
        records_of_request(request(saves(2)))
    )
    assert (mapped.lines, mapped.events, mapped.skipped) == (b"", 0, 2)


def test_what_is_absent_is_left_out_and_what_is_no_number_stays_text() -> None:
    (event,) = of_protobuf({"event_name": SAVED, "time_ns": 1, "attributes": {"duration_ms": float("nan")}})
    assert event == {
        "schema_version": 1,
        "event": SAVED,
        "release": "1.2.3",
        "duration_ms": "NaN",
    }  # 1970: no such time


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "the document: expected a mapping, found list"),
        ({"resourceLogs": {}}, "resourceLogs: expected a list, found dict"),
        ({"resourceLogs": [1]}, r"resourceLogs\[0\]: expected a mapping, found int"),
        ({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "soon"}]}]}]}, "'soon' is no whole number"),
        ({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "9" * 5000}]}]}]}, "is no whole number"),
        ({"resourceLogs": [{"resource": {"attributes": [{"key": "a", "value": 1}]}}]}, "expected a mapping, found int"),
        ({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": 1.5}]}]}]}, "'1.5' is no whole number"),
        ({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": True}]}]}]}, "'True' is no whole number"),
        ({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"intValue": "1_0"}}]}]}]}, "is no whole number"),
        ({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": 5}}]}]}]}, "cannot be int"),
        ({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"boolValue": "no"}}]}]}]}, "cannot be str"),
    ],
)
def test_what_is_no_document_of_records_is_told(document: Any, told: str) -> None:
    with pytest.raises(NoRecords, match=told):
        list(records_of_document(document))


@pytest.mark.parametrize(("depth", "is_taken"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_depth(depth: int, is_taken: bool) -> None:
    value: Any = {"stringValue": "x"}
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": value}]}]}]}
    if is_taken:
        assert len(list(records_of_document(document))) == 1
    else:
        with pytest.raises(NoRecords, match="nested more than"):
            list(records_of_document(document))


@pytest.mark.parametrize("line", [b"no json\n", b"[]\n", b'{"resourceLogs":[1]}\n'])
def test_a_line_that_the_exporter_did_not_write_stays_as_it_is(line: bytes) -> None:
    assert exporter_lines(FIELDS)(line) == line


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"intValue": "7"}, 7),
        ({"intValue": 7}, 7),
        ({"intValue": 1}, 1),
        ({"intValue": "-9223372036854775808"}, -(1 << 63)),
        ({"doubleValue": 2}, 2.0),
        ({"doubleValue": "NaN"}, "NaN"),
        ({"doubleValue": "-Infinity"}, "-Infinity"),
        ({"boolValue": False}, False),
        ({"bytesValue": "AP8="}, "AP8="),
        ({"arrayValue": {}}, []),
        ({}, None),
    ],
)
def test_values_of_json(value: Any, expected: Any) -> None:
    record = {"eventName": SAVED, "attributes": [{"key": "x", "value": value}]}
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    mapped = Mapper({"event": Origin("event_name"), "x": Origin("attributes.x")}).of_document(document)
    assert mapped.lines == json.dumps({"event": SAVED, "x": expected}, separators=(",", ":")).encode() + b"\n"


def test_every_place_in_a_record_and_the_policy_s_order() -> None:
    message = request([{**saves(1)[0], "body": "said"}])
    record = message.resource_logs[0].scope_logs[0].log_records[0]
    record.severity_text, record.severity_number = "WARN", 13
    record.trace_id, record.span_id = bytes(range(16)), b"\xab" * 8
    message.resource_logs[0].scope_logs[0].scope.attributes.add(key="team.name").value.string_value = "docs"
    document = MessageToDict(message, use_integers_for_enums=True)
    in_json = document["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    in_json |= {"traceId": record.trace_id.hex().upper(), "spanId": record.span_id.hex()}  # OTLP has ids as hex
    paths = (
        "span_id", "trace_id", "severity_number", "severity_text", "time", "event_name", "body", "scope.name",
        "scope.version", "scope.team.name", "resource.service.version", "attributes.request.id", "body.code",
    )  # fmt: skip
    mapper = Mapper({"event": Origin("event_name"), **{path: Origin(path) for path in paths}, "one": Origin(value=1)})
    lines = mapper.of_request(message).lines
    assert mapper.of_document(document).lines == lines
    assert list(json.loads(lines).items()) == [
        ("event", SAVED),
        ("span_id", "ab" * 8),
        ("trace_id", "000102030405060708090a0b0c0d0e0f"),
        ("severity_number", 13),
        ("severity_text", "WARN"),
        ("time", "2026-01-01T00:00:00Z"),
        ("event_name", SAVED),
        ("body", "said"),
        ("scope.name", "autosave"),
        ("scope.version", "7"),
        ("scope.team.name", "docs"),
        ("resource.service.version", "1.2.3"),
        ("attributes.request.id", "r0"),
        ("one", 1),
        ("ts", "2026-01-01T00:00:00Z"),
    ]  # a body of text has no `code`


@pytest.mark.parametrize("text", ["", "x" * (MAX_BYTES // 64)])
def test_what_grows_beyond_measure_is_not_taken(text: str) -> None:
    """What a resource says once stands in each line; and a record may be two bytes long."""
    message = request([{"event_name": "e" if text else ""}], release=text)
    (record,) = records_of_request(message)
    mapper = Mapper({"event": Origin("event_name"), "release": Origin("resource.service.version")})
    with pytest.raises(TooMuch, match="at most 500,000 records at once, or 64 MiB of event lines"):
        mapper.lines(repeat(record, 64 if text else MAX_RECORDS + 1))
    assert mapper.lines(repeat(record, 63)).events == (63 if text else 0)
