"""Why an event departs from its schema: the same by the fast validator and by the slow one, and in bounded time."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checker.analyzer.event_schema import EventSchema, build
from checker.analyzer.line_errors import FEW_COMMAS, SchemaJudge
from checker.analyzer.lines import MAX_LINE_BYTES, line_checker
from tests.telemetry import autosave_schema
from tests.test_lines import BRANCHED

BASE = {
    "type": "object",
    "required": ["ts", "event", "phase"],
    "properties": {
        "ts": {"type": "string", "format": "date-time"},
        "event": {"type": "string", "pattern": "^[a-z.]+$", "maxLength": 8},
        "phase": {"type": "string", "enum": ["A", "B"]},
    },
}
TAGS = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}
NESTED = build(
    BASE
    | {
        "properties": BASE["properties"]  # type: ignore[operator]
        | {
            "tags": TAGS,
            "either": {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/short"}]},
            "no": {"not": {"type": "string"}},
            "some": {"type": ["array", "string"], "contains": {"type": "number"}, "minContains": 2, "maxContains": 3},
            "pair": {"prefixItems": [{"type": "number"}], "items": False},
            "list": {"type": "array", "items": {"$ref": "#/$defs/short"}, "uniqueItems": True},
            "names": {"propertyNames": {"maxLength": 1}, "additionalProperties": {"type": "number"}},
            "closed": {"type": "object", "properties": {"a": {"required": ["b"]}}, "additionalProperties": False},
            "empty": {"additionalProperties": False},
            "never": False,
        },
        "dependentRequired": {"tags": ["pair"]},
        "dependentSchemas": {"list": {"required": ["names"], "properties": {"no": {"type": "number"}}}},
        "$defs": {"short": {"type": ["string", "array"], "minLength": 1, "maxLength": 3, "maxItems": 1}},
    }
)
SCHEMAS = {"shipped": autosave_schema(), "branched": BRANCHED, "nested": NESTED}
EVENTS = (
    "x",
    "counted",
    *(branch["if"]["properties"]["event"]["const"] for branch in autosave_schema().document["allOf"]),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 3),
        st.sampled_from([0.5, -0.0, 1e300]),
        st.sampled_from(["", "a", "abcd"]),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "cd"]), inner, max_size=3),
    max_leaves=6,
)


def mutated(schema: EventSchema) -> st.SearchStrategy[dict[str, Any]]:
    """Events of the schema's own names, most of them with several faults."""
    sound = {
        "schema_version": st.just(1),
        "ts": st.just("2026-01-02T12:00:00Z"),
        "event": st.sampled_from(EVENTS),
        "phase": st.sampled_from("AB"),
    }
    names = [*schema.document["properties"], *schema.columns, "unknown"]
    changes = st.dictionaries(st.sampled_from(names), VALUES, max_size=5)
    removed = st.sets(st.sampled_from(names), max_size=2)
    return st.tuples(st.fixed_dictionaries(sound), changes, removed).map(
        lambda drawn: {name: value for name, value in (drawn[0] | drawn[1]).items() if name not in drawn[2]}
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_reason_is_the_same_by_the_fast_way_and_by_the_slow_one(name: str) -> None:
    judge = SchemaJudge(SCHEMAS[name])
    told = set()

    @settings(max_examples=300, deadline=None)
    @given(event=mutated(SCHEMAS[name]))
    def holds(event: dict[str, Any]) -> None:
        slow = judge.explained(event, all_errors=True)
        assert judge.is_valid(event) == (slow is None)
        if slow is not None:
            quick = judge.quick_reason(event)
            assert quick == slow[0] or (quick is None and name == "nested"), slow
            told.add(quick)

    holds()
    assert told >= {"missing_field", "wrong_type"}


@settings(max_examples=100, deadline=None)
@given(event=mutated(NESTED), commas=st.sampled_from([0, FEW_COMMAS]))
def test_words_change_no_reason(event: dict[str, Any], commas: int) -> None:
    content = json.dumps(event | {"padding": "," * commas}).encode()
    plain, worded = (line_checker(NESTED, in_words=words)(content, True) for words in (False, True))
    assert (plain and plain.reason) == (worded and worded.reason)
    assert worded is None or worded.detail


HEAD = b'{"schema_version":1,"ts":"2026-01-02T12:00:00Z","event":"x","phase":"B"'


@pytest.mark.parametrize(
    ("part", "filler", "value", "reason"),
    [
        (TAGS, b'"part":[1%s]', b",1", "invalid_value"),
        ({"oneOf": TAGS["anyOf"]}, b'"part":[1%s]', b",1", "invalid_value"),
        ({"not": {"items": {"type": "number"}}}, b'"part":[1%s]', b",1", "invalid_value"),
        ({"contains": {"type": "string"}}, b'"part":[1%s]', b",1", "invalid_value"),
        ({"items": {"type": "string"}}, b'"part":[1%s]', b",1", "wrong_type"),
        ({"items": {"type": "string"}}, b'"phase":1,"part":[""%s]', b',""', "wrong_type"),
        ({"propertyNames": {"maxLength": 9}}, b'"phase":1,"part":{"":1%s}', b',"%d":1', "wrong_type"),
        ({"additionalProperties": {"type": "number"}}, b'"phase":1,"part":{"":1%s}', b',"%d":1', "wrong_type"),
    ],
)
@pytest.mark.parametrize("in_words", [False, True])
def test_a_line_of_a_megabyte_takes_no_longer_than_its_length(
    part: dict[str, Any], filler: bytes, value: bytes, reason: str, in_words: bool
) -> None:
    schema = build(BASE | {"properties": {**BASE["properties"], "part": part}})  # type: ignore[dict-item]
    times = MAX_LINE_BYTES // (12 if b"%d" in value else 4)
    repeated = b"".join(value % number for number in range(times)) if b"%d" in value else value * times
    content = HEAD.replace(b',"phase":"B"', b"") + b"," + filler % repeated + b"}"
    content = content if b'"phase"' in filler else content[:-1] + b',"phase":"B"}'
    began = time.process_time()
    fault = line_checker(schema, in_words=in_words)(content, True)
    assert time.process_time() - began < 1  # all errors, or all parts by the slow validator, take several seconds
    assert fault is not None
    assert fault.reason == reason
    assert len(fault.detail) <= 300
