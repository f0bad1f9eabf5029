"""Single lines of telemetry: which are events, and why the others are not."""

from __future__ import annotations

import json

import pytest

from checker.analyzer.event_schema import build
from checker.analyzer.line_errors import SchemaJudge
from checker.analyzer.lines import MAX_DEPTH, MAX_LINE_BYTES, Fault, _explained, line_checker
from tests.telemetry import autosave_schema

HEAD = b'"schema_version":1,"ts":"2026-01-02T12:00:00Z","event":"x","phase":"B"'


def event(extra: bytes = b"") -> bytes:
    """A sound line of an unknown event, with `extra` after its fields."""
    return b"{" + HEAD + (b"," + extra if extra else b"") + b"}"


def timed(text: bytes) -> bytes:
    return event().replace(b"2026-01-02T12:00:00Z", text)


def padded(length: int) -> bytes:
    """A sound line of exactly `length` bytes."""
    return event(b'"pad":"' + b"x" * (length - len(event(b'"pad":""'))) + b'"')


def nested(levels: int) -> bytes:
    """A line whose deepest bracket lies `levels` deep, its own included."""
    return event(b'"z":' + b"[" * (levels - 1) + b"]" * (levels - 1))


SOUND = [
    event(),
    b" \t" + event() + b" \t",
    event() + b"\r",
    event().replace(b":", b" : ").replace(b"12 : 00 : 00", b"12:00:00"),
    event(b'"unknown":{"a":[1,2]}'),
    event(b'"unknown":null'),
    event(b'"retry_count":5.0'),
    event(b'"retry_count":1e3'),
    event(b'"bytes":9223372036854775807'),
    event(b'"duration_ms":1e308'),
    event(b'"duration_ms":1e-400'),  # too small for a double is 0, and 0 is a duration
    event(b'"unknown":"a \\" : b, \\": c"'),
    event(b'"unknown":"\\u0000"'),
    event(b'"unknown":"\\ud83d\\ude00"'),
    event(b'"TS":"not the field of that name"'),
    event(b'"incomplete":["a"," : "]'),
    timed(b"2026-01-02T12:00:00.123456789+05:30"),
    timed(b"1900-01-01T00:00:00-23:59"),
    timed(b"2999-12-31T23:59:59Z"),
    padded(MAX_LINE_BYTES),
    nested(MAX_DEPTH),
]

BROKEN = [
    (b"", "not_json"),
    (b"  ", "not_json"),
    (b"no json", "not_json"),
    (b"[1]", "not_json"),
    (b"7", "not_json"),
    (b"null", "not_json"),
    (event() + b",", "not_json"),
    (event()[:-1] + b",}", "not_json"),
    (event() + event(), "not_json"),
    (b"\xef\xbb\xbf" + event(), "not_json"),
    (event().replace(b'"x"', b"'x'"), "not_json"),
    (event(b'"z":"\\ud800"'), "not_json"),
    (event(b'"z":"a\x00b"'), "not_json"),
    (event(b'"z":01'), "not_json"),
    (event(b'"z":"\xff"'), "not_utf8"),
    (event(b'"z":"\xed\xa0\x80"'), "not_utf8"),
    (event(b'"z":NaN'), "not_finite"),
    (event(b'"z":Infinity'), "not_finite"),
    (event(b'"z":-Infinity'), "not_finite"),
    (event(b'"duration_ms":1e400'), "not_finite"),
    (event(b'"duration_ms":1' + b"0" * 400), "not_finite"),
    (event(b'"duration_ms":' + b"9" * 5000), "not_finite"),
    (event(b'"a":1,"a":2'), "duplicate_keys"),
    (event(b'"a" :1,"a":2'), "duplicate_keys"),
    (event(b'"a"\t:1,"a"  :2'), "duplicate_keys"),
    (event(b'"a"\r:1,"a":2'), "duplicate_keys"),
    (event(b'"a":1,"\\u0061":2'), "duplicate_keys"),
    (event(b'"a" :1,"a":"\\":"'), "duplicate_keys"),  # as many `":` as keys
    (event(b'"z":{"a":1,"a":2}'), "duplicate_keys"),
    (event(b'"ts":"2026-01-02T12:00:00Z"'), "duplicate_keys"),
    (event(b'"' + b"k" * 5000 + b'":1,"' + b"k" * 5000 + b'":2'), "duplicate_keys"),
    (event(b'"bytes":' + b"9" * 300), "out_of_range"),
    (event(b'"incomplete":[1' + b",1" * 5000 + b"]"), "wrong_type"),
    (event(b'"z":"' + b'\\"' * 5000)[:-1], "not_json"),
    (event().replace(b'"phase":"B"', b'"Phase":"B"'), "missing_field"),
    (event().replace(b'"x"', b'"autosave.save.completed"'), "missing_field"),
    (event(b'"request_id":"r"').replace(b'"x"', b'"autosave.save.completed"'), "missing_field"),
    (event().replace(b'"x"', b'"autosave.history.drift"'), "missing_field"),
    (event(b'"duration_ms":"100"'), "wrong_type"),
    (event(b'"duration_ms":true'), "wrong_type"),
    (event(b'"duration_ms":null'), "wrong_type"),
    (event(b'"retry_count":5.5'), "wrong_type"),
    (event(b'"retryable":1'), "wrong_type"),
    (event(b'"release":7'), "wrong_type"),
    (event(b'"incomplete":"source"'), "wrong_type"),
    (event(b'"incomplete":[1]'), "wrong_type"),
    (event().replace(b'"B"', b"null"), "wrong_type"),
    (event().replace(b'"x"', b'{"a":1}'), "wrong_type"),
    (event(b'"duration_ms":-0.001'), "invalid_value"),
    (event(b'"attempts":0'), "invalid_value"),
    (event().replace(b'"B"', b'""'), "invalid_value"),
    (event().replace(b'version":1', b'version":2'), "invalid_value"),
    (event(b'"bytes":9223372036854775808'), "out_of_range"),
    (event(b'"bytes":9.3e18'), "out_of_range"),
    (event(b'"bytes":1' + b"0" * 60), "out_of_range"),
    (timed(b"2026-01-02T12:00:00"), "no_zone"),
    (timed(b"2026-01-02"), "no_zone"),
    (timed(b"noon"), "no_zone"),
    (timed(b"2026-02-30T12:00:00Z"), "invalid_time"),
    (timed(b"2025-02-29T12:00:00Z"), "invalid_time"),
    (timed(b"2026-01-02T24:00:00Z"), "invalid_time"),
    (timed(b"2026-01-02T12:00:60Z"), "invalid_time"),
    (timed(b"2026-01-02T12:00:00z"), "invalid_time"),
    (timed(b"2026-01-02 12:00:00Z"), "invalid_time"),
    (timed(b"1899-12-31T12:00:00Z"), "invalid_time"),
    (timed(b"3000-01-01T12:00:00Z"), "invalid_time"),
    (timed(b"2026-01-02T12:00:00.1234567890Z"), "invalid_time"),
    (timed(b"2026-01-02T12:00:00+24:00"), "invalid_time"),
    (event(b'"batch_start":"2026-01-02T12:00:00"'), "no_zone"),
    (padded(MAX_LINE_BYTES + 1), "too_long"),
    (nested(MAX_DEPTH + 1), "too_deep"),
    (nested(5000), "too_deep"),
]


