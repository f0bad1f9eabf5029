"""JUnit XML: a case for each SLO and criterion, and what each status is for a reader."""

from __future__ import annotations

from collections import Counter
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from checker.cli.formats.junit import to_junit, xml_text
from checker.model import GateResult, Notice, OnViolation, Status
from tests import decisions as build
from tests.test_formats_table import VERDICTS

POLICY = build.policy()


def suite(**changes: Any) -> Element:
    """The suite of a decision, read back."""
    return read(to_junit(build.result(build.decision(POLICY, **changes)), POLICY))


def read(text: str) -> Element:
    """The one suite of a report."""
    (found,) = fromstring(text.encode())
    return found


def outcome(case: Element) -> tuple[str, str | None]:
    """What a case came to: `passed`, or the name and type of its one outcome."""
    found = [part for part in case if part.tag != "system-out"]
    assert len(found) <= 1
    return (found[0].tag, found[0].get("type")) if found else ("passed", None)


@pytest.mark.parametrize("name", VERDICTS)
def test_the_counts_are_those_of_the_cases(name: str) -> None:
    found = read(to_junit(build.result(VERDICTS[name]()), POLICY))
    cases = found.findall("testcase")
    kinds = Counter(outcome(case)[0] for case in cases)
    assert int(found.get("tests", "")) == len(cases) >= len(POLICY.slos)
    counted = [int(found.get(kind, "")) for kind in ("failures", "errors", "skipped")]
    assert counted == [kinds["failure"], kinds["error"], kinds["skipped"]]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.OK, ("passed", None)),
        (Status.WARN, ("passed", None)),
        (Status.VIOLATION, ("failure", "violation")),
        (Status.ERROR, ("error", "error")),
        (Status.NO_DATA, ("error", "no_data")),  # never a pass
    ],
)
def test_what_a_status_is_for_a_reader(status: Status, expected: tuple[str, str | None]) -> None:
    row = build.judgement("failure_rate", 0.4, POLICY, status=status, reason="because")
    case = suite(judgements=(row,)).find("testcase")
    assert case is not None
    assert outcome(case) == expected
    assert (case.get("name"), case.get("file")) == ("failure rate", "queries/slo/failure_rate.sql")
    assert "0.4 %, threshold ≤ 0.5 %, 1,200 samples; because" in "".join(
        [*case.itertext(), *(part.get("message", "") for part in case)]
    )


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        (build.gate(41), [("skipped", None), ("passed", None)]),  # to hold is no failure
        (build.gate(96), [("passed", None), ("passed", None)]),
        (GateResult("B", "gate/x.sql", error="no such column"), [("error", "gate")]),
        (GateResult("B", "gate/x.sql"), [("skipped", "gate")]),
    ],
)
def test_what_a_gate_is_for_a_reader(gate: GateResult, expected: list[tuple[str, str | None]]) -> None:
    cases = [
        case for case in suite(gate=gate).findall("testcase") if case.get("name", "").startswith("Gate to phase C")
    ]
    assert [outcome(case) for case in cases] == expected


def test_a_what_if_and_its_reasons_are_told() -> None:
    found = suite(what_if=True, reasons=("paused: release frozen",))
    assert "what-if" in found.get("name", "")
    assert {part.get("name"): part.get("value") for part in found.iter("property")}[
        "reason"
    ] == "paused: release frozen"


def test_an_observed_violation_is_a_failure_as_well() -> None:
    policy = build.policy(
        slos={
            "failure_rate": build.slo(
                "failure_rate", {"A": 1, "B": 0.5, "C": 0.3}, "%", on_violation=OnViolation.OBSERVE
            )
        }
    )
    made = build.decision(policy, judgements=(build.judgement("failure_rate", 0.9, policy),))
    assert read(to_junit(build.result(made), policy)).get("failures") == "1"


def test_notices_keep_their_lines() -> None:
    notice = Notice("warn", "#rollout", "first\nsecond", True, "B", build.window())
    found = read(to_junit(build.result(build.decision(POLICY), notices=(notice,)), POLICY))
    assert found.findtext("system-out") == "Notice warn → #rollout\nfirst\nsecond"


@pytest.mark.parametrize("code", [*range(0x20), 0x7F, 0x85, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF])
def test_what_xml_cannot_hold_is_an_escape(code: int) -> None:
    text = xml_text(f"a{chr(code)}b")
    assert text[:2] == "a\\"
    assert fromstring(f"<x>{text}</x>").text == text
