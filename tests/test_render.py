"""Notices: which ones an outcome asks for, what they say, and that no value can break out of its place."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from checker.model import Decision, OnViolation, Status
from checker.policy.load import load_policy
from checker.policy.model import Policy
from checker.reporter.facts import facts, worst_violated
from checker.reporter.notice_check import notice_problems
from checker.reporter.render import MARKDOWN, PLAIN, SLACK, TemplateFault, notices_for, render
from checker.reporter.shell import command_line
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
    rule = build.notice_rule("ok", "no_data", "B", "#elsewhere")
    changed = build.policy(notices={rule.id: build.notice_rule("ok", "ok", "B", "#elsewhere", after=3)})
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
        (build.decision(POLICY), (), 0, "✅ AutoSave B OK / window=2026-01-02T11:45:00Z / p95=1.55s / err=0.21%"),
        (
            build.decision(POLICY, judgements=build.judgements(POLICY, collector_latency=110.0)),
            (),
            0,
            "⚠️ AutoSave B nearing limits / window=2026-01-02T11:45:00Z / p95=1.55s / err=0.21% / action=watch\n"
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
    assert notices_for(POLICY, made, history, SOURCES)[position].text == expected


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


@pytest.mark.parametrize(
    ("markup", "value", "expected"),
    [
        (SLACK, "<!channel> & <@U1>", "&lt;!channel&gt; &amp; &lt;@U1&gt;"),
        (SLACK, "a `b`", "a 'b'"),
        (SLACK, "one\ntwo\x1b[2J", "one\\ntwo\\x1b[2J"),
        (SLACK, "{{ phase }}", "{{ phase }}"),  # a value is never a template
        (MARKDOWN, "<script>", "&lt;script&gt;"),
        (PLAIN, "a < b\n", "a < b\\n"),
    ],
)
def test_a_value_stays_in_its_place(markup: str, value: str, expected: str) -> None:
    said = {**facts(POLICY, build.violation(POLICY)), "reason": value}
    assert render("reason={{ reason }}", said, markup=markup) == f"reason={expected}"


def test_the_command_is_escaped_for_slack_and_bare_in_a_code_span() -> None:
    made = build.violation(POLICY, command=("phasegate", "rollback", "--reason=a<b & `c`"))
    said = facts(POLICY, made)
    slack, runbook = (render("`{{ cmd }}`", said, markup=markup) for markup in (SLACK, MARKDOWN))
    assert slack == "`phasegate rollback $'--reason=a&lt;b &amp; \\140c\\140'`"
    assert runbook == "`phasegate rollback $'--reason=a<b & \\140c\\140'`"


@pytest.mark.parametrize(
    "argument",
    ["plain", "two words", "it's", "a`b`", "$(id)", "a;b", "", "line\nline", "tab\t'q'\\", "é`ü", "\u202eleft", "!x", "\x01"],
)
def test_a_shell_reads_the_command_back(argument: str) -> None:
    line = command_line(("printf", "%s.", argument, "end"))
    assert "`" not in line
    assert line.isprintable()
    ran = subprocess.run(["bash", "-c", line], capture_output=True, check=True, timeout=10)
    assert ran.stdout.decode() == f"{argument}.end."


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("ok\n{{ phse }}", ["t.j2:2: no placeholder 'phse'; did you mean 'phase'?"]),
        (
            "{{ metrics.save_latncy_p95.value }}\n{{ metrics.failure_rate.vlue }}",
            [
                "t.j2:1: 'metrics' has no 'save_latncy_p95'; did you mean 'save_latency_p95'?",
                "t.j2:2: 'metrics.failure_rate' has no 'vlue'; did you mean 'value'?",
            ],
        ),
        ("{% if outcome == 'ok' %}{{ metrics['nope'].text }}{% endif %}", ["t.j2:1: 'metrics' has no 'nope' (known: "]),
        ("{{ phase.title }}", ["t.j2:1: 'phase' has no 'title' (known: none)"]),
        ("{% if %}", ["t.j2:1: Expected an expression, got 'end of statement block'"]),
        ("\n\n{{ phase", ["t.j2:3: unexpected end of template, expected 'end of print statement'."]),
        ("{{ phase * 9999999999 }}", ["t.j2:1: mul is not allowed: templates word and never compute"]),
        ("{{ phase.ljust(9999) }}", ["t.j2:1: 'phase' has no 'ljust'", "t.j2:1: only items, keys, values may be called"]),
        ("{{ range(9) }}", ["t.j2:1: no placeholder 'range'", "t.j2:1: only items, keys, values may be called"]),
        ("{{ phase|default('x') }}", ["t.j2:1: No filter named 'default'."]),
        ("{% include 'x' %}", ["t.j2:1: include is not allowed"]),
        ("{% for row in metrics.values() %}{{ row.nope }}{% endfor %}", ["t.j2:0: cannot be rendered"]),
    ],
)
def test_a_faulty_template_is_told_with_its_line(source: str, expected: list[str]) -> None:
    with pytest.raises(TemplateFault) as caught:
        render(source, facts(POLICY, build.decision(POLICY)), name="t.j2")
    found = str(caught.value).splitlines()
    assert len(found) == len(expected)
    assert all(line.startswith(start.replace(":0:", ":")) for line, start in zip(found, expected, strict=True)), found


def test_the_shipped_templates_are_sound() -> None:
    shipped = load_policy(build.PROJECT / "policy" / "policy.yaml")
    assert notice_problems(shipped, SOURCES) == []
    assert {rule.template for rule in shipped.notices.values()} == SOURCES.keys()


@pytest.mark.parametrize(
    ("word", "is_missing"), [("phase", True), ("window", True), ("metrics", True), ("outcome", False)]
)
def test_a_slack_notice_must_say_phase_window_and_metrics(word: str, is_missing: bool) -> None:
    words = {
        "phase": "{{ phase }}",
        "window": "{{ window }}",
        "metrics": "{{ metrics.failure_rate.text }}",
        "outcome": "{{ outcome }}",
    }
    source = " ".join(text for name, text in words.items() if name != word)
    problems = notice_problems(POLICY, {"autosave-ok.j2": source})
    assert [word in problem.message for problem in problems] == ([True] if is_missing else [])


def test_a_rollout_with_other_names_needs_other_templates_only() -> None:
    other = other_rollout()
    row = build.judgement("restore-success", 0.9931, other, "B-0")
    made = build.decision(other, phase="B-0", judgements=(row,))
    (notice,) = notices_for(other, made, (), {"autosave-no.j2": "{{ title }} {{ metrics['restore-success'].text }}"})
    assert notice.text == "Merge 0.9931"


def other_rollout() -> Policy:
    """Phases A-1 and B-0, and one SLO that must not fall."""
    rule = build.notice_rule("no", "violation", "", "#merge")
    phases = tuple(build.phase(name, name, "1 %", ()) for name in ("A-1", "B-0"))
    return build.policy(
        title="Merge",
        path=Path("policy.yaml"),
        phases=phases,
        gates={},
        slos={"restore-success": build.slo("restore-success", {"A-1": 0.995, "B-0": 0.995}, "ratio", "gte")},
        notices={rule.id: rule.__class__(rule.id, rule.channel, rule.outcome, ("B-0",), (), "", 1, rule.template)},
    )
