"""Where a policy has sources, its event schema describes what a seal says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checker.analyzer.governed import load_governed
from checker.errors import GovernedFilesInvalid
from tests.looping import make_project

FIELDS = ("batch_start", "latency_ms", "incomplete")


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("kind", [None, {"type": "string"}])
def test_a_field_that_is_missing_or_of_another_type(tmp_path: Path, name: str, kind: dict[str, str] | None) -> None:
    project = make_project(tmp_path)
    path = project.root / "schemas" / "event.schema.json"
    document = json.loads(path.read_text())
    del document["properties"][name]
    document["properties"] |= {name: kind} if kind else {}
    path.write_text(json.dumps(document))
    with pytest.raises(GovernedFilesInvalid) as fault:
        load_governed(project.policy)
    told = f"schemas/event.schema.json: properties.{name}: missing, or of another type; the collector's seals have it"
    assert any(str(problem).startswith(told) for problem in fault.value.problems)


def test_without_sources_it_need_not(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    text = project.policy.read_text()
    project.policy.write_text(text[: text.index("  sources:\n")])
    path = project.root / "schemas" / "event.schema.json"
    document = json.loads(path.read_text())
    del document["properties"]["incomplete"]
    path.write_text(json.dumps(document))
    assert load_governed(project.policy).rules.schema.columns["latency_ms"] == "DOUBLE"
