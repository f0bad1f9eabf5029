"""The terminal verdict: golden texts at 80 columns, and what must hold at any width."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from checker.cli.formats.layout import colour_wanted, folded
from checker.cli.formats.table import render_table
from checker.model import Decision, GateResult, InputCounts, Notice, Status, Verdict
from tests import decisions as build

GOLDEN = Path(__file__).parent / "golden" / "verdicts"
POLICY = build.policy()
NOTHING = dict.fromkeys(("save_latency_p95", "failure_rate", "history_drift", "collector_latency"))
STYLE = re.compile(r"\x1b\[[0-9;]*m")
OPEN_GATE_REASONS = ("continuous_compliance: 41 of 96", "approval of SRE is missing")
ODD_INPUT = InputCounts(1, 1_211, 1_190, 10, 2, 9, {"not_json": 7, "torn": 2})


def failed(reason: str) -> Decision:
    """The failure rate's query failed."""
    rows = build.judgements(POLICY, failure_rate=None)
    broken = build.judgement("failure_rate", None, POLICY, status=Status.ERROR, reason=reason)
    return build.decision(POLICY, judgements=(rows[0], broken, *rows[2:]), outcome=Status.ERROR)


VERDICTS: dict[str, Callable[[], Decision]] = {
    "ok": lambda: build.decision(
        POLICY, last_break=build.last_break(POLICY), approvals_missing=("SRE",), reasons=OPEN_GATE_REASONS
    ),
    "warn": lambda: build.decision(
        POLICY,
        judgements=build.judgements(POLICY, save_latency_p95=1.734),
        last_break=build.last_break(POLICY, "2026-01-01T23:30", None),
    ),
    "violation": lambda: build.violation(POLICY, reasons=("save_latency_p95 violation",)),
    "violation_by_a_hair": lambda: build.violation(POLICY, value=2.0000001),
    "violation_in_first_phase": lambda: build.violation(
        POLICY, value=2.6, phase="A", rollback_to="off", judgements=build.judgements(POLICY, "A", save_latency_p95=2.6)
    ),
    "no_data": lambda: build.decision(
        POLICY,
        judgements=build.judgements(POLICY, **NOTHING),
        reasons=("the window's outcome is no_data", *OPEN_GATE_REASONS),
        approvals_missing=("SRE",),
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
        reasons=("incident 20260102T091500Z is open; its rollback is not recorded yet",),
    ),
    "rollbacks_exhausted": lambda: build.violation(
        POLICY, verdict=Verdict.HOLD, reasons=("2 rollbacks already; a further one waits for a person",)
    ),
    "paused": lambda: build.decision(POLICY, gate=build.gate(96), reasons=("paused: release frozen until Monday",)),
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
@pytest.mark.parametrize("width", [60, 80, 132])
def test_only_a_command_is_longer_than_the_terminal_is_wide(name: str, width: int) -> None:
    lines = shown(VERDICTS[name](), width=width).splitlines()
    assert [line for line in lines if cell_len(line) > width and "phasegate " not in line] == []
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


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("one two", 7, ["one two"]),
        ("保存 遅延 保存", 9, ["保存 遅延", "保存"]),  # two columns a character
        ("abcdefgh ij", 4, ["abcd", "efgh", "ij"]),
        ("保存遅延", 5, ["保存", "遅延"]),
        ("", 5, [""]),
    ],
)
def test_text_is_folded_by_the_width_of_its_characters(text: str, width: int, expected: list[str]) -> None:
    assert folded(text, width) == expected


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


@pytest.mark.parametrize(
    ("automatic", "head"),
    [(True, "  Notice warn → #rollout"), (False, "  Notice warn → #rollout · sent only when asked")],
)
def test_notices_are_shown_whole_under_their_channel(automatic: bool, head: str) -> None:
    notice = Notice("warn", "#rollout", "first " + "x" * 90 + "\nsecond\x1b[2J", automatic, "B", build.window())
    made = build.result(build.decision(POLICY), notices=(notice,))
    lines = render_table(made, POLICY, colour=False, width=80).splitlines()
    assert lines[-4:] == ["", head, "    first " + "x" * 90, "    second\\x1b[2J"]
