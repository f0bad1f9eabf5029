"""Log records become event lines, as the policy maps them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from checker.collector.otlp.records import LogRecord, NoRecords, records_of_document, records_of_request
from checker.policy.collecting import Origin

_SECOND_NS = 1_000_000_000
_LATEST_S = 32_503_680_000  # the year 3000: what lies beyond is no time that an event can have
_ABSENT = object()
MAX_BYTES = 64 << 20  # of the lines of one request: what many records share stands in each line of theirs
MAX_RECORDS = 500_000  # of one request: an SDK sends 512 at once
Getter = Callable[[LogRecord], Any]


@dataclass(frozen=True, slots=True)
class Mapped:
    """Event lines, each with its newline, and how many records were no events."""

    lines: bytes
    events: int
    skipped: int


class TooMuch(ValueError):
    """More came at once than is taken; the text says how much is."""


class Mapper:
    """Makes events of records: `fields` says where each field of an event comes from.

    A record that lacks what `event` comes from is none of ours. A field whose origin is absent is left out: the event
    schema tells what is missing. Without `ts` among the fields it is the record's time.
    """

    def __init__(self, fields: Mapping[str, Origin]) -> None:
        self._getters = {name: _getter(origin) for name, origin in fields.items()}
        self._getters.setdefault("ts", _time)
        named = (origin.path.partition(".") for origin in fields.values())
        self.attributes = frozenset(name for kind, _, name in named if kind == "attributes")

    def of_request(self, request: Any) -> Mapped:
        """The event lines of an ExportLogsServiceRequest. Raises as `lines` does."""
        return self.lines(records_of_request(request, self.attributes))

    def of_document(self, document: Any) -> Mapped:
        """The event lines of a JSON document: a request's, or a line of the file exporter's. Raises as `lines` does."""
        return self.lines(records_of_document(document, self.attributes))

    def lines(self, records: Iterable[LogRecord]) -> Mapped:
        """The event lines of the records that are events.

        Raises NoRecords for a value that no JSON can hold, and TooMuch.
        """
        found, events, skipped = bytearray(), 0, 0
        for record in records:
            line = self._line(record)
            if line is None:
                skipped += 1
            else:
                events += 1
                found += line
            if len(found) > MAX_BYTES or events + skipped > MAX_RECORDS:
                raise TooMuch(f"at most {MAX_RECORDS:,} records at once, or {MAX_BYTES >> 20} MiB of event lines")
        return Mapped(bytes(found), events, skipped)

    def _line(self, record: LogRecord) -> bytes | None:
        import orjson

        event = {name: value for name, get in self._getters.items() if (value := get(record)) is not _ABSENT}
        if event.get("event") is None:
            return None
        try:
            return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError as fault:
            raise NoRecords(f"an event cannot be written down: {fault}") from None


def exporter_lines(fields: Mapping[str, Origin]) -> Callable[[bytes], bytes]:
    """Makes event lines of a line that the OpenTelemetry Collector's file exporter wrote.

    A line that is none stays as it is: the cycle sets it aside, with the reason.
    """
    mapper = Mapper(fields)

    def transform(line: bytes) -> bytes:
        import orjson

        try:
            return mapper.of_document(orjson.loads(line)).lines
        except (NoRecords, TooMuch, orjson.JSONDecodeError):
            return line

    return transform


def _getter(origin: Origin) -> Getter:
    if not origin.path:
        constant = origin.value
        return lambda _: constant
    kind, _, name = origin.path.partition(".")
    match kind:
        case "attributes":
            return lambda record: record.attributes.get(name, _ABSENT)
        case "resource":
            return lambda record: record.context.resource.get(name, _ABSENT)
        case "scope":
            return lambda record: record.context.scope.get(name, _ABSENT)
        case "body" if name:
            return lambda record: record.body.get(name, _ABSENT) if isinstance(record.body, dict) else _ABSENT
        case "body":
            return lambda record: _ABSENT if record.body is None else record.body
        case "time":
            return _time
        case "severity_number":
            return lambda record: record.severity_number or _ABSENT
        case _:
            return lambda record: getattr(record, kind) or _ABSENT


def _time(record: LogRecord) -> Any:
    """The record's time as RFC 3339, to the nanosecond where it has them."""
    seconds, rest = divmod(record.time_ns, _SECOND_NS)
    if not 0 < seconds < _LATEST_S:
        return _ABSENT
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"
