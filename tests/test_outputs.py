"""What no value can do: each hostile value at every place of a result, in every format, before its reader's model."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from checker.cli.formats.show import FORMATS, Screen, show
from checker.model import CheckResult, Criterion, GateResult, InputCounts, Notice, Status
from checker.policy.model import Policy
from tests import decisions as build
from tests.attacking.readers import (
    acted_on,
    commands_taken,
    made_of_markdown,
    rows_of_markdown,
    text_of_markdown,
    xml_of,
)

MARK = "Zq7"
VALUES = {
    "a command on its own line": "\n::error::",
    "a command after blanks": " \u00a0\t::set-output name=x::",
    "a command of the old form": "##[error]",
    "a command of Azure": "##vso[task.complete result=Succeeded]",
    "a command of TeamCity": "##teamcity[buildStop comment='x']",
    "a section of GitLab": "section_start:1:x\r\x1b[0K",
    "the end of a CDATA section": "]]>",
    "the screen cleared": "\x1b[2J",
    "a terminal's title": "\x1b]0;title\x07",
    "a terminal's link": "\x1b]8;;https://example.invalid\x1b\\x\x1b]8;;\x1b\\",
    "a control of 8 bits": "\x9b2J\x90\x85",
    "the line again": "\r",
    "a step back": "\b\b\b\x7f",
    "text turned around": "\u202e\u2066\u200f",
    "other line breaks": "\x0b\x0c\x1c\u2028\u2029",
    "no character of XML": "\0\ufffe\ufdd0",
    "half of a pair": "\udc9b\ud800",
    "a script": "<script>alert(1)</script>",
    "an image": "<img src=x onerror=alert(1)>",
    "a mention": "@everyone https://example.invalid www.example.invalid a@example.invalid #1",
    "a link": "[x](javascript:1) ![x](//example.invalid) <https://example.invalid>",
    "a table's end": "` | `` | <b> \\| \\` \\",
    "a fence's end": "\n```\n<b>\n~~~\n## x\n",
    "markup of rich": "[red]x[/red][link=https://example.invalid]x[/link]",
    "percent and all": "%0A::error::%25%3A,file=x",
    "an entity": "&#64;everyone &lt;b&gt; &amp;",
}
LONG = 100_000


def hostile(value: str, stage: str) -> tuple[CheckResult, Policy]:
    """A result with `value` at every place that holds a text from outside."""
    text = f"{MARK}{value}{MARK}"
    slos = {
        name: replace(slo, title=text, unit=text if name == "history_drift" else slo.unit, query=text)
        for name, slo in build.policy().slos.items()
    }
    policy = build.policy(title=text, slos=slos)
    broken = build.last_break(policy)
    gate = {
        "open": GateResult("B", text, (Criterion(text, 1, 2, False, reason=text), Criterion(value, 3, 2, True))),
        "failed": GateResult("B", text, error=text),
        "empty": GateResult(text, text),
    }[stage]
    no_value = build.judgement("failure_rate", None, policy, status=Status.ERROR, reason=text)
    over = build.judgement("save_latency_p95", 2.31, policy, evidence={text: text})
    rows = (over, no_value, *build.judgements(policy)[2:])
    decision = build.violation(
        policy,
        judgements=rows,
        title=text,
        audience=text,
        next_phase=text,
        rollback_to=text,
        incident=text,
        reasons=(value, text),
        approvals_missing=(text,),
        command=("phasegate", text),
        gate=gate,
        last_break=broken,
        inputs=InputCounts(1, 1, 0, 0, 0, 1, {text: 1}),
    )
    if stage == "empty":
        decision = replace(decision, what_if=True, events_of=text)
    notices = (Notice(text, text, f"{text}\n{value}\n  {text}", True, "B", build.window()),)
    return build.result(decision, notices=notices), policy


def written(format_: str, value: str, stage: str, capsysbinary: Any, *, colour: bool = False) -> str:
    """What `check` writes to stdout for a hostile result; nothing else is written."""
    show(format_, *hostile(value, stage), Screen(colour, 80, (f"--logs={value}",)))
    out, err = capsysbinary.readouterr()
    assert err == b""
    return str(out.decode())


@pytest.mark.parametrize("stage", ["open", "failed", "empty"])
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", VALUES)
def test_a_value_only_shows_itself(name: str, format_: str, stage: str, capsysbinary: Any) -> None:
    out = written(format_, VALUES[name], stage, capsysbinary)
    assert MARK in out
    assert acted_on(out) == []
    benign = written(format_, "benign", stage, capsysbinary)
    taken = commands_taken(out)
    assert len(taken) == len(commands_taken(benign))
    if format_ != "github":
        assert taken == []
    READS[format_](out, benign, VALUES[name])


def read_table(out: str, benign: str, value: str) -> None:
    """A table's reader is the terminal, which was asked already; styles leave the text as it is."""
    del benign, value
    assert out.endswith("\n")


def read_json(out: str, benign: str, value: str) -> None:
    """The document has the same keys, and the value unchanged."""
    found = json.loads(out)
    assert found["title"] == f"{MARK}{value}{MARK}"
    assert found.keys() == json.loads(benign).keys()
    assert found["reasons"][0] == value


def read_junit(out: str, benign: str, _: str) -> None:
    """The document is XML with the same elements in the same places."""
    found, expected = xml_of(out), xml_of(benign)
    assert found is not None
    assert expected is not None
    assert "<![CDATA[" not in out
    assert [(part.tag, list(part.keys())) for part in found.iter()] == [
        (part.tag, list(part.keys())) for part in expected.iter()
    ]


def read_github(out: str, benign: str, _: str) -> None:
    """As many lines, each a command of the same level, with the same properties."""
    heads = [[line.split("::")[1].split(" ")[0] for line in text.splitlines()] for text in (out, benign)]
    assert heads[0] == heads[1]
    for line, other in zip(out.splitlines(), benign.splitlines(), strict=True):
        names = [[part.partition("=")[0] for part in text.split("::")[1].split(",")] for text in (line, other)]
        assert names[0] == names[1]


def read_markdown(out: str, benign: str, _: str) -> None:
    """Nothing but headings, tables, lists and code; no value outside of code; as many cells as ever."""
    assert made_of_markdown(out) == []
    assert text_of_markdown(out) == text_of_markdown(benign)
    assert rows_of_markdown(out) == rows_of_markdown(benign)
    assert MARK not in text_of_markdown(out)


READS = {
    "table": read_table,
    "json": read_json,
    "junit": read_junit,
    "github": read_github,
    "markdown": read_markdown,
}


@pytest.mark.parametrize("name", VALUES)
def test_a_coloured_table_has_our_colours_alone(name: str, capsysbinary: Any) -> None:
    out = written("table", VALUES[name], "open", capsysbinary, colour=True)
    assert acted_on(out, styled=True) == []
    assert commands_taken(out) == []
    for style in ("\x1b[1m", "\x1b[1;31m"):
        assert style in out
    if name == "markup of rich":
        assert f"{MARK}{VALUES[name]}{MARK}" in out


@pytest.mark.parametrize("format_", [name for name in FORMATS if name != "json"])
def test_a_long_value_is_cut(format_: str, capsysbinary: Any) -> None:
    out = written(format_, "x" * LONG, "open", capsysbinary)
    assert "more characters)" in out
    assert len(out) < 120_000
