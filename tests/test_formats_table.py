"""The terminal verdict: golden texts at 80 columns, and what must hold at any width."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from checker.cli.formats.layout import colour_wanted
from checker.cli.formats.table import render_table
from checker.model import Decision, GateResult, InputCounts, Status, Verdict
from tests import decisions as build

GOLDEN = Path(__file__).parent / "golden" / "verdicts"
POLICY = build.policy()
NOTHING = dict.fromkeys(("save_latency_p95", "failure_rate", "history_drift", "collector_latency"))
STYLE = re.compile(r"\x1b\[[0-9;]*m")
ODD_INPUT = InputCounts(1, 1_211, 1_190, 10, 2, 9, {"not_json": 7, "torn": 2})


def failed(reason: str) -> Decision:
    """The failure rate's query failed."""
    rows = build.judgements(POLICY, failure_rate=None)
    broken = build.judgement("failure_rate", None, POLICY, status=Status.ERROR, reason=reason)
    return build.decision(POLICY, judgements=(rows[0], broken, *rows[2:]), outcome=Status.ERROR)


VERDICTS: dict[str, Callable[[], Decision]] = {
    "ok": lambda: build.decision(POLICY, last_break=build.last_break(POLICY)),
    "warn": lambda: build.decision(
        POLICY,
        judgements=build.judgements(POLICY, save_latency_p95=1.734),
        last_break=build.last_break(POLICY, "2026-01-01T23:30", None),
    ),
    "violation": lambda: build.violation(POLICY, reasons=("save latency P95 is 2.31 s, threshold ≤ 2.0 s",)),
    "violation_by_a_hair": lambda: build.violation(POLICY, value=2.0000001),
    "violation_in_first_phase": lambda: build.violation(
        POLICY, value=2.6, phase="A", rollback_to="off", judgements=build.judgements(POLICY, "A", save_latency_p95=2.6)
    ),
    "no_data": lambda: build.decision(
        POLICY, judgements=build.judgements(POLICY, **NOTHING), reasons=("no batch for the window",), gate=build.gate(0)
    ),
    "error": lambda: failed("the query ran longer than 10 s and was stopped; simplify it, or raise its deadline"),
    "approvals_missing": lambda: build.decision(POLICY, gate=build.gate(96), approvals_missing=("SRE", "Dev Lead")),
    "advance": lambda: build.decision(POLICY, gate=build.gate(97), verdict=Verdict.ADVANCE, inputs=ODD_INPUT),
    "what_if": lambda: build.decision(
        POLICY, what_if=True, events_of="A", judged=(build.window("2026-01-02T11:30"), build.window())
    ),
    "incident_open": lambda: build.decision(
        POLICY,
        incident="20260102T091500Z",
        rollback_required=True,
        rollback_to="A",
        command=build.violation(POLICY).command,
        reasons=("an incident is open since 09:15, and its rollback is not recorded",),
    ),
    "gate_failed": lambda: build.decision(
        POLICY, gate=GateResult("B", "gate/x.sql", error="gate/x.sql: no such column 'x'")
    ),
    "last_phase": lambda: build.decision(
        POLICY, phase="C", judgements=build.judgements(POLICY, "C"), gate=GateResult("C", "gate/y.sql")
    ),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_a_verdict_reads_as_its_golden_text(name: str) -> None:
    expected = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert shown(VERDICTS[name]()) == expected


def test_every_golden_text_has_its_verdict() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == VERDICTS.keys()


def shown(decision: Decision, *, colour: bool = False, width: int = 80) -> str:
    """The verdict's text."""
    return render_table(build.result(decision), POLICY, colour=colour, width=width)


@pytest.mark.parametrize("name", VERDICTS)
@pytest.mark.parametrize("width", [40, 60, 80, 132])
def test_only_a_command_is_longer_than_the_terminal_is_wide(name: str, width: int) -> None:
    lines = shown(VERDICTS[name](), width=max(width, 60)).splitlines()
    assert [line for line in lines if cell_len(line) > max(width, 60) and "phasegate " not in line] == []
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize("name", VERDICTS)
def test_colour_changes_nothing_but_the_colour(name: str) -> None:
    coloured = shown(VERDICTS[name](), colour=True)
    assert STYLE.search(coloured)
    assert STYLE.sub("", coloured) == shown(VERDICTS[name]())


@pytest.mark.parametrize(
    ("is_terminal", "environ", "expected"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),  # the convention: an empty value does not count
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(is_terminal: bool, environ: dict[str, str], expected: bool) -> None:
    assert colour_wanted(is_terminal, environ) is expected


def test_colour_is_the_callers_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "NO_COLOR", "1")
    assert STYLE.search(shown(build.decision(POLICY), colour=True))


@pytest.mark.parametrize("title", ["a" * 90, "保存レイテンシ" * 8, "💾" * 40])
def test_a_long_title_gives_way_to_the_numbers(title: str) -> None:
    policy = build.policy(slos={**POLICY.slos, "failure_rate": build.slo("failure_rate", {"B": 0.5}, "%", title=title)})
    text = render_table(build.result(build.decision(POLICY)), policy, colour=False, width=80)
    (line,) = [line for line in text.splitlines() if "…" in line]
    assert cell_len(line) <= 80
    assert re.search(r"… +0\.21 % +≤ 0\.5 % +58 % +ok$", line)


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x1b]0;title\x07", "\r", "\x9b1A", "\u202e", "\n\n"])
def test_no_value_moves_the_cursor(evil: str) -> None:
    reason = f"before{evil}after"
    made = build.violation(
        POLICY,
        title=reason,
        audience=reason,
        incident=reason,
        reasons=(reason,),
        approvals_missing=(reason,),
        command=("phasegate", reason),
        inputs=InputCounts(1, 1, 0, 0, 0, 1, {reason: 1}),
        gate=GateResult("B", "gate/x.sql", error=reason),
        next_phase=reason,
        rollback_to=reason,
    )
    for text in (shown(made), shown(failed(reason))):
        assert all(line.isprintable() for line in text.split("\n"))
        assert "before" in text