def explained(content: bytes) -> Fault | None:
    """What is wrong with the line, found slowly, without the quick look that most lines get."""
    return _explained(content, True, SchemaJudge(autosave_schema()), in_words=True)


@pytest.mark.parametrize("content", SOUND, ids=lambda content: repr(content[70:110]))
def test_sound_line_is_an_event(content: bytes) -> None:
    assert line_checker(autosave_schema())(content, True) is None
    assert explained(content) is None


@pytest.mark.parametrize(("content", "reason"), BROKEN, ids=lambda item: repr(item[70:110]))
def test_broken_line_has_a_reason_and_a_short_detail(content: bytes, reason: str) -> None:
    fault = line_checker(autosave_schema())(content, True)
    assert fault is not None
    assert fault.reason == reason
    assert 0 < len(fault.detail) <= 320
    assert fault == explained(content)


@pytest.mark.parametrize("cut", [1, 20, 40, len(event()) - 1])
def test_line_without_its_end_and_its_newline_is_torn(cut: int) -> None:
    fault = line_checker(autosave_schema())(event()[:cut], False)
    assert fault is not None
    assert fault.reason == "torn"


def test_line_cut_inside_a_character_is_torn() -> None:
    fault = line_checker(autosave_schema())(event('"z":"é'.encode())[:-2], False)
    assert fault is not None
    assert fault.reason == "torn"


def test_last_line_needs_no_newline_where_it_is_whole() -> None:
    assert line_checker(autosave_schema())(event(), False) is None


BRANCHED = build(
    {
        "type": "object",
        "required": ["ts", "event", "phase"],
        "properties": {
            "ts": {"type": "string", "format": "date-time"},
            "event": {"type": "string"},
            "phase": {"type": "string"},
        },
        "allOf": [
            {
                "if": {"properties": {"event": {"const": "counted"}}},
                "then": {
                    "required": ["n"],
                    "properties": {
                        "n": {"type": "integer"},
                        "d": {"type": "number"},
                        "t": {"type": "string", "format": "date-time"},
                        "s": {"type": "string"},
                        "b": {"type": "boolean"},
                    },
                },
            }
        ],
    }
)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"n": 7, "d": 0.5, "t": "2026-01-02T12:00:00Z", "s": "text", "b": True}, None),
        ({"n": None, "d": None, "t": None, "s": None, "b": None}, None),
        ({"n": 7.0}, None),
        ({"n": 7.5}, "wrong_type"),
        ({"n": "7"}, "wrong_type"),
        ({"n": True}, "wrong_type"),
        ({"n": 1 << 63}, "out_of_range"),
        ({"n": [7]}, "wrong_type"),
        ({"d": "7"}, "wrong_type"),
        ({"t": "2026-01-02"}, "no_zone"),
        ({"t": 7}, "wrong_type"),
        ({"s": 7}, "wrong_type"),
        ({"b": 0}, "wrong_type"),
    ],
)
def test_column_described_for_one_event_has_its_type_for_all(fields: dict[str, object], reason: str | None) -> None:
    document = {"ts": "2026-01-02T12:00:00Z", "event": "another", "phase": "B", **fields}
    fault = line_checker(BRANCHED)(json.dumps(document).encode(), True)
    assert (fault and fault.reason) == reason
