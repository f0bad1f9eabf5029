"""Notices: which ones an outcome asks for, and what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from checker.model import Decision, OnViolation, Status
from checker.policy.model import NoticeRule, Policy
from checker.reporter.escape import MARKDOWN
from checker.reporter.facts import facts, worst_violated
from checker.reporter.render import notices_for, render
from tests import decisions as build

POLICY = build.policy()
SOURCES = {
    path.name: path.read_text(encoding="utf-8") for path in (build.PROJECT / "policy" / "templates").glob("*.j2")
}
CMD = "phasegate rollback --target=autosave --phase=B '--reason=save_latency_p95 violation'"
NOTHING = dict.fromkeys(("save_latency_p95", "failure_rate", "history_drift", "collector_latency"))


def decision_of(outcome: str, phase: str) -> Decision:
    """A decision in `phase` whose window has `outcome`."""
    if outcome == "violation":
        return build.violation(POLICY, phase=phase)
    rows = {
        "ok": build.judgements(POLICY, phase),
        "warn": build.judgements(POLICY, phase, failure_rate=POLICY.slos["failure_rate"].thresholds[phase].limit),
        "no_data": build.judgements(POLICY, phase, **NOTHING),
    }
    return build.decision(POLICY, phase=phase, judgements=rows[outcome])


@pytest.mark.parametrize(
    ("outcome", "phase", "history", "expected"),
    [
        ("ok", "A", (), {"autosave-ok": False}),  # rendered in A, and sent only when asked
        ("ok", "B", (), {"autosave-ok": True}),
        ("ok", "C", (), {"autosave-ok": True}),
        ("warn", "A", (), {"autosave-warn": True}),
        ("warn", "B", (), {"autosave-warn": True}),
        ("warn", "C", (), {}),
        ("violation", "A", (), {"autosave-incident": True, "autosave-rollback": True}),
        ("violation", "C", (), {"autosave-incident": True, "autosave-rollback": True}),
        ("no_data", "B", (), {}),
        ("no_data", "B", (Status.OK,), {}),
        ("no_data", "B", (Status.NO_DATA,), {"autosave-no-verdict": True}),
        ("no_data", "B", (Status.ERROR,), {"autosave-no-verdict": True}),
        ("no_data", "B", (Status.NO_DATA, Status.OK), {}),  # only windows in a row count
        ("ok", "B", (Status.NO_DATA, Status.NO_DATA), {"autosave-ok": True}),
    ],
)
def test_an_outcome_asks_for_its_notices(
    outcome: str, phase: str, history: tuple[Status, ...], expected: dict[str, bool]
) -> None:
    notices = notices_for(POLICY, decision_of(outcome, phase), history, SOURCES)
    assert {notice.id: notice.automatic for notice in notices} == expected


def test_channel_phases_and_count_come_from_the_policy() -> None:
    rule = build.notice_rule("ok", "ok", "B", "#elsewhere", after=3)
    changed = build.policy(notices={rule.id: rule})
    good = build.decision(changed)
    assert notices_for(changed, good, (Status.OK,), SOURCES) == ()
    (notice,) = notices_for(changed, good, (Status.OK, Status.OK), SOURCES)
    assert (notice.channel, notice.phase, notice.window) == ("#elsewhere", "B", build.window())


def test_a_what_if_sends_nothing_by_itself() -> None:
    notices = notices_for(POLICY, build.violation(POLICY, what_if=True), (), SOURCES)
    assert [notice.automatic for notice in notices] == [False, False]


def test_a_violation_that_only_holds_proposes_no_rollback() -> None:
    held = build.violation(POLICY, rollback_required=False, rollback_to=None, command=None)
    (notice,) = notices_for(POLICY, held, (), SOURCES)
    assert notice.id == "autosave-incident"
    assert "rollback=not required\nrollback_required=false" in notice.text


@pytest.mark.parametrize(
    ("made", "history", "position", "expected"),
    [
        (build.decision(POLICY), (), 0, "✅ AutoSave B OK / window=2026-01-02T11:45:00Z / p95=1.41s / err=0.21%"),
        (
            build.decision(POLICY, judgements=build.judgements(POLICY, collector_latency=110.0)),
            (),
            0,
            "⚠️ AutoSave B nearing limits / window=2026-01-02T11:45:00Z / p95=1.41s / err=0.21% / action=watch\n"
            "near: collector latency 110 s (threshold ≤ 2 min)",
        ),
        (
            build.violation(POLICY),
            (),
            0,
            "🚨 AutoSave B violation / metric=save_latency_p95 / window=2026-01-02T11:45:00Z / "
            f"rollback={CMD}\n"
            "rollback_required=true / to=A\n"
            "violation: save latency P95 2.31 s (threshold ≤ 2.0 s)\n"
            "ok: failure rate 0.21 % (threshold ≤ 0.5 %)\n"
            "ok: history drift 0 (threshold = 0)\n"
            "ok: collector latency 41 s (threshold ≤ 2 min)",
        ),
        (
            build.violation(POLICY),
            (),
            1,
            f"Rollback invoked: `{CMD}` / initiated_by=phasegate / reason=save_latency_p95 violation / state=proposed\n"
            "It is proposed: nothing was run yet. Confirm rollback_required=true, stop the Collector of phase B, "
            "then run the command.",
        ),
        (
            build.decision(POLICY, judgements=build.judgements(POLICY, save_latency_p95=None)),
            (Status.NO_DATA,),
            0,
            "❓ AutoSave B no verdict / window=2026-01-02T11:45:00Z / outcome=no_data\n"
            "no_data: save latency P95 (no samples)\n"
            "Nothing advances and nothing is rolled back meanwhile. Look whether the Collector runs and its batch for "
            "the window is there, then `phasegate explain --phase=B --window=2026-01-02T11:45:00Z`.",
        ),
    ],
)
def test_notices_say_what_the_design_shows(
    made: Decision, history: tuple[Status, ...], position: int, expected: str
) -> None:
    notice = notices_for(POLICY, made, history, SOURCES)[position]
    words, verdict = notice.text.rsplit("\n", 1)
    assert words.rstrip("\n") == expected
    assert verdict == f"`autosave/B/20260102T114500Z/{notice.id}` · {made.outcome.value} · {made.verdict.value}"


@pytest.mark.parametrize(
    ("state", "expected"),
    [("proposed", "nothing was run yet"), ("begun", "its end is not recorded"), ("ended", "the phase is A now")],
)
def test_the_runbook_entry_says_how_far_a_rollback_has_come(state: str, expected: str) -> None:
    said = facts(POLICY, build.violation(POLICY), state=state, initiator="ada", reason="by hand")
    text = render(SOURCES["autosave-rollback.j2"], said, markup=MARKDOWN)
    assert f"/ initiated_by=ada / reason=by hand / state={state}\n" in text
    assert expected in text


def test_the_worst_violation_names_the_incident() -> None:
    both = build.violation(POLICY, judgements=build.judgements(POLICY, save_latency_p95=2.31, failure_rate=0.9))
    assert worst_violated(POLICY, both) == "failure_rate"
    drifted = build.violation(POLICY, judgements=build.judgements(POLICY, failure_rate=99.0, history_drift=0.25))
    assert worst_violated(POLICY, drifted) == "history_drift"  # past a threshold of 0 by any share
    observed = build.slo("failure_rate", {"B": 0.5}, on_violation=OnViolation.OBSERVE)
    lenient = build.policy(slos={**POLICY.slos, "failure_rate": observed})
    assert worst_violated(lenient, both) == "save_latency_p95"


def test_a_rollout_with_other_names_needs_other_templates_only() -> None:
    other = other_rollout()
    row = build.judgement("restore-success", 0.9949999, other, "B-0")
    made = build.decision(other, phase="B-0", judgements=(row,))
    (notice,) = notices_for(other, made, (), {"fall.j2": "{{ title }} {{ metrics['restore-success'].text }}"})
    assert notice.text == "Merge 0.9949999\n`autosave/B-0/20260102T114500Z/fall` · violation · hold"


def other_rollout() -> Policy:
    """Phases A-1 and B-0, and one SLO that must not fall."""
    phases = tuple(build.phase(name, name, "1 %", ()) for name in ("A-1", "B-0"))
    return build.policy(
        title="Merge",
        path=Path("policy.yaml"),
        phases=phases,
        gates={},
        slos={"restore-success": build.slo("restore-success", {"A-1": 0.995, "B-0": 0.995}, "ratio", "gte")},
        notices={"fall": NoticeRule("fall", "#merge", "violation", ("B-0",), (), "on_change", 1, "fall.j2")},
    )
