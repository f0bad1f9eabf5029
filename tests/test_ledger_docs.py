"""The page on the ledger shows a ledger that can be read, and names every field and kind of the schema."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from checker.ledger.records import parse_ledger
from checker.schemas import tool_schema
from tests.ledgers import END_OF_TIME

PAGE = (Path(__file__).parent.parent / "docs" / "ledger.md").read_text(encoding="utf-8")


def test_the_example_is_a_ledger() -> None:
    (example,) = re.findall(r"```jsonl\n(.*?)```", PAGE, re.DOTALL)
    ledger = parse_ledger(example.encode(), "docs/ledger.md", END_OF_TIME)
    assert [record.kind for record in ledger.records] == ["phase_change", "decision", "incident"]


def test_every_field_of_a_record_has_its_row() -> None:
    assert re.findall(r"^\| `(\w+)` \| [^|]+ \|$", PAGE, re.MULTILINE) == list(tool_schema("ledger")["properties"])


@pytest.mark.parametrize("kind", tool_schema("ledger")["properties"]["kind"]["enum"])
def test_every_kind_has_its_row_with_its_data(kind: str) -> None:
    (data,) = re.findall(rf"^\| `{kind}` \| (.+?) \| ", PAGE, re.MULTILINE)
    assert set(re.findall(r"\w+", data)) >= set(tool_schema("ledger")["$defs"][kind]["properties"])


def test_every_part_of_the_schema_is_described() -> None:
    schema = tool_schema("ledger")
    parts = [
        schema["properties"],
        *(schema["$defs"][kind]["properties"] for kind in schema["properties"]["kind"]["enum"]),
    ]
    assert [name for part in parts for name, rule in part.items() if not rule.get("description")] == []
