"""Log records of OpenTelemetry in one form, whether they came as protobuf or as JSON. Pure."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 32  # of a value within a value
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_NO_NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}  # as protobuf writes them in JSON
_SIMPLE = {"stringValue": str, "boolValue": bool, "bytesValue": str}


class NoRecords(ValueError):
    """What came is no document of log records; the text says where."""


class _Everything(Container[object]):
    def __contains__(self, name: object) -> bool:
        return True


EVERYTHING = _Everything()


@dataclass(frozen=True, slots=True)
class Context:
    """What the records of one scope share: attributes of their resource, and the scope's with its name and version."""

    resource: Mapping[str, Any]
    scope: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record. `time_ns` is since the epoch: when it happened, else when it was seen; 0 where nobody says.

    Ids are hex, empty where there are none.
    """

    context: Context
    attributes: Mapping[str, Any]
    body: Any
    time_ns: int
    event_name: str
    severity_text: str
    severity_number: int
    trace_id: str
    span_id: str


def records_of_document(document: Any, wanted: Container[object] = EVERYTHING) -> Iterator[LogRecord]:
    """The records of a JSON document: a request's, or a line of the file exporter's, with the `wanted` attributes.

    Raises NoRecords.
    """
    for number, of_resource in enumerate(_list(_object(document, "the document"), "resourceLogs")):
        place = f"resourceLogs[{number}]"
        resource = _attributes(_object(_object(of_resource, place).get("resource") or {}, place), place)
        for of_scope in _list(of_resource, "scopeLogs"):
            context = Context(resource, _scope(_object(of_scope, place).get("scope") or {}, place))
            for record in _list(of_scope, "logRecords"):
                yield _record(context, _object(record, place), place, wanted)


def _record(context: Context, record: Mapping[str, Any], place: str, wanted: Container[object]) -> LogRecord:
    body = record.get("body")
    return LogRecord(
        context=context,
        attributes=_attributes(record, place, wanted),
        body=None if body is None else _value(body, place),
        time_ns=_whole(record.get("timeUnixNano"), place) or _whole(record.get("observedTimeUnixNano"), place),
        event_name=_text(record.get("eventName")),
        severity_text=_text(record.get("severityText")),
        severity_number=_whole(record.get("severityNumber"), place),
        trace_id=_text(record.get("traceId")).lower(),
        span_id=_text(record.get("spanId")).lower(),
    )


def _scope(scope: Any, place: str) -> dict[str, Any]:
    named = _object(scope, place)
    own = {key: value for key in ("name", "version") if (value := _text(named.get(key)))}
    return {**_attributes(named, place), **own}


def _attributes(holder: Mapping[str, Any], place: str, wanted: Container[object] = EVERYTHING) -> dict[str, Any]:
    pairs = [_object(pair, place) for pair in _list(holder, "attributes")]
    return _entries([pair for pair in pairs if pair.get("key") in wanted], place)


def _entries(pairs: Sequence[Mapping[str, Any]], place: str, depth: int = 0) -> dict[str, Any]:
    return {_text(pair.get("key")): _value(pair.get("value"), place, depth) for pair in pairs}


def _value(value: Any, place: str, depth: int = 0) -> Any:
    """What an AnyValue in JSON stands for."""
    for kind, content in _object(value if value is not None else {}, place).items():
        match kind:
            case "stringValue" | "boolValue" | "bytesValue":
                if not isinstance(content, _SIMPLE[kind]):
                    raise NoRecords(f"{place}: a {kind} cannot be {type(content).__name__}")
                return content
            case "intValue":
                return _whole(content, place)
            case "doubleValue":
                return _double(content, place)
            case "arrayValue" | "kvlistValue":
                return _nested(kind, _list(_object(content, place), "values"), place, depth)
    return None


def _nested(kind: str, values: Sequence[Any], place: str, depth: int) -> Any:
    if depth >= MAX_DEPTH:
        raise NoRecords(f"{place}: a value is nested more than {MAX_DEPTH} levels deep")
    if kind == "arrayValue":
        return [_value(item, place, depth + 1) for item in values]
    return _entries([_object(pair, place) for pair in values], place, depth + 1)


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NoRecords(f"{place}: expected a mapping, found {type(value).__name__}")
    return value


def _list(holder: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = holder.get(key)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise NoRecords(f"{key}: expected a list, found {type(value).__name__}")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Any, place: str) -> int:
    """A whole number, which JSON has as a number or, where it is long, as text."""
    if value is None:
        return 0
    if isinstance(value, float):
        is_whole = value.is_integer()
    elif isinstance(value, str):
        is_whole = _WHOLE.fullmatch(value) is not None
    else:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole:
        return int(value)
    raise NoRecords(f"{place}: {str(value)[:40]!r} is no whole number")


def _double(value: Any, place: str) -> Any:
    """A number; what is none becomes text, so that the event schema refuses it with a reason."""
    try:
        return _finite(float(value))
    except (TypeError, ValueError):
        raise NoRecords(f"{place}: {str(value)[:40]!r} is no number") from None


def _finite(number: float) -> float | str:
    return number if math.isfinite(number) else _NO_NUMBERS[str(number)]


def records_of_request(request: Any, wanted: Container[object] = EVERYTHING) -> Iterator[LogRecord]:
    """The records of an ExportLogsServiceRequest, with the `wanted` attributes. Raises NoRecords."""
    for of_resource in request.resource_logs:
        resource = _pairs(of_resource.resource.attributes)
        for of_scope in of_resource.scope_logs:
            scope = of_scope.scope
            own = {key: value for key, value in (("name", scope.name), ("version", scope.version)) if value}
            context = Context(resource, {**_pairs(scope.attributes), **own})
            for record in of_scope.log_records:
                yield LogRecord(
                    context=context,
                    attributes=_pairs(record.attributes, wanted),
                    body=_any(record.body),
                    time_ns=record.time_unix_nano or record.observed_time_unix_nano,
                    event_name=record.event_name,
                    severity_text=record.severity_text,
                    severity_number=record.severity_number,
                    trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                )


def _pairs(attributes: Any, wanted: Container[object] = EVERYTHING) -> dict[str, Any]:
    return {key: _any(pair.value) for pair in attributes if (key := pair.key) in wanted}


def _any(value: Any, depth: int = 0) -> Any:
    """What an AnyValue of protobuf stands for."""
    kind = value.WhichOneof("value")
    match kind:
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "double_value":
            return _finite(value.double_value)
        case "bool_value":
            return value.bool_value
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value" | "kvlist_value" if depth >= MAX_DEPTH:
            raise NoRecords(f"a value is nested more than {MAX_DEPTH} levels deep")
        case "array_value":
            return [_any(item, depth + 1) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _any(pair.value, depth + 1) for pair in value.kvlist_value.values}
        case _:
            return None
