"""The policy's schema itself: complete for editors, valid, and its defaults are those of the loader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from checker.errors import GovernedFilesInvalid
from checker.schemas import dotted, load_schema, parse_schema, shown, tool_schema, validate

SCHEMA = tool_schema("policy")


def _objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield path, schema
        for key, value in schema.items():
            yield from _objects(value, f"{path}/{key}")


PROPERTIES = {
    f"{path}/{name}": described for path, schema in _objects(SCHEMA) for name, described in schema["properties"].items()
}


def test_the_schema_is_valid_and_strict() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert all(schema["additionalProperties"] is False for _, schema in _objects(SCHEMA))
    assert len(PROPERTIES) > 40


@pytest.mark.parametrize("name", PROPERTIES)
def test_editors_can_complete_and_explain_every_property(name: str) -> None:
    described = PROPERTIES[name]
    assert described["title"]
    assert described["description"].endswith(".")
    for example in (*described["examples"], *([described["default"]] if "default" in described else [])):
        assert not validate(example, {**described, "$defs": SCHEMA["$defs"]})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "nothing"),
        (True, "true"),
        (2.0, "2.0"),
        ("a\nb", "'a\\nb'"),
        ({}, "an empty mapping"),
        ([1, 2], "a list of 2"),
        ("x" * 99, f"'{'x' * 59}…'"),
    ],
)
def test_values_as_messages_show_them(value: object, expected: str) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), ""),
        (("slos", "save_latency_p95", "threshold"), "slos.save_latency_p95.threshold"),
        (("phases", 1, "gate"), "phases[1].gate"),
        (("slos", "x", "threshold", "A.1"), "slos.x.threshold['A.1']"),
        (("slos", "x" * 99), f"slos['{'x' * 59}…']"),
    ],
)
def test_paths_as_messages_show_them(path: tuple[str | int, ...], expected: str) -> None:
    assert dotted(path) == expected


def test_a_name_that_ends_in_a_line_break_is_refused() -> None:
    """The two validators differ in what `$` means; the loader's answer must not."""
    assert validate("A\n", {"$ref": "#/$defs/name", "$defs": SCHEMA["$defs"]})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "schemas/x.json: cannot be read: No such file or directory"),
        (b'{\n  "a": 1,\n}', "schemas/x.json:3:1: is no JSON: "),
        (b"[]", "schemas/x.json: expected a JSON object, found an empty list"),
        (b"[" * 100_000, "schemas/x.json: is no JSON: "),
        (b'{"a": "\xff"}', "schemas/x.json: is no JSON: "),
        (b" " * (1 << 21), "schemas/x.json: is larger than 1048576 bytes"),
    ],
    ids=["missing", "comma", "list", "deep", "not-utf8", "large"],
)
def test_a_schema_that_cannot_be_loaded(tmp_path: Path, content: bytes | None, expected: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GovernedFilesInvalid) as caught:
        load_schema(path, "schemas/x.json")
    assert str(caught.value.problems[0]).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"type": "object"}', {"type": "object"}),
        ('{\n  "a": 1,\n}', "schemas/x.json:3:1: is no JSON: "),
        ("null", "schemas/x.json: expected a JSON object, found nothing"),
    ],
)
def test_a_schema_that_was_read_already(text: str, expected: object) -> None:
    if isinstance(expected, dict):
        assert parse_schema(text, "schemas/x.json") == expected
        return
    with pytest.raises(GovernedFilesInvalid) as caught:
        parse_schema(text, "schemas/x.json")
    assert str(caught.value.problems[0]).startswith(str(expected))


def test_faults_are_told_up_to_a_number() -> None:
    document = {f"key{number}": number for number in range(50)}
    assert len(validate(document, SCHEMA)) > 50
    assert len(validate(document, SCHEMA, at_most=7)) == 7
