"""The JSON document: its schema, its keys, and that nothing in it is not JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from checker.cli.formats.json_document import document, replay_line, to_json, to_json_line
from checker.model import CheckResult, Criterion, InputCounts, Notice, Status, Verdict
from checker.schemas import tool_schema, validate
from tests import decisions as build
from tests.test_formats_table import VERDICTS

POLICY = build.policy()
NOTICE = Notice("autosave-ok", "#autosave-rollout", "✅ AutoSave", True, "B", build.window())
CONTRACT = {
    "": "schema_version target phase as_of window outcome decision rollback_required rollback_to command slos gate "
    "input provenance",
    "window": "start end",
    "slos": "slo query value unit comparison threshold warn_threshold status samples",
    "gate": "query passed criteria earliest_pass",
    "input": "batches events duplicates too_late quarantined",
    "provenance": "governed_digest judging_digest queries logs_digest engine",
}


def check_document(**changes: Any) -> dict[str, Any]:
    """The document of a good window with one notice, read back from its JSON."""
    made = build.decision(POLICY, last_break=build.last_break(POLICY), **changes)
    text = to_json(build.result(made, notices=(NOTICE,)), POLICY)
    parsed: dict[str, Any] = json.loads(text)
    return parsed


@pytest.mark.parametrize("name", VERDICTS)
def test_every_verdict_follows_the_schema(name: str) -> None:
    text = to_json(build.result(VERDICTS[name](), notices=(NOTICE,)), POLICY)
    assert validate(json.loads(text), tool_schema("check")) == []


@pytest.mark.parametrize("place", CONTRACT)
def test_the_contracts_keys_are_there(place: str) -> None:
    found = check_document()
    part = found[place] if place else found
    keys = part[0].keys() if isinstance(part, list) else part.keys()
    assert set(CONTRACT[place].split()) <= keys


def test_what_is_written() -> None:
    found = check_document(inputs=InputCounts(2, 9, 3, 1, 2, 3, {"torn": 1, "not_json": 2}))
    assert found["as_of"] == "2026-01-02T12:05:00Z"
    assert found["window"] == {"start": "2026-01-02T11:45:00Z", "end": "2026-01-02T12:00:00Z"}
    assert (found["outcome"], found["decision"], found["rollback_to"], found["command"]) == ("ok", "hold", None, None)
    assert found["slos"][0] == {
        "slo": "save_latency_p95",
        "title": "save latency P95",
        "query": "slo/save_latency_p95.sql",
        "value": 1.41,
        "unit": "s",
        "comparison": "lte",
        "threshold": 2.0,
        "warn_threshold": 1.6,
        "on_violation": "rollback",
        "status": "ok",
        "samples": 1200,
        "reason": None,
        "recorded": False,
    }
    assert found["gate"]["earliest_pass"] == "2026-01-03T01:50:00Z"
    assert found["last_break"]["window"]["start"] == "2026-01-02T01:30:00Z"
    assert list(found["input"]["quarantined_by_reason"]) == ["not_json", "torn"]
    assert found["notices"][0]["text"] == "✅ AutoSave"
    assert list(found["provenance"]["queries"]) == ["gate/a.sql", "slo/b.sql"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null_and_an_error(value: float) -> None:
    wrong = build.judgement("failure_rate", value, POLICY, status=Status.ERROR)
    row = Criterion("critical_alerts", value, value, False)
    made = build.decision(POLICY, judgements=(wrong,), outcome=Status.ERROR, gate=build.gate(criteria=(row,)))
    found = document(build.result(made), POLICY)
    assert (found["slos"][0]["value"], found["slos"][0]["status"]) == (None, "error")
    assert (found["gate"]["criteria"][0]["observed"], found["gate"]["criteria"][0]["required"]) == (None, None)
    assert validate(json.loads(to_json(build.result(made), POLICY)), tool_schema("check")) == []
    assert json.loads(to_json_line(replay_line(made)))["slos"][0]["status"] == "error"


def test_zero_has_no_sign() -> None:
    made = build.decision(POLICY, judgements=build.judgements(POLICY, failure_rate=-0.0))
    assert '"value": -0.0' not in to_json(build.result(made), POLICY)


def test_the_same_result_gives_the_same_bytes() -> None:
    reasons = {"torn": 1, "not_json": 2}
    backwards = dict(reversed(reasons.items()))
    first, second = (
        to_json(build.result(build.decision(POLICY, inputs=InputCounts(quarantined_by_reason=order))), POLICY)
        for order in (reasons, backwards)
    )
    assert first == second


def test_a_replays_line() -> None:
    line = to_json_line(replay_line(build.violation(POLICY)))
    assert line.count("\n") == 1
    found = json.loads(line)
    assert list(found) == ["window", "outcome", "decision", "slos", "gate"]
    assert (found["outcome"], found["decision"], found["gate"]) == ("violation", "rollback", {"passed": False})
    assert found["slos"][0] == {
        "slo": "save_latency_p95",
        "value": 2.31,
        "samples": 1200,
        "threshold": 2.0,
        "status": "violation",
    }


def advance_in_spite_of(**changes: Any) -> CheckResult:
    """An advance that must not be."""
    return build.result(build.decision(POLICY, **({"verdict": Verdict.ADVANCE, "gate": build.gate(96)} | changes)))


@pytest.mark.parametrize(
    ("broken", "is_allowed"),
    [
        (lambda: advance_in_spite_of(), True),
        (lambda: advance_in_spite_of(outcome=Status.NO_DATA), False),
        (lambda: advance_in_spite_of(approvals_missing=("SRE",)), False),
        (lambda: advance_in_spite_of(gate=build.gate(95)), False),
        (lambda: build.result(build.violation(POLICY)), True),
        (lambda: build.result(build.violation(POLICY, rollback_required=False)), False),
        (lambda: build.result(build.violation(POLICY, command=None)), False),
        (lambda: build.result(build.violation(POLICY, rollback_to=None)), False),
        (lambda: build.result(build.violation(POLICY, judged=())), False),
        (lambda: replace(build.result(build.violation(POLICY)), provenance=wrong_provenance()), False),
    ],
)
def test_the_schema_refuses_what_contradicts_itself(broken: Callable[[], CheckResult], is_allowed: bool) -> None:
    faults = validate(document(broken(), POLICY), tool_schema("check"))
    assert (faults == []) is is_allowed


def wrong_provenance() -> Any:
    """A provenance whose digest is none."""
    return replace(build.result(build.decision(POLICY)).provenance, governed_digest="unknown")


@pytest.mark.parametrize("key", ["outcom", "path"])
def test_the_schema_knows_every_key(key: str) -> None:
    found = check_document()
    found[key] = "x"
    assert [fault.message.split(" ")[0] for fault in validate(found, tool_schema("check"))] == ["unknown"]


def test_the_schema_describes_every_key() -> None:
    assert undescribed(tool_schema("check"), "check") == []


def undescribed(schema: dict[str, Any], place: str) -> list[str]:
    """Places of properties that neither have a description nor refer to one."""
    parts = {**schema.get("properties", {}), **schema.get("$defs", {})}
    bare = {"instant", "digest", "text", "count"}
    missing = [
        f"{place}.{name}"
        for name, part in parts.items()
        if not (part.get("description") or "$ref" in part or name in bare)
    ]
    return missing + [row for name, part in parts.items() for row in undescribed(part, f"{place}.{name}")]
