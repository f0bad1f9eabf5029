"""The page on the queries' contract names all there is: keys, relations, columns, parameters, functions, limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from checker.analyzer import explain, functions, gate, header
from checker.analyzer.event_schema import column_type
from checker.analyzer.queries import PARAMETERS, RELATIONS
from checker.policy.model import Limits

PAGE = (Path(__file__).parent.parent / "docs" / "query-contract.md").read_text(encoding="utf-8")


def section(title: str, mark: str = "##") -> str:
    """The text below the heading `title`, up to the next heading of its level or above."""
    (text,) = re.findall(rf"^{mark} {title}\n(.*?)(?=^##?{'#?' * (len(mark) - 2)} |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_keys_of_a_header() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+)", section("The header"), re.MULTILINE)
    told = {kind: {key for key, word in rows if word == kind} for kind in ("required", "optional")}
    assert told == {
        "required": {*header._REQUIRED, "unit"},
        "optional": set(header._OPTIONAL) - {"unit"},
    }


@pytest.mark.parametrize(
    ("title", "kind"), [("What an SLO query returns", "slo"), ("What a gate query returns", "gate")]
)
def test_what_is_returned(title: str, kind: str) -> None:
    assert f"```text\n{header.RETURNS[kind]}\n```" in section(title)


@pytest.mark.parametrize("relation", sorted(RELATIONS["gate"]))
def test_the_columns_of_a_relation_of_gates(relation: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", section(relation, "###"), re.MULTILINE)
    assert ", ".join(f"{name} {kind}" for name, kind in rows) == gate._RELATIONS[relation].replace('"', "")


def test_every_relation_has_its_section() -> None:
    sections = re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)
    assert set(sections) == set(RELATIONS["slo"]) | set(RELATIONS["gate"])
    assert RELATIONS["slo"]["windows"] == RELATIONS["gate"]["windows"]


@pytest.mark.parametrize(
    ("row", "schema"),
    [
        ("`string`", {"type": "string"}),
        ("`string` with `format: date-time`", {"type": "string", "format": "date-time"}),
        ("`number`", {"type": "number"}),
        ("`integer`", {"type": "integer"}),
        ("`boolean`", {"type": "boolean"}),
        ("anything else", {"type": ["string", "null"]}),
    ],
)
def test_the_type_of_a_property(row: str, schema: dict[str, object]) -> None:
    assert f"\n| {row} | {column_type(schema).lower()} |\n" in section("events", "###")


def test_the_parameters() -> None:
    rows = re.findall(r"^\| (slo|gate) \| `\$(\w+)` \|", section("Parameters"), re.MULTILINE)
    assert {kind: tuple(name for of, name in rows if of == kind) for kind in ("slo", "gate")} == PARAMETERS


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Operators", functions.OPERATORS),
        ("Aggregates, whatever the order of the rows", functions.ORDER_FREE_AGGREGATES),
        ("Aggregates that depend on the order of the rows", functions.ORDERED_AGGREGATES),
        ("Window functions", functions.WINDOW_FUNCTIONS),
        ("Scalars", functions.SCALARS),
        ("Table functions", functions.TABLE_FUNCTIONS),
    ],
)
def test_the_functions(title: str, names: frozenset[str]) -> None:
    (listed,) = re.findall(rf"^{title}:\n\n```text\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert sorted(listed.split()) == sorted(names)


@pytest.mark.parametrize(
    "said",
    [
        f"ends\nwithin {Limits().query_deadline.total_seconds():g} s",
        f"behind a value, {explain.WORST_ROWS} at most",
        f"counts, {explain.COUNTED_GROUPS} at most",
    ],
)
def test_the_limits(said: str) -> None:
    assert said in PAGE
