"""Judged windows, a gate and a past become one decision."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.analyzer.decide import Case, Standing, decide
from checker.analyzer.judge import JudgedWindow, outcome_of
from checker.model import (
    Comparison,
    Decision,
    GateResult,
    InputCounts,
    Judgement,
    OnViolation,
    Status,
    Threshold,
    Verdict,
)
from checker.policy.model import Freeze, Policy
from tests.decisions import gate, judgement, policy, slo, window

AS_OF = datetime(2026, 1, 2, 12, 5, tzinfo=UTC)
KINDS = {"roll": OnViolation.ROLLBACK, "keep": OnViolation.HOLD, "look": OnViolation.OBSERVE}
POLICY: Policy = policy(
    slos={name: slo(name, {"A": 2.0, "B": 2.0, "C": 2.0}, on_violation=kind) for name, kind in KINDS.items()}
)
OPEN, PASSED = gate(41), gate(96)
APPROVED = frozenset({"SRE", "Dev Lead", "Governance committee"})
GOOD = {"roll": 1.0, "keep": 1.0, "look": 1.0}


def judged(at: str = "2026-01-02T11:45", statuses: dict[str, Status] | None = None, **values: Any) -> JudgedWindow:
    """A window of these values by SLO (good ones by default), or of statuses that no value gives."""
    rows: list[Judgement] = [
        judgement(name, value, POLICY, window=window(at)) for name, value in (GOOD | values).items()
    ]
    rows = [replace(row, status=(statuses or {}).get(row.slo, row.status)) for row in rows]
    return JudgedWindow(window(at), tuple(rows), outcome_of(POLICY, rows), InputCounts(1, 10, 10))


def decided(*windows: JudgedWindow, gate: GateResult = PASSED, phase: str = "B", **standing: Any) -> Decision:
    past = Standing(**({"approvals": APPROVED} | standing))
    return decide(Case(POLICY, phase, phase, AS_OF, windows or (judged(),), gate, standing=past))


INCIDENT = {"incident": "incident-1", "incident_requires_rollback": True}
OF_THE_COLLECTOR = {"incident": "incident-1"}  # a source gave up; that rolls nothing back
UNKNOWN = {"rollback_unknown": "rollback-1"}
ROLLED_BACK = {"incident": "incident-1", "incident_rolled_back": True}
ERROR = {"roll": Status.ERROR}


@pytest.mark.parametrize(
    ("values", "case", "verdict", "required", "reasons"),
    [
        ({}, {}, "advance", False, []),
        ({"roll": 1.7}, {}, "advance", False, []),  # a warning meets the SLO
        ({"look": 9.0}, {}, "advance", False, []),  # only observed
        ({"look": None}, {}, "advance", False, []),
        ({}, {"gate": OPEN}, "hold", False, ["continuous_compliance: 41 of 96"]),
        ({}, {"gate": gate(96, alerts=1)}, "hold", False, ["critical_alerts: 1 of 0"]),
        (
            {},
            {"gate": gate(3, alerts=2)},
            "hold",
            False,
            ["continuous_compliance: 3 of 96", "critical_alerts: 2 of 0"],
        ),
        ({}, {"gate": GateResult("B", "q", error="no memory")}, "hold", False, ["gate B: no memory"]),
        ({}, {"gate": GateResult("B", "q")}, "hold", False, ["gate B: its query returned no criterion"]),
        ({}, {"approvals": frozenset()}, "hold", False, ["approval of SRE is missing"]),
        ({}, {"approvals": frozenset({"Dev Lead"})}, "hold", False, ["approval of SRE is missing"]),
        (
            {},
            {"approvals": frozenset(), "phase": "A"},
            "hold",
            False,
            ["approval of SRE is missing", "approval of Dev Lead is missing"],
        ),
        ({}, {"blocking_alerts": ("retry",)}, "hold", False, ["retry blocks the gate"]),
        ({}, {"paused": "holidays"}, "hold", False, ["paused: holidays"]),
        ({"keep": 9.0}, {}, "hold", False, ["the window's outcome is violation"]),
        ({"roll": None}, {}, "hold", False, ["the window's outcome is no_data"]),
        ({"statuses": ERROR}, {}, "hold", False, ["the window's outcome is error"]),
        ({"roll": 2.1}, {}, "rollback", True, ["roll violation"]),
        ({"roll": 2.1, "keep": 9.0}, {}, "rollback", True, ["roll violation"]),
        ({"roll": 2.1}, {"gate": OPEN, "approvals": frozenset()}, "rollback", True, ["roll violation"]),
        ({"roll": 2.1}, {"paused": "holidays"}, "rollback", True, ["roll violation"]),  # a pause delays no rollback
        ({"roll": None, "statuses": {"roll": Status.VIOLATION}}, {}, "rollback", True, ["roll violation"]),
        ({"roll": 2.1}, {"rollbacks": 1}, "rollback", True, ["roll violation"]),
        (
            {"roll": 2.1},
            {"rollbacks": 2},
            "hold",
            True,
            ["2 rollbacks already; a further one waits for a person", "the window's outcome is violation"],
        ),
        ({}, {"rollbacks": 2}, "advance", False, []),
        ({}, INCIDENT, "hold", True, ["incident incident-1 is open; its rollback is not recorded yet"]),
        (
            {"roll": 2.1},
            INCIDENT,
            "hold",
            True,
            ["incident incident-1 is open; its rollback is not recorded yet", "the window's outcome is violation"],
        ),
        ({}, OF_THE_COLLECTOR, "hold", False, ["incident incident-1 is open"]),
        (
            {"roll": 2.1},
            OF_THE_COLLECTOR,
            "hold",
            True,
            ["incident incident-1 is open", "the window's outcome is violation"],
        ),
        ({}, UNKNOWN, "hold", False, ["the outcome of rollback rollback-1 is unknown; it waits for a person"]),
        (
            {"roll": 2.1},
            UNKNOWN,
            "hold",
            True,
            [
                "the outcome of rollback rollback-1 is unknown; it waits for a person",
                "the window's outcome is violation",
            ],
        ),
        ({}, ROLLED_BACK, "hold", False, ["incident incident-1 is open; its rollback is recorded"]),
        (
            {"roll": 2.1},
            ROLLED_BACK,
            "hold",
            False,
            ["incident incident-1 is open; its rollback is recorded", "the window's outcome is violation"],
        ),
    ],
)
def test_one_window(
    values: dict[str, Any], case: dict[str, Any], verdict: str, required: bool, reasons: list[str]
) -> None:
    found = decided(judged(**values), **case)
    assert found.verdict == verdict
    assert found.rollback_required is required
    assert list(found.reasons) == reasons
    assert (found.rollback_to is not None) == (found.command is not None) == required


@pytest.mark.parametrize(
    ("phase", "back_to", "forward_to"), [("A", "off", "B"), ("B", "A", "C"), ("C", "B", "complete")]
)
def test_one_phase_back_or_forward(phase: str, back_to: str, forward_to: str) -> None:
    found = decided(judged(roll=2.1), phase=phase)
    assert (found.rollback_to, found.next_phase) == (back_to, forward_to)
    assert found.command == (
        "phasegate",
        "rollback",
        "--target=autosave",
        f"--phase={phase}",
        "--reason=roll violation",
    )


def test_command_of_an_incident_without_a_violation_names_the_incident() -> None:
    command = decided(judged(), **INCIDENT).command
    assert command is not None
    assert command[-1] == "--reason=incident incident-1"


@pytest.mark.parametrize(
    ("starts_s", "value", "verdict", "reasons"),
    [
        (0, 1.0, "hold", ["frozen until 2026-01-02 12:06 UTC: a fair"]),
        (1, 1.0, "advance", []),
        (0, 2.1, "rollback", ["roll violation"]),  # a freeze delays no rollback
    ],
)
def test_a_freeze_holds_up_an_advance_alone(starts_s: int, value: float, verdict: str, reasons: list[str]) -> None:
    freeze = Freeze("a fair", AS_OF + timedelta(seconds=starts_s), AS_OF + timedelta(minutes=1))
    case = Case(replace(POLICY, freezes=(freeze,)), "B", "B", AS_OF, (judged(roll=value),), PASSED)
    found = decide(replace(case, standing=Standing(approvals=APPROVED)))
    assert (found.verdict, list(found.reasons)) == (verdict, reasons)


EARLY, MIDDLE, LATE = "2026-01-02T11:15", "2026-01-02T11:30", "2026-01-02T11:45"


@pytest.mark.parametrize(
    ("windows", "deciding", "verdict"),
    [
        ([judged(EARLY), judged(MIDDLE), judged(LATE)], LATE, "advance"),  # the newest of equals
        ([judged(EARLY), judged(MIDDLE, roll=1.7), judged(LATE)], MIDDLE, "advance"),
        ([judged(EARLY, roll=None), judged(MIDDLE), judged(LATE, roll=1.7)], EARLY, "hold"),
        ([judged(EARLY, roll=None), judged(MIDDLE, statuses=ERROR), judged(LATE)], MIDDLE, "hold"),
        ([judged(EARLY, roll=2.1), judged(MIDDLE, statuses=ERROR), judged(LATE)], EARLY, "rollback"),
        ([judged(EARLY, roll=2.1), judged(MIDDLE, roll=9.0), judged(LATE)], MIDDLE, "rollback"),
        ([judged(EARLY, roll=2.1), judged(MIDDLE), judged(LATE, keep=9.0)], EARLY, "rollback"),  # it asks for more
        ([judged(EARLY, keep=2.1), judged(MIDDLE), judged(LATE, look=9.0)], EARLY, "hold"),
    ],
)
def test_the_worst_window_decides(windows: list[JudgedWindow], deciding: str, verdict: str) -> None:
    found = decided(*windows)
    assert found.window == window(deciding)
    assert found.verdict == verdict
    assert found.judged == tuple(item.window for item in windows)


@pytest.mark.parametrize(
    ("ended", "verdict"),
    [
        ("2026-01-02T11:45:00", "rollback"),  # a window that begins as the rollback ends is a new one
        ("2026-01-02T11:45:01", "hold"),
        ("2026-01-02T12:00:00", "hold"),
    ],
)
def test_violation_begun_before_the_last_rollback_ended_has_been_answered(ended: str, verdict: str) -> None:
    found = decided(judged(roll=2.1), answered_until=datetime.fromisoformat(ended).replace(tzinfo=UTC))
    assert found.verdict == verdict
    assert found.rollback_required is (verdict == "rollback")
    assert found.outcome is Status.VIOLATION


VALUES = st.one_of(st.floats(0, 4), st.sampled_from([1.6, 2.0, 2.0000001]), st.none())
STANDINGS = st.builds(
    Standing,
    incident=st.sampled_from([None, "incident-1"]),
    rollback_unknown=st.sampled_from([None, "rollback-1"]),
    incident_rolled_back=st.booleans(),
    answered_until=st.sampled_from([None, *(AS_OF - timedelta(minutes=15 * n) for n in range(5))]),
    rollbacks=st.integers(0, 3),
    approvals=st.sampled_from([frozenset(), APPROVED]),
    blocking_alerts=st.sampled_from([(), ("retry",)]),
    paused=st.sampled_from([None, "holidays"]),
)
WINDOWS = st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=4)
STARTS = ("2026-01-02T11:00", EARLY, MIDDLE, LATE)
GOODNESS = {Verdict.ROLLBACK: 0, Verdict.HOLD: 1, Verdict.ADVANCE: 2}


def windows_of(values: list[tuple[float | None, float | None, float | None]]) -> tuple[JudgedWindow, ...]:
    return tuple(
        judged(start, **dict(zip(KINDS, row, strict=True))) for start, row in zip(STARTS, values, strict=False)
    )


def case_of(windows: tuple[JudgedWindow, ...], standing: Standing, passed: bool) -> Case:
    return Case(POLICY, "B", "B", AS_OF, windows, PASSED if passed else OPEN, standing=standing)


@given(values=WINDOWS, standing=STANDINGS, passed=st.booleans())
def test_decision_is_a_function_of_its_inputs(values: list[Any], standing: Standing, passed: bool) -> None:
    first = decide(case_of(windows_of(values), standing, passed))
    assert decide(case_of(windows_of(values), replace(standing), passed)) == first


@given(values=WINDOWS, standing=STANDINGS, passed=st.booleans())
def test_what_a_decision_never_does(values: list[Any], standing: Standing, passed: bool) -> None:
    windows = windows_of(values)
    found = decide(case_of(windows, standing, passed))
    if found.verdict is Verdict.ADVANCE:
        assert passed
        assert not found.rollback_required
        assert all(item.outcome.is_met for item in windows)
        assert standing.approvals
        assert standing.incident is None
        assert standing.paused is None
    if found.verdict is Verdict.ROLLBACK:
        assert standing.incident is None
        assert standing.rollbacks < POLICY.rollback.max_rollbacks
        assert any(row.slo == "roll" and row.status is Status.VIOLATION for row in found.judgements)
    assert (found.verdict is Verdict.ADVANCE) == (not found.reasons)
    assert found.window in found.judged
    assert found.rollback_required or found.command is None


@given(values=WINDOWS, standing=STANDINGS, passed=st.booleans(), data=st.data())
def test_a_worse_measurement_never_gives_a_better_decision(
    values: list[Any], standing: Standing, passed: bool, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(values) - 1))
    which = data.draw(st.integers(0, 2))
    value = values[number][which]
    if value is None:
        return
    worse_row = list(values[number])
    worse_row[which] = data.draw(st.floats(value, 5))
    worse = [*values[:number], tuple(worse_row), *values[number + 1 :]]
    before, after = (decide(case_of(windows_of(rows), standing, passed)) for rows in (values, worse))
    assert GOODNESS[after.verdict] <= GOODNESS[before.verdict]
    assert after.rollback_required >= before.rollback_required


def test_every_comparison_gets_worse_towards_a_rollback() -> None:
    for comparison, values in {
        Comparison.LTE: (1.0, 1.7, 2.0, 2.1),
        Comparison.GTE: (3.0, 2.1, 2.0, 1.9),
        Comparison.EQ: (2.0, 2.1),
    }.items():
        warn = {Comparison.LTE: 1.6, Comparison.GTE: 2.5, Comparison.EQ: None}[comparison]
        threshold = Threshold(comparison, 2.0, warn)
        verdicts = []
        for value in values:
            row = replace(judgement("roll", value, POLICY), threshold=threshold, status=threshold.judge(value, 1, 1))
            item = JudgedWindow(window(), (row,), outcome_of(POLICY, [row]), InputCounts(1, 1, 1))
            verdicts.append(GOODNESS[decided(item).verdict])
        assert all(one >= other for one, other in itertools.pairwise(verdicts))
        assert (verdicts[0], verdicts[-1]) == (2, 0)
