"""Templates: no value breaks out of its place, and every fault is told with its line before an incident needs it."""

from __future__ import annotations

import os
import subprocess

import pytest

from checker.policy.load import load_policy
from checker.reporter.escape import MARKDOWN, PLAIN, SLACK
from checker.reporter.facts import facts
from checker.reporter.notice_tells import template_faults
from checker.reporter.render import TemplateFault, render
from checker.reporter.shell import command_line
from tests import decisions as build
from tests.test_render import POLICY, SOURCES


@pytest.mark.parametrize(
    ("markup", "value", "expected"),
    [
        (SLACK, "<!channel> & <@U1>", "&lt;!channel&gt; &amp; &lt;[@]U1&gt;"),
        (SLACK, "a `b`", "a 'b'"),
        (SLACK, "one\ntwo\x1b[2J", "one\\ntwo\\x1b[2J"),
        (SLACK, "{{ phase }}", "{{ phase }}"),  # a value is never a template
        (SLACK, "@here #general", "[@]here [#]general"),
        (SLACK, "https://a.example/x www.a.io", "https[:]//a[.]example/x www[.]a[.]io"),
        (SLACK, "*b* _i_ ~s~ save_latency_p95 2*3", "∗b∗ ＿i＿ ∼s∼ save_latency_p95 2∗3"),
        (SLACK, "> said", "› said"),
        (SLACK, ":bomb: 11:45:00 slo/failure_rate.sql 1.41 s", "[:]bomb: 11:45:00 slo/failure_rate.sql 1.41 s"),
        (MARKDOWN, "<script>", "&lt;script&gt;"),
        (MARKDOWN, "save_latency_p95 violation, 1.41 s", "save_latency_p95 violation, 1.41 s"),
        (MARKDOWN, "[a](b) | x\\", "\\[a\\](b) \\| x\\\\"),
        (PLAIN, "a < b\n", "a < b\\n"),
        (PLAIN, "x" * 501, "x" * 500 + "…"),
    ],
)
def test_a_value_stays_in_its_place(markup: str, value: str, expected: str) -> None:
    said = {**facts(POLICY, build.violation(POLICY)), "reason": value}
    assert render("{{ reason }}", said, markup=markup) == expected


def test_the_command_is_escaped_for_slack_and_bare_in_a_code_span() -> None:
    made = build.violation(POLICY, command=("phasegate", "rollback", "--reason=a<b & `c`"))
    said = facts(POLICY, made)
    slack, runbook = (render("`{{ cmd }}`", said, markup=markup) for markup in (SLACK, MARKDOWN))
    assert slack == "`phasegate rollback \"$(printf -- '--reason=a&lt;b &amp; \\140c\\140')\"`"
    assert runbook == "`phasegate rollback \"$(printf -- '--reason=a<b & \\140c\\140')\"`"


@pytest.mark.parametrize("shell", ["bash", "sh"])
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
        "é`ü%s",
        "\u202eleft",
        "!x",
        "\x01",
        "* ? [a] ~ {b,c}",
        "\udcff\udc80",
        '`"!"`',
    ],
)
def test_a_shell_reads_the_command_back(shell: str, argument: str) -> None:
    line = command_line(("printf", "%s.", argument, "end"))
    assert "`" not in line
    assert line.isprintable()
    ran = subprocess.run([shell, "-c", line], capture_output=True, check=True, timeout=10)
    assert os.fsdecode(ran.stdout) == f"{argument}.end."


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
        ("{{ phase|default('x') }}", ["t.j2:1: the filter 'default' is not allowed"]),
        ("{% include 'x' %}", ["t.j2:1: include is not allowed"]),
        ("{% for row in metrics.values() %}{{ row.nope }}{% endfor %}", ["t.j2:1: 'row' has no 'nope'"]),
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
    assert template_faults(shipped, SOURCES) == set()
    assert {rule.template for rule in shipped.notices.values()} == SOURCES.keys()
