"""Templates: no value breaks out of its place, and every fault is told with its line before an incident needs it."""

from __future__ import annotations

import subprocess

import pytest

from checker.policy.load import load_policy
from checker.reporter.facts import facts
from checker.reporter.notice_check import notice_problems
from checker.reporter.render import MARKDOWN, PLAIN, SLACK, TemplateFault, render
from checker.reporter.shell import command_line
from tests import decisions as build
from tests.test_render import POLICY, SOURCES


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
    [
        "plain",
        "two words",
        "it's",
        "a`b`",
        "$(id)",
        "a;b",
        "",
        "line\nline",
        "tab\t'q'\\",
        "é`ü",
        "\u202eleft",
        "!x",
        "\x01",
    ],
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
        (
            "{{ phase.ljust(9999) }}",
            ["t.j2:1: 'phase' has no 'ljust'", "t.j2:1: only items, keys, values may be called"],
        ),
        ("{{ range(9) }}", ["t.j2:1: no placeholder 'range'", "t.j2:1: only items, keys, values may be called"]),
        ("{{ phase|default('x') }}", ["t.j2:1: No filter named 'default'."]),
        ("{% include 'x' %}", ["t.j2:1: include is not allowed"]),
        ("{% for row in metrics.values() %}{{ row.nope }}{% endfor %}", ["t.j2: cannot be rendered"]),
    ],
)
def test_a_faulty_template_is_told_with_its_line(source: str, expected: list[str]) -> None:
    with pytest.raises(TemplateFault) as caught:
        render(source, facts(POLICY, build.decision(POLICY)), name="t.j2")
    found = str(caught.value).splitlines()
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found


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
