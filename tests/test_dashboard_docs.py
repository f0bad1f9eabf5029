"""The page on the dashboard, its schema and the code that makes it name the same fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from checker.cli.dashboard import command
from checker.pipeline import survey as survey_of
from checker.reporter.dashboard import document, trend, words
from checker.schemas import tool_schema
from tests.surveys import survey

PAGE = (Path(__file__).parent.parent / "docs" / "dashboard.md").read_text(encoding="utf-8")
SCHEMA = tool_schema("dashboard")


def rows_under(heading: str) -> list[str]:
    """The fields in the first column of the table under `heading`."""
    part = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [
        field for cell in re.findall(r"^\| (`.+?`) \| ", part, re.MULTILINE) for field in re.findall(r"`(\w+)`", cell)
    ]


def without_description(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths of fields that the schema does not describe, in themselves or where they point to."""
    for name, rule in schema.get("properties", {}).items():
        if not rule.get("description"):
            yield f"{path}{name}"
        yield from without_description(rule, f"{path}{name}.")
    below = [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    for rule in [*below, *schema.get("anyOf", ())]:
        yield from without_description(rule, path)


def test_every_field_has_its_row() -> None:
    assert rows_under("Fields of `dashboard.json`") == list(SCHEMA["properties"])


def test_every_field_of_a_card_has_its_row() -> None:
    assert sorted(rows_under("Fields of a card")) == sorted(SCHEMA["$defs"]["card"]["properties"])


def test_a_document_has_every_field_in_the_order_of_the_schema() -> None:
    made = document.dashboard_document(survey())
    assert list(made) == list(SCHEMA["properties"]) == SCHEMA["required"]
    assert set(made["cards"][0]) == set(SCHEMA["$defs"]["card"]["properties"])


def test_every_field_is_described() -> None:
    parts = {"": SCHEMA, **SCHEMA["$defs"]}
    assert [path for name, part in parts.items() for path in without_description(part, f"{name}:")] == []


def test_numbers_that_the_page_tells_are_those_of_the_code() -> None:
    minutes = int(words.STALE_AFTER.total_seconds() // 60)
    assert f"more than {minutes} minutes ago" in PAGE
    assert f"newest {survey_of.__defaults__[0]} windows" in PAGE  # type: ignore[index]
    assert PAGE.count(f"newest {document.RECENT}") == 3
    assert f"median of the newest {trend.SPAN} windows less that of the {trend.SPAN} before" in PAGE
    (port,) = (option.default for option in command.params if option.name == "port")
    assert f"http://127.0.0.1:{port}/" in PAGE
