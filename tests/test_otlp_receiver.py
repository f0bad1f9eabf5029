"""OTLP over HTTP, with OpenTelemetry's own SDK and with what no SDK sends: what is accepted is on disk, and once."""

from __future__ import annotations

import gzip
import json
import logging
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict

from checker.collector.otlp.receiver import JSON, PATH, PROTOBUF, Receiver
from checker.collector.otlp.records import MAX_DEPTH
from checker.collector.otlp.spool import segments
from checker.errors import UsageError
from checker.policy.collecting import OtlpRule
from tests.limits import files_of_at_most
from tests.otlp_client import FIELDS, receiving, request, saves, spooled

BODY = request(saves(5)).SerializeToString()
PATH_TO_BODY, ARRAY = (0x0A, 0x12, 0x12, 0x2A), (0x2A, 0x0A)  # protobuf's tags, outermost first


def varint(number: int) -> bytes:
    """A whole number as protobuf writes it."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*made, number))


def nested(depth: int) -> bytes:
    """A request whose record has that many arrays in each other; no library writes so many."""
    made = b""
    for tag in reversed(PATH_TO_BODY + ARRAY * depth):
        made = bytes((tag,)) + varint(len(made)) + made
    return made


def nested_json(depth: int) -> bytes:
    """The same in JSON, of lists of key and value."""
    value = b'{"kvlistValue":{"values":[{"key":"k","value":' * depth + b"{}" + b"}]}}" * depth
    return b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":%s}]}]}]}' % value


def post(address: Any, body: bytes, kind: str = PROTOBUF, path: str = PATH, **headers: str) -> httpx.Response:
    given = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.post(f"http://{address}{path}", content=body, headers=given, trust_env=False)


def test_the_sdk_exports_to_it(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
        from opentelemetry.sdk.resources import Resource

        with receiving(tmp_path) as (app, address):
            for compression in (Compression.NoCompression, Compression.Gzip):
                provider = LoggerProvider(Resource.create({"service.version": "9.9"}))
                exporter = OTLPLogExporter(endpoint=f"http://{address}{PATH}", compression=compression)
                provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
                logger = provider.get_logger("autosave")
                for number in range(700):
                    logger.emit(
                        event_name="autosave.save.completed",
                        timestamp=1_767_225_600_000_000_000 + number,
                        attributes={
                            "rollout.phase": "B", "request.id": f"{compression.value}{number}", "duration_ms": 1.5,
                        },
                    )  # fmt: skip
                provider.shutdown()
            assert (app.counts()["events"], app.counts()["refused"]) == (1400, 0)
    events = [json.loads(line) for line in spooled(tmp_path)]
    assert len({event["request_id"] for event in events}) == len(events) == 1400
    assert {(event["release"], event["phase"], event["schema_version"]) for event in events} == {("9.9", "B", 1)}


def test_json_and_gzip(tmp_path: Path) -> None:
    document = json.dumps(MessageToDict(request(saves(5)))).encode()
    with receiving(tmp_path) as (_, address):
        answer = post(address, document, JSON)
        assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (200, {}, JSON)
        packed = gzip.compress(request(saves(5, 5)).SerializeToString())
        answer = post(address, packed, PROTOBUF, Content_Encoding="gzip")
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", PROTOBUF)
    assert [json.loads(line)["request_id"] for line in spooled(tmp_path)] == [f"r{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("body", "kind", "headers", "status"),
    [
        (b"\xff\xff\xff", PROTOBUF, {}, 400),
        (b"{", JSON, {}, 400),
        (b"[]", JSON, {}, 400),
        (b"[" * 100_000, JSON, {}, 400),
        (b'{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"intValue":true}}]}}]}', JSON, {}, 400),
        (nested_json(MAX_DEPTH + 1), JSON, {}, 400),
        (nested_json(10_000), JSON, {}, 400),
        (nested(MAX_DEPTH + 1), PROTOBUF, {}, 400),
        (nested(10_000), PROTOBUF, {}, 400),
        (b"\x0c", PROTOBUF, {}, 400),  # the end of a group that never began
        (b"\x0a\xff\xff\xff\xff\x07", PROTOBUF, {}, 400),  # 2 GiB, it says
        (BODY[:-1], PROTOBUF, {}, 400),
        (BODY.replace(b"autosave.save", b"\xff" * 13), PROTOBUF, {}, 400),  # no UTF-8
        (request([{"event_name": "e"}] * 200, "x" * (400 << 10)).SerializeToString(), PROTOBUF, {}, 413),  # 78 MiB
        (BODY, "text/plain", {}, 415),
        (BODY, PROTOBUF, {"Content_Encoding": "br"}, 415),
        (gzip.compress(BODY)[:-9], PROTOBUF, {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(BODY) + b"more", PROTOBUF, {"Content_Encoding": "gzip"}, 400),
        (BODY, PROTOBUF, {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(bytes(64 << 20)), PROTOBUF, {"Content_Encoding": "gzip"}, 413),  # a bomb
        (bytes((1 << 20) + 1), PROTOBUF, {}, 413),
    ],
)
def test_what_is_refused_says_why_in_the_request_s_encoding(
    tmp_path: Path, body: bytes, kind: str, headers: dict[str, str], status: int
) -> None:
    with receiving(tmp_path) as (app, address):
        answer = post(address, body, kind, **headers)
        assert post(address, BODY).status_code == 200  # it goes on
        assert app.counts()["refused"] == 1
    assert answer.status_code == status
    if kind == PROTOBUF:
        assert answer.content[0] == 0x08  # google.rpc.Status: code, then message
        assert answer.content[2] == 0x12
        assert len(answer.content) == 4 + answer.content[3]
        assert answer.content[4:].decode()
    else:
        assert answer.json()["message"]
    assert len(spooled(tmp_path)) == 5


@pytest.mark.parametrize(("method", "path", "status"), [("GET", PATH, 405), ("POST", "/v1/traces", 404)])
def test_other_pages(tmp_path: Path, method: str, path: str, status: int) -> None:
    with receiving(tmp_path) as (_, address):
        answer = httpx.request(method, f"http://{address}{path}", trust_env=False)
    assert (answer.status_code, "Allow" in answer.headers) == (status, status == 405)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", PROTOBUF),
        (b"\x08\x01", PROTOBUF),  # a field that newer versions may have
        (nested(MAX_DEPTH), PROTOBUF),
        (nested_json(MAX_DEPTH), JSON),
        (b'{"resourceLogs":[],"more":[1]}', JSON),
    ],
)
def test_what_holds_no_event_is_taken_and_keeps_nothing(tmp_path: Path, body: bytes, kind: str) -> None:
    with receiving(tmp_path) as (app, address):
        assert post(address, body, kind).status_code == 200
        assert app.counts()["events"] == 0
    assert spooled(tmp_path) == []


def test_the_same_request_again_counts_once(tmp_path: Path) -> None:
    with receiving(tmp_path) as (app, address):
        assert [post(address, BODY).status_code for _ in range(3)] == [200] * 3
        packed = gzip.compress(BODY)  # the answer was lost; the client packs it anew
        assert post(address, packed, Content_Encoding="gzip").status_code == 200
        assert (app.counts()["events"], app.counts()["repeated_requests"]) == (5, 3)
    with receiving(tmp_path) as (app, address):  # and so it is after a restart
        assert post(address, BODY).status_code == 200
        assert app.counts()["repeated_requests"] == 1
    assert len(spooled(tmp_path)) == 5


def test_a_full_disk_is_told_and_takes_nothing(tmp_path: Path) -> None:
    with receiving(tmp_path) as (_, address):
        assert post(address, BODY).status_code == 200
        size = segments(tmp_path)[-1].stat().st_size
        other = request(saves(5, 100)).SerializeToString()
        for room in (0, 1, 70, 200):
            with files_of_at_most(size + room):
                answer = post(address, other)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert segments(tmp_path)[-1].stat().st_size == size
        assert post(address, other).status_code == 200
    assert len(spooled(tmp_path)) == 10


def test_many_at_once(tmp_path: Path) -> None:
    with receiving(tmp_path) as (app, address):
        threads = [
            threading.Thread(
                target=lambda number=number: [
                    post(address, request(saves(10, 1000 * number + 10 * step)).SerializeToString())
                    for step in range(10)
                ]
            )
            for number in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert app.counts()["events"] == 600
    lines = spooled(tmp_path)
    assert len(set(lines)) == len(lines) == 600


def test_without_opentelemetry_s_messages_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.logs.v1", None)  # as where it is not installed
    with pytest.raises(UsageError, match=r"source otel: OTLP needs .* pip install 'phasegate\[otlp\]'"):
        Receiver(OtlpRule("otel", fields=FIELDS), tmp_path)


logging.getLogger("waitress").setLevel(logging.ERROR)
