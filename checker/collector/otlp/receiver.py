"""OTLP over HTTP: `POST /v1/logs`, protobuf and JSON. What is answered with success is on disk."""

from __future__ import annotations

import json
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from checker.collector.otlp.mapping import Mapped, Mapper, TooMuch
from checker.collector.otlp.records import NoRecords
from checker.collector.otlp.spool import SpoolWriter
from checker.errors import UsageError
from checker.policy.collecting import OtlpRule

PROTOBUF, JSON = "application/x-protobuf", "application/json"
PATH = "/v1/logs"
RETRY_AFTER_S = "5"
COUNTED = ("requests", "refused", "repeated_requests", "events", "skipped_records")
MAX_TOLD = 120  # bytes: a length that is one byte of protobuf
_INVALID, _EXHAUSTED, _UNAVAILABLE = 3, 8, 14  # google.rpc.Code
_TOO_LARGE = "413 Content Too Large"

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class _Refused(Exception):
    def __init__(self, status: str, told: str, code: int = _INVALID) -> None:
        super().__init__(told)
        self.status, self.told, self.code = status, told, code


def check_installed(source: str) -> Any:
    """The messages of OTLP. Raises UsageError where they are not installed."""
    try:
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
    except ImportError:
        told = "OTLP needs OpenTelemetry's messages: pip install 'phasegate[otlp]'"
        raise UsageError(f"source {source}: {told}") from None
    return logs_service_pb2


class Receiver:
    """A WSGI app for one source. Raises UsageError where OpenTelemetry's messages are not installed.

    Also raises what `SpoolWriter` raises.
    """

    def __init__(self, rule: OtlpRule, folder: Path) -> None:
        self._messages = check_installed(rule.name)
        self._mapper = Mapper(rule.fields)
        self._most = rule.max_request_mb << 20
        self._spool = SpoolWriter(folder)
        self._mapping = threading.Lock()  # one at a time: what is hostile unpacks to seventy times its size
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))

    def counts(self) -> Mapping[str, int]:
        """What it counted since it was opened."""
        with self._lock:
            return dict(self._counts)

    def close(self) -> None:
        """Let go of the spool."""
        self._spool.close()

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        kind = str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
        self._count(requests=1)
        try:
            body = self._body(environ, kind)
            self._take(body, kind)
        except _Refused as refusal:
            self._count(refused=1)
            return _refusal(refusal, kind, start_response)
        return _answer("200 OK", b"" if kind == PROTOBUF else b"{}", kind, start_response)

    def _body(self, environ: Mapping[str, Any], kind: str) -> bytes:
        if environ.get("PATH_INFO") != PATH:
            raise _Refused("404 Not Found", f"there is only {PATH}")
        if environ.get("REQUEST_METHOD") != "POST":
            raise _Refused("405 Method Not Allowed", f"{PATH} takes POST")
        if kind not in (PROTOBUF, JSON):
            raise _Refused("415 Unsupported Media Type", f"expected {PROTOBUF} or {JSON}")
        encoding = str(environ.get("HTTP_CONTENT_ENCODING", "identity")).strip().lower()
        if encoding not in ("gzip", "identity", ""):
            raise _Refused("415 Unsupported Media Type", "expected the encoding gzip, or none")
        packed = environ["wsgi.input"].read(self._most + 1)
        if len(packed) > self._most:
            raise _Refused(_TOO_LARGE, f"a request has at most {self._most:,} bytes", _EXHAUSTED)
        return self._unpacked(packed) if encoding == "gzip" else packed

    def _unpacked(self, packed: bytes) -> bytes:
        """The gzip content, at most as much as a request may have."""
        unpacking = zlib.decompressobj(wbits=31)
        try:
            found = unpacking.decompress(packed, self._most + 1)
        except zlib.error:
            raise _Refused("400 Bad Request", "the gzip content is damaged") from None
        if len(found) > self._most:
            raise _Refused(_TOO_LARGE, f"a request has at most {self._most:,} bytes, unpacked", _EXHAUSTED)
        if not unpacking.eof or unpacking.unused_data:
            raise _Refused("400 Bad Request", "the gzip content is cut off, or followed by something else")
        return found

    def _take(self, body: bytes, kind: str) -> None:
        """Have the events of a request on disk. Raises _Refused."""
        try:
            with self._mapping:
                mapped = self._mapped(body, kind)
        except NoRecords as fault:
            raise _Refused("400 Bad Request", str(fault)) from None
        except TooMuch as fault:
            raise _Refused(_TOO_LARGE, str(fault), _EXHAUSTED) from None
        is_new = True
        if mapped.events:
            try:
                is_new = self._spool.append(sha256(body).hexdigest(), mapped.lines)
            except OSError as fault:
                told = f"cannot be kept now: {fault.strerror or type(fault).__name__}; send it again"
                raise _Refused("503 Service Unavailable", told, _UNAVAILABLE) from None
        if is_new:
            self._count(events=mapped.events, skipped_records=mapped.skipped)
        else:
            self._count(repeated_requests=1)

    def _mapped(self, body: bytes, kind: str) -> Mapped:
        if kind == JSON:
            import orjson

            try:
                return self._mapper.of_document(orjson.loads(body))
            except orjson.JSONDecodeError as fault:
                raise NoRecords(f"is no JSON: {fault}") from None
        from google.protobuf.message import DecodeError

        try:
            return self._mapper.of_request(self._messages.ExportLogsServiceRequest.FromString(body))
        except DecodeError:
            raise NoRecords("is no ExportLogsServiceRequest") from None

    def _count(self, **counts: int) -> None:
        with self._lock:
            self._counts.update(counts)


def _refusal(refusal: _Refused, kind: str, start_response: StartResponse) -> Iterable[bytes]:
    """A google.rpc.Status in the encoding of the request; in JSON where that is neither."""
    more = {"405": ("Allow", "POST"), "503": ("Retry-After", RETRY_AFTER_S)}.get(refusal.status[:3])
    if kind == PROTOBUF:
        told = refusal.told.encode()[:MAX_TOLD].decode(errors="ignore").encode()  # whole characters
        body = bytes((0x08, refusal.code, 0x12, len(told))) + told  # code = 1, message = 2
    else:
        body = json.dumps({"code": refusal.code, "message": refusal.told}).encode()
    return _answer(refusal.status, body, kind, start_response, *([more] if more else []))


def _answer(
    status: str, body: bytes, kind: str, start_response: StartResponse, *more: tuple[str, str]
) -> Iterable[bytes]:
    encoding = PROTOBUF if kind == PROTOBUF else JSON
    start_response(status, [("Content-Type", encoding), ("Content-Length", str(len(body))), *more])
    return [body]
