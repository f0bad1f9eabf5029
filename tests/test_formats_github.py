"""Annotations of a GitHub run: their level, their place, and that a runner reads back what was meant."""

from __future__ import annotations

import pytest

from checker.cli.formats.github import to_annotations
from checker.cli.say import Annotation, workflow_command
from checker.model import Decision, GateResult, Notice, Status
from tests import decisions as build
from tests.test_formats_table import VERDICTS

POLICY = build.policy()


def annotations(decision: Decision, *notices: Notice) -> list[Annotation]:
    """The annotations of a decision."""
    return list(to_annotations(build.result(decision, notices=notices), POLICY))


def read_back(line: str) -> tuple[str, dict[str, str], str]:
    """Level, properties and message, as GitHub's runner has them of a line."""
    _, head, message = line.removesuffix("\n").split("::", 2)
    level, _, given = head.partition(" ")
    pairs = (pair.partition("=") for pair in given.split(",") if pair)
    return level, {key: unescaped(value, True) for key, _, value in pairs}, unescaped(message, False)


def unescaped(text: str, is_property: bool) -> str:
    """The runner's unescaping: what stands for a percent sign comes last."""
    for code, character in (("%0D", "\r"), ("%0A", "\n"), *((("%3A", ":"), ("%2C", ",")) if is_property else ())):
        text = text.replace(code, character)
    return text.replace("%25", "%")


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("ok", ["notice", "notice"]),  # the decision, and the criterion still open
        ("warn", ["warning", "warning", "notice"]),
        ("violation", ["error", "error", "notice"]),
        ("gate_failed", ["error", "error"]),
        ("no_data", ["error", "error", "error", "error", "error", "notice"]),
    ],
)
def test_what_is_annotated_and_how_gravely(name: str, levels: list[str]) -> None:
    assert [row.level for row in annotations(VERDICTS[name]())] == levels


def test_a_violation_points_at_its_query() -> None:
    decision, slo, _ = annotations(build.violation(POLICY))
    assert decision.properties == {"title": "ROLLBACK: violation"}
    assert "rollback required: phasegate rollback --target=autosave" in decision.message
    assert slo.properties == {"file": "queries/slo/save_latency_p95.sql", "title": "save latency P95: violation"}
    assert slo.message == "2.31 s, threshold ≤ 2.0 s, 1,200 samples"


@pytest.mark.parametrize(("gate", "said"), [("no column", "could not be evaluated: no column"), (None, "no row")])
def test_a_gate_without_criteria_says_why(gate: str | None, said: str) -> None:
    *_, last = annotations(build.decision(POLICY, gate=GateResult("B", "gate/x.sql", error=gate)))
    assert said in last.message
    assert last.properties["file"] == "queries/gate/x.sql"


def test_the_error_of_a_query_is_an_error() -> None:
    row = build.judgement("failure_rate", None, POLICY, status=Status.ERROR, reason="division by zero")
    found = annotations(build.decision(POLICY, judgements=(row,)))
    assert [(item.level, "division by zero" in item.message) for item in found[:2]] == [
        ("error", False),
        ("error", True),
    ]


@pytest.mark.parametrize(
    "message", ["100 %", "a, b: c", "two\nlines", "%0A%25", "a::b", "::error::x", "=", "%3A%2C", "保存 ✓"]
)
def test_a_runner_reads_back_what_was_meant(message: str) -> None:
    line = workflow_command(Annotation("error", message, {"file": "queries/a,b:c.sql", "title": message}))
    assert line.count("\n") == 1
    level, given, told = read_back(line)
    assert (level, told) == ("error", message)
    assert given == {"file": "queries/a,b:c.sql", "title": message.replace("\n", "\\n")}


def test_a_message_without_properties() -> None:
    assert workflow_command(Annotation("notice", "fine")) == "::notice::fine\n"


def test_notices_are_annotations_of_their_own() -> None:
    *_, last = annotations(build.decision(POLICY), Notice("ok", "#r", "a\nb", True, "B", build.window()))
    assert workflow_command(last) == "::notice title=Notice ok → #r::a%0Ab\n"
