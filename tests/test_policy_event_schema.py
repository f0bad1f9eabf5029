"""An event schema that a stranger wrote: what fetches, loops, multiplies or backtracks is refused at its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jsonschema_rs
import pytest
from policies.project import make_project, problems_of

from checker.json_validators import explaining_validator, fast_validator
from checker.policy.governed_schema import MAX_STEPS, pattern_complaint, schema_problems

ROOT = Path(__file__).parent.parent
SHIPPED = sorted(ROOT.glob("**/event.schema.json"))
DOUBLING = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": {"type": "string"}}


def told(document: str) -> list[str]:
    return [str(problem) for problem in schema_problems(document, "e.json")]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_shipped_schemas_are_safe(path: Path) -> None:
    assert told(path.read_text("utf-8")) == []


CASES = {
    "http": ('{\n "$ref": "http://127.0.0.1:9/x"}', "2:10: $ref: 'http://127.0.0.1:9/x' is not fetched"),
    "file": ('{\n "not": {"$ref": "file:///etc/passwd"}}', "2:18: not.$ref: 'file:///etc/passwd' is not fetched"),
    "beside": ('{"items": {"$ref": "other.json"}}', "1:20: items.$ref: 'other.json' is not fetched"),
    "whole": ('{"items": {"$ref": "#"}}', "1:20: items.$ref: '#' is not fetched"),
    "nowhere": ('{"$defs": {"time": {}}, "$ref": "#/$defs/tme"}', "1:33: $ref: there is no 'tme' in $defs; did you"),
    "circle": (
        '{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}',
        "1:40: $defs.b: refers",
    ),
    "doubling": (
        json.dumps({"$defs": DOUBLING, "$ref": "#/$defs/a0"}),
        f"more than {MAX_STEPS} steps",
    ),
    "many branches": (
        json.dumps({"anyOf": [{"const": n} for n in range(3_000)]}),
        f"more than {MAX_STEPS} steps",
    ),
    "huge enum": (json.dumps({"enum": list(range(12_000))}), "the document holds more than 10000 values"),
    "deep": ('{"not": ' * 60 + "{}" + "}" * 60, "the document is nested deeper than 32 levels"),
    "double key": ('{"type": "object",\n "type": "array"}', "2:2: type: the key stands here twice, first in line 1"),
    "nan": ('{"minimum":\n NaN}', "2:2: minimum: nan is no JSON number"),
    "infinite": ('{"maximum": 1e999}', "1:13: maximum: '1e999' is no finite number"),
    "hidden": ('{"properties": {"a\\u202eb": {}}}', "1:17: properties['a\\u202eb']: the text holds U+202E"),
    "dynamic": ('{"$dynamicRef": "#x"}', "1:2: $dynamicRef: is not read"),
    "inner id": ('{"not": {"$id": "http://127.0.0.1/"}}', "1:10: not.$id: only the schema itself has an $id"),
    "old draft": (
        '{"$schema": "http://json-schema.org/draft-04/schema#"}',
        "1:13: $schema: expected 'https://json-schema",
    ),
    "pattern keys": ('{"patternProperties": {"a": {}}}', "1:2: patternProperties: is not read in an event schema"),
    "look-around": (
        '{"pattern": "^(?=a)(a+)+$"}',
        "1:13: pattern: the pattern '^(?=a)(a+)+$' is no",
    ),
    "back reference": ('{"pattern": "(a+)+\\\\1$"}', "1:13: pattern: the pattern"),
    "huge repeat": ('{"pattern": "((a{1000}){1000}){1000}"}', "1:13: pattern: the pattern"),
    "a branch that is no mapping": ('{"allOf": [true]}', "1:12: allOf[0]: expected a mapping, found true"),
    "a consequence that is none": ('{"allOf": [{"then": false}]}', "1:21: allOf[0].then: expected a mapping"),
    "a condition that is none": ('{"allOf": [{"if": true}]}', "1:19: allOf[0].if: expected a mapping, found true"),
    "a condition on anything": (
        '{"allOf": [{"if": {"properties": {"event": true}}}]}',
        "1:44: allOf[0].if.properties.event: expected a mapping",
    ),
    "a key for copies of no text": (
        '{"x-phasegate": {"dedup_key": [1]}}',
        "1:17: x-phasegate: expected a mapping such",
    ),
    "long pattern": (json.dumps({"pattern": "a" * 501}), "1:13: pattern: a pattern has at most 500 characters"),
}


@pytest.mark.parametrize(("document", "expected"), CASES.values(), ids=CASES)
def test_an_unsafe_schema_is_told_at_its_place(document: str, expected: str) -> None:
    assert any(expected in problem for problem in told(document)), told(document)


@pytest.mark.parametrize("document", ["", "[1]", "{", "[" * 100_000, '"x"', "\ufeff{}", "9" * 5000])
def test_what_is_no_json_object_is_told_when_the_schema_is_loaded(document: str) -> None:
    assert told(document) == []


@pytest.mark.parametrize("pattern", ["^[a-z]+$", "^(a+)+$", "[^ ]", r"^\d{4}-\d{2}$", "é|b"])
def test_patterns_that_are_matched_in_linear_time(pattern: str) -> None:
    assert pattern_complaint(pattern) is None


def test_the_project_is_told_of_its_schema(tmp_path: Path) -> None:
    path = make_project(tmp_path)
    (tmp_path / "schemas/event.schema.json").write_text('{\n  "$ref": "http://127.0.0.1:9/x"\n}')
    (problem,) = problems_of(path)
    assert problem.startswith("schemas/event.schema.json:2:11: $ref: 'http://127.0.0.1:9/x' is not fetched")


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server of this machine that hands out the schema `true`, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/schema.json", asked
        server.shutdown()
        thread.join()


def test_no_validator_fetches_what_a_schema_refers_to() -> None:
    with listener() as (address, asked):
        schema = {"$ref": address}
        with pytest.raises(ValueError, match=r"not present|offline|retriev"):
            fast_validator(schema)
        with pytest.raises(Exception, match="Unresolvable"):
            list(explaining_validator(schema).iter_errors(1))
        assert asked == []
        assert jsonschema_rs.Draft202012Validator(schema).is_valid(1)
        assert asked == ["/schema.json"]


def test_explaining_takes_no_exponential_time() -> None:
    (error,) = explaining_validator({"pattern": "^(a+)+$"}).iter_errors("a" * 5_000 + "!")
    assert error.validator == "pattern"
    items = [{"n": number} for number in range(20_000)]
    assert not list(explaining_validator({"uniqueItems": True}).iter_errors(items))
