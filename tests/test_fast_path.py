"""Whole batches and single lines come to the same events: the same index, the same typed values, the same faults."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checker.analyzer.event_schema import EventSchema, build
from checker.analyzer.fast_path import compile_fast_path
from checker.analyzer.lines import line_checker
from tests.telemetry import all_lines, autosave_schema, ingested, rules_for, write_batch
from tests.test_lines import BRANCHED, BROKEN, SOUND

EVERY_KEYWORD: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "every keyword that the fast path knows",
    "type": "object",
    "required": ["ts", "event", "phase"],
    "x-phasegate": {"dedup_key": ["id"]},
    "properties": {
        "ts": {"type": "string", "format": "date-time"},
        "event": {"type": "string", "minLength": 1, "maxLength": 9},
        "phase": {"type": "string", "enum": ["B", "C", "it's"]},
        "id": {"type": "string", "minLength": 2, "maxLength": 3},
        "fixed": {"type": "string", "const": "so"},
        "ratio": {"type": "number", "minimum": 0.1, "maximum": 0.7},
        "open": {"type": "number", "exclusiveMinimum": -1, "exclusiveMaximum": 1.5},
        "level": {"type": "number", "enum": [0.5, 1, 2.25]},
        "count": {"type": "integer", "minimum": -2, "maximum": 5},
        "inner": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 3},
        "one": {"type": "integer", "const": 1},
        "flag": {"type": "boolean"},
        "yes": {"type": "boolean", "const": True},
        "tags": {"type": "array", "items": {"type": "string"}},
        "batch_start": {"type": "string", "format": "date-time"},
        "naïve name": {"type": "string", "description": "a key that is no word"},
    },
    "allOf": [
        {
            "if": {"properties": {"event": {"const": "save"}}, "required": ["event"]},
            "then": {"required": ["id", "extra"], "properties": {"extra": {"type": "number"}}},
        },
        {
            "if": {"properties": {"event": {"enum": ["save", "it's"]}}},
            "then": {"required": ["flag"], "properties": {"count": {"type": "integer", "minimum": 2}}},
        },
    ],
}

WORDS = st.sampled_from(
    [
        "save",
        "it's",
        "x",
        "",
        "B",
        "C",
        "so",
        "ab",
        "abcd",
        "é😀",
        'q"\\',
        "a:b",
        '":',
        "\t",
        "\x7f\u2028",
        "\ufffe",
        "ten chars!",
    ]
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 5, -2, -1, 1.5, 0.1, 0.7, 0.5, 2.25, 1e3, 5.0, -0.0, 1e308, 1 << 53, 1 << 62, 1 << 63]),
    st.integers(-3, 6),
    st.floats(allow_nan=True, allow_infinity=True),
)
TIMES = st.sampled_from(
    [
        "2026-01-02T12:00:00Z",
        "2026-01-02T13:00:00.123456789+01:00",
        "2026-01-02T12:19:59.9999-00:00",
        "2026-01-02T12:21:00Z",
        "2025-12-31T23:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-02T12:00:00",
    ]
)
ANYTHING = st.one_of(WORDS, NUMBERS, TIMES, st.booleans(), st.none(), st.lists(WORDS, max_size=2), st.just({"a": 1}))


def likely(kind: str) -> st.SearchStrategy[Any]:
    """Values that mostly fit a column of this kind."""
    fitting: Mapping[str, st.SearchStrategy[Any]] = {
        "VARCHAR": WORDS,
        "TIMESTAMP": TIMES,
        "BIGINT": NUMBERS,
        "DOUBLE": NUMBERS,
        "BOOLEAN": st.booleans(),
        "JSON": st.lists(WORDS, max_size=2),
    }
    return st.one_of(*[fitting[kind]] * 12, ANYTHING)


@st.composite
def lines_of(draw: st.DrawFn, schema: EventSchema) -> bytes:
    """A line that is nearly or truly an event of the schema, in some of JSON's spellings."""
    optional = [name for name in schema.columns if name not in ("ts", "event", "phase")]
    names = ["ts", "event", "phase", *draw(st.lists(st.sampled_from(optional), max_size=5, unique=True))]
    if not draw(st.integers(0, 19)):
        names.append(draw(st.sampled_from(["unknown", "TS", *names])))
    pairs = []
    for name in names:
        value = draw(st.just("B") if name == "phase" else likely(schema.columns.get(name, "JSON")))
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        pairs.append(f"{json.dumps(name, ensure_ascii=False)}{draw(COLONS)}{text}")
    text = "{" + draw(COMMAS).join(pairs) + draw(st.sampled_from(["}"] * 9 + [" }", "}\r", "} \r", ",}", "", "}\t"]))
    return text.encode("utf-8", "surrogatepass")


COLONS = st.sampled_from([":"] * 20 + [": ", ":\t", " :"])
COMMAS = st.sampled_from([","] * 9 + [", ", " ,\t", "\r,"])
SCHEMAS = {"autosave": autosave_schema(), "every keyword": build(EVERY_KEYWORD), "branched": BRANCHED}


