"""OTLP over HTTP, with OpenTelemetry's own SDK and with what no SDK sends: what is accepted is on disk, and once."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict

from checker.collector.otlp.receiver import JSON, PATH, PROTOBUF
from checker.collector.otlp.spool import Damaged, SpoolWriter, blocks, segments
from checker.collector.sources.otlp import OtlpSource
from checker.errors import NotRecorded
from checker.policy.collecting import OtlpRule
from tests.limits import files_of_at_most
from tests.otlp_client import FIELDS, receiving, request, saves, spooled

BODY = request(saves(5)).SerializeToString()


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
    else:
        assert answer.json()["message"]
    assert len(spooled(tmp_path)) == 5


@pytest.mark.parametrize(("method", "path", "status"), [("GET", PATH, 405), ("POST", "/v1/traces", 404)])
def test_other_pages(tmp_path: Path, method: str, path: str, status: int) -> None:
    with receiving(tmp_path) as (_, address):
        answer = httpx.request(method, f"http://{address}{path}", trust_env=False)
    assert (answer.status_code, "Allow" in answer.headers) == (status, status == 405)


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


def test_a_spool_that_was_cut_anywhere_keeps_every_whole_request(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    writer.append("a" * 64, b'{"n":1}\n{"n":2}\n')
    first = segments(tmp_path)[0].stat().st_size
    writer.append("b" * 64, b'{"n":3}\n')
    writer.close()
    whole = segments(tmp_path)[0].read_bytes()
    for cut in range(first, len(whole) + 1):
        for path in segments(tmp_path):
            path.unlink()
        (tmp_path / "00000001.spool").write_bytes(whole[:cut])
        read = [line for block in blocks(tmp_path / "00000001.spool") for line in block.lines.splitlines()]
        assert len(read) == (3 if cut == len(whole) else 2)  # a reader beside it
        again = SpoolWriter(tmp_path)
        assert again.append("a" * 64, b'{"n":1}\n{"n":2}\n') is False
        assert again.append("b" * 64, b'{"n":3}\n') is (cut < len(whole))
        again.close()
        assert spooled(tmp_path) == [b'{"n":1}', b'{"n":2}', b'{"n":3}']


def test_one_writer(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    with pytest.raises(NotRecorded, match="another receiver writes this spool"):
        SpoolWriter(tmp_path)
    writer.close()
    SpoolWriter(tmp_path).close()


def test_what_is_damaged_in_the_middle_is_told(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    for digest in "ab":
        writer.append(digest * 64, b'{"n":1}\n')
    writer.close()
    path = segments(tmp_path)[0]
    content = path.read_bytes()
    path.write_bytes(b"x" + content[1:])
    with pytest.raises(Damaged, match=r"00000001\.spool: no block at byte 0"):
        list(blocks(path))


def test_segments_that_were_read_and_sealed_go(tmp_path: Path) -> None:
    for number in range(3):
        writer = SpoolWriter(tmp_path)
        writer.append(f"{number}" * 64, b'{"n":1}\n')
        writer.close()
    source = OtlpSource(OtlpRule("otel", fields=FIELDS), tmp_path)
    source.committed({"segment": "00000003.spool", "offset": 0})
    assert [path.name for path in segments(tmp_path)] == ["00000003.spool"]
    source.committed({"segment": "00000009.spool", "offset": 0})
    assert len(segments(tmp_path)) == 1  # the newest may still grow


logging.getLogger("waitress").setLevel(logging.ERROR)
