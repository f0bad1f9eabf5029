"""Notices cannot leave out or change what was decided, and no value is more than its own characters."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checker.reporter.escape import MARKDOWN, PLAIN, SLACK, escaped
from checker.reporter.facts import facts
from checker.reporter.notice_check import unrendered
from checker.reporter.notice_tells import template_faults
from checker.reporter.render import notices_for, render
from checker.reporter.shell import command_line
from checker.units import plain
from tests import decisions as build
from tests.attacking.templates import markdown_tokens

POLICY = build.policy()
LIST = "{% for slo in metrics.values() %} {{ slo.title }} {{ slo.text }}{% endfor %}"
SAYS = {"phase": "{{ phase }}", "window": "{{ window }}", "metric": "{{ metric }}", "cmd": "{{ cmd }}", "metrics": LIST}
SOUND = " ".join(SAYS.values())


def problems(name: str, source: str) -> list[str]:
    """The faults of `source` as the template of the notice autosave-<name>, without their paths."""
    found = sorted(template_faults(POLICY, {f"autosave-{name}.j2": source}))
    return [str(problem).removeprefix(f"policy/templates/autosave-{name}.j2") for problem in found]


@pytest.mark.parametrize("left_out", SAYS)
def test_a_notice_of_a_violation_leaves_nothing_out(left_out: str) -> None:
    assert problems("incident", SOUND) == []
    (problem,) = problems("incident", " ".join(text for fact, text in SAYS.items() if fact != left_out))
    assert f"does not tell {left_out!r}" in problem


@pytest.mark.parametrize("left_out", ["phase", "window", "metrics"])
def test_a_slack_notice_says_phase_window_and_metrics(left_out: str) -> None:
    source = " ".join(text for fact, text in SAYS.items() if fact not in (left_out, "cmd", "metric"))
    (problem,) = problems("ok", source)
    assert f"does not tell {left_out!r}" in problem


@pytest.mark.parametrize(
    ("notice", "source", "said"),
    [
        ("ok", "{{ phase }} {{ window }} {{ metrics.failure_rate.threshold }}", ": does not tell the value of any SLO"),
        (
            "warn",
            "{{ phase }} {{ window }} failure_rate {{ metrics.failure_rate.text }}",
            ": does not tell the SLO 'save_latency_p95' (autosave-warn in phase A, outcome warn, state proposed)",
        ),
        (
            "no-verdict",
            "{{ phase }} {{ window }}{% for s in metrics.values() if s.status == 'no_data' %}{{ s.title }}{% endfor %}",
            ": does not tell the SLO 'save_latency_p95' (autosave-no-verdict in phase A, outcome error, state",
        ),
        ("incident", SOUND.replace("{{ cmd }}", "{{ cmd|lower }}"), ": does not tell 'cmd' outside"),
        ("incident", SOUND.replace("{{ cmd }}", "{% if decision %}{{ cmd }}{% endif %}"), ": does not tell 'cmd'"),
        ("rollback", "`{{ cmd }}`", ": does not tell 'metric' (autosave-rollback in phase A, outcome violation"),
        ("rollback", "{% if state == 'begun' %}{% else %}`{{ cmd }}` {{ reason }}{% endif %}", ": does not tell 'cmd'"),
        ("rollback", "`{{ cmd }}` {{ reason }}\n\n```\n", ":3: '```' begins what could hide"),
        ("ok", f"{SOUND}\n\nAn advance is due.", ":3: says 'advance', and its notice is of ok"),
        ("ok", f"{SOUND} {{{{ 'WARN' if phase == 'A' else '' }}}}", ":1: says 'warn', and its notice is of ok"),
        ("warn", f"{SOUND} Rollback!", ":1: says 'rollback', and its notice is of warn"),
    ],
)  # fmt: skip
def test_a_notice_says_the_computed_verdict_only(notice: str, source: str, said: str) -> None:
    found = problems(notice, source)
    assert any(problem.startswith(said) for problem in found), found


def test_a_check_finds_what_shows_without_rendering() -> None:
    source = "{% if phase == 'A' %}{{ phase }}{% endif %} {{ window }} rollback"
    told = [problem.message for problem in unrendered(POLICY, POLICY.notices["autosave-ok"], source)]
    assert [message.split(",")[0] for message in told] == [
        "does not tell 'metrics'",
        "does not tell 'phase' outside of every condition and loop",
        "says 'rollback'",
    ]


@pytest.mark.parametrize(("markup", "channel"), [(SLACK, "#x"), (MARKDOWN, "runbook"), (PLAIN, "pagerduty")])
def test_the_last_line_is_no_templates(markup: str, channel: str) -> None:
    rule = replace(POLICY.notices["autosave-incident"], channel=channel)
    policy = build.policy(notices={rule.id: rule}, target="_a.b*")
    (notice,) = notices_for(policy, build.violation(policy), (), {rule.template: "All is well."})
    tick = "" if markup == PLAIN else "`"
    assert notice.text.splitlines()[-1] == f"{tick}_a.b*/B/20260102T114500Z/{rule.id}{tick} · violation · rollback"


PIECES = [
    *"*_~`<>[]()!#|\\&;:/.-+=@ \n\t1ab",
    "http://",
    "www.",
    "\u202e",
    "&#60;",
    "```",
    "- ",
    "[a]: b",
    "a@b.io",
    "</b>",
]
TRICKY = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@settings(max_examples=300, deadline=None)
@given(TRICKY, TRICKY)
def test_a_markdown_reader_finds_nothing_in_values(first: str, second: str) -> None:
    said = {**facts(POLICY, build.violation(POLICY)), "reason": first, "initiator": second}
    source = (
        "{{ reason }}\n{{ initiator }}{{ reason }} x {{ initiator }}\n\n{{ reason }}{{ initiator }}\n{{ initiator }}\n"
    )
    text = render(source, said, markup=MARKDOWN)
    assert markdown_tokens(text) == set(), text
    assert not re.search(r"https?://|www\.|\w@\w", text)


@settings(max_examples=300, deadline=None)
@given(TRICKY)
def test_a_markdown_reader_shows_a_value_as_it_was_written(value: str) -> None:
    from markdown_it import MarkdownIt

    said = {**facts(POLICY, build.violation(POLICY)), "reason": value}
    text = render("x{{ reason }}x", said, markup=MARKDOWN)
    shown = MarkdownIt("commonmark").parseInline(text)[0].children or []
    read = "".join(token.content for token in shown)
    assert read.replace("[", "").replace("]", "") == f"x{plain(value)}x".replace("[", "").replace("]", "")


@settings(max_examples=300, deadline=None)
@given(TRICKY, TRICKY)
def test_slack_finds_nothing_in_values(first: str, second: str) -> None:
    text = escaped(plain(first), SLACK) + escaped(plain(second), SLACK)
    assert not re.search(r"[<>*~`]|(?<!\[)@|://|^\s*&gt;|\n", text)
    assert not re.search(r"(?<![^\W_])_|_(?![^\W_])", escaped(plain(first), SLACK))
    assert re.sub(r"&(amp|lt|gt);", "", text).count("&") == 0
    assert html.unescape(text) == re.sub(r"&(amp|lt|gt);", lambda found: html.unescape(found[0]), text)


@pytest.mark.parametrize(("shell", "line_breaks"), [("bash", "\n"), ("sh", "")])
def test_every_character_comes_through_a_shell(shell: str, line_breaks: str, tmp_path: Path) -> None:
    characters = [chr(code) for code in (*range(1, 0x300), 0x202E, 0x1F6A8, 0xDC80, 0xDCFF) if code != 10]
    around = [f"--reason={text}" for text in (*characters, "a\nb", *line_breaks)] + [f"{text}x" for text in characters]
    program = tmp_path / "show"
    program.write_text("#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    program.chmod(0o755)
    line = command_line((str(program), *around))
    assert "`" not in line
    assert line.isprintable()
    done = subprocess.run(
        [shell, "-c", line],
        capture_output=True,
        check=True,
        timeout=30,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    assert json.loads(done.stdout) == around


def test_a_control_character_of_a_fact_cannot_end_its_mark() -> None:
    said = {**facts(POLICY, build.violation(POLICY)), "reason": "a\x03 <b> \x02"}
    assert render("{{ reason }}", said) == "a\\x03 &lt;b&gt; \\x02"