def assert_same_both_ways(
    lines: Sequence[bytes], schema: EventSchema, likely_columns: Sequence[str] = (), payload: bool = False
) -> int:
    """Ingest a batch of these lines both ways, compare, and give the number of events."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_batch(Path(folder), "12:00", [line + b"\n" for line in lines])
        fast = ingested(path, rules_for(schema, payload=payload), likely_columns)
        slow = ingested(path, rules_for(schema, fast=False, payload=payload))
    assert repr(fast) == repr(slow)  # NaN is not there, and -0.0 is not 0.0
    assert all_lines(fast.index) == fast.index.lines == len(lines)
    assert sum(fast.index.events.values()) == len(fast.rows)
    return len(fast.rows)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_of_the_table_has_a_fast_path(name: str) -> None:
    assert compile_fast_path(SCHEMAS[name]) is not None


@pytest.mark.parametrize("name", SCHEMAS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_one_line_both_ways(name: str, data: st.DataObject) -> None:
    assert_same_both_ways([data.draw(lines_of(SCHEMAS[name]))], SCHEMAS[name])


@pytest.mark.parametrize("name", SCHEMAS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_lines_that_are_all_sound_both_ways(name: str, data: st.DataObject) -> None:
    check = line_checker(SCHEMAS[name])
    lines = [line for line in data.draw(st.lists(lines_of(SCHEMAS[name]), max_size=12)) if check(line, True) is None]
    some = data.draw(st.lists(st.sampled_from(list(SCHEMAS[name].columns)), unique=True))
    assert_same_both_ways(lines, SCHEMAS[name], ["ts", "event", "phase", *some], payload=data.draw(st.booleans()))


@pytest.mark.parametrize("name", SCHEMAS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_mixed_lines_both_ways(name: str, data: st.DataObject) -> None:
    assert_same_both_ways(data.draw(st.lists(lines_of(SCHEMAS[name]), max_size=40)), SCHEMAS[name])


@pytest.mark.parametrize("content", [*SOUND, *(content for content, _ in BROKEN)], ids=lambda item: repr(item[70:110]))
def test_line_of_the_table_both_ways(content: bytes) -> None:
    sound = b'{"schema_version":1,"ts":"2026-01-02T12:00:00Z","event":"x","phase":"B"}'
    within = assert_same_both_ways([sound, content, sound], autosave_schema())
    assert within in (2, 3)


def test_all_sound_lines_of_the_table_load_beside_each_other() -> None:
    placed = assert_same_both_ways([line for line in SOUND if b"T12:00:00Z" in line], autosave_schema(), payload=True)
    assert placed == sum(b"T12:00:00Z" in line for line in SOUND)


def altered(change: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(EVERY_KEYWORD))
    for path, value in change.items():
        *parents, last = path.split("/")
        place = document
        for key in parents:
            place = place[int(key) if isinstance(place, list) else key]
        place[last] = value
    return document


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"additionalProperties": False}, {}),
        ({"minProperties": 3}, {}),
        ({"required": ["ts", "event", "phase", "nowhere_described"]}, {"nowhere_described": 1}),
        ({"properties/untyped": {"minimum": 3}}, {"untyped": 3}),
        ({"properties/either": {"type": ["string", "null"]}}, {"either": None}),
        ({"properties/shaped": {"type": "object"}}, {"shaped": {"a": 1}}),
        ({"properties/listed": {"type": "array", "items": {"type": "integer"}}}, {"listed": [1]}),
        ({"properties/listed": {"type": "array", "items": {"type": "string"}, "maxItems": 1}}, {"listed": ["a"]}),
        ({"properties/count/multipleOf": 2}, {"count": 4}),
        ({"properties/id/pattern": "^a"}, {"id": "ab"}),
        ({"properties/id/minimum": 5}, {"id": "ab"}),  # JSON Schema ignores it for a text, SQL would not
        ({"properties/id/const": 5}, {}),
        ({"properties/one/const": True}, {}),  # true is not 1 in JSON Schema
        ({"properties/count/minimum": 0.5}, {"count": 1}),
        ({"properties/ratio/maximum": (1 << 53) + 1}, {"ratio": 0.5}),
        ({"properties/ts/maxLength": 40}, {}),
        ({"properties/flag": True}, {"flag": True}),
        ({"allOf/0/else": {"required": ["id"]}}, {"id": "ab"}),
        ({"allOf/0/if": {"required": ["id"]}}, {}),
        ({"allOf/0/if/properties/event/const": 5}, {}),
        ({"allOf/0/if/properties/event/pattern": "s"}, {}),
        ({"allOf/0/then/minProperties": 3}, {}),
    ],
)
def test_schema_with_another_keyword_is_read_line_by_line(change: Mapping[str, Any], field: dict[str, Any]) -> None:
    schema = build(altered(change))
    assert compile_fast_path(schema) is None
    document = {"ts": "2026-01-02T12:00:00Z", "event": "x", "phase": "B"} | field
    assert assert_same_both_ways([json.dumps(document).encode()], schema) == 1


def test_decimals_of_a_schema_are_the_doubles_of_json() -> None:
    limit = 0.12345678901234566  # one step of a double off where it is read as a decimal first
    schema = build(altered({"properties/ratio": {"type": "number", "minimum": limit}}))
    head = '{"ts":"2026-01-02T12:00:00Z","event":"x","phase":"B","ratio":'
    below = limit - 2**-56
    assert below < limit
    assert assert_same_both_ways([f"{head}{limit!r}}}".encode()], schema) == 1
    assert assert_same_both_ways([f"{head}{below!r}}}".encode()], schema) == 0


@pytest.mark.parametrize("size", [1, 999])
@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_batch_larger_than_a_block_both_ways(
    size: int, ending: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("checker.analyzer.scan.BLOCK_BYTES", size)
    monkeypatch.setattr("checker.analyzer.scan.WHOLE_FILE_BYTES", 0)
    sound = [line for line in SOUND[:3] if not line.endswith(b"\r")]
    path = write_batch(tmp_path, "12:00", [b"\n".join(sound * 9) + ending])
    fast, slow = ingested(path, rules_for()), ingested(path, rules_for(fast=False))
    assert fast == slow
    assert fast.index.lines == len(fast.rows) == len(sound * 9)
