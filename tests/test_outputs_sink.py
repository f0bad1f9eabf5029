"""The sink: what it makes of a line, of JSON, of a stream that is no UTF-8, and that nothing else writes."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from checker.cli import say
from checker.errors import Problem
from tests.attacking.readers import acted_on, commands_taken
from tests.commands import ROOT
from tests.test_outputs import VALUES


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("plain text\n", "plain text\n"),
        ("no line break", "no line break\n"),
        ("", "\n"),
        ("ok ✓ · 保存\u00a0x", "ok ✓ · 保存\u00a0x\n"),
        ("## Heading [x]\n### x", "## Heading [x]\n### x\n"),
        ("std::string a::b: ::x", "std::string a::b: ::x\n"),  # not at the start of a line
        ("::x", "\\x3a:x\n"),
        ("  ::error::x\na", "  \\x3a:error::x\na\n"),
        ("\u3000::error::x", "\u3000\\x3a:error::x\n"),  # .NET's white space
        (":::error::x", "\\x3a::error::x\n"),
        ("a##[error]x", "a\\x23#[error]x\n"),
        ("####[error]", "##\\x23#[error]\n"),
        ("##VSO[x]", "\\x23#VSO[x]\n"),
        ("a\rb\tc\x00", "a\\rb\\tc\\x00\n"),
        ("\udcff", "\\udcff\n"),
        ("\x1b[1mbold\x1b[0m", "\\x1b[1mbold\\x1b[0m\n"),
    ],
)
def test_what_the_sink_makes_of_a_line(shown: str, expected: str) -> None:
    assert say.for_people(shown) == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("\x1b[1mbold\x1b[0m", "\x1b[1mbold\x1b[0m\n"),
        ("\x1b[1;31m::error::x\x1b[0m", "\x1b[1;31m\\x3a:error::x\x1b[0m\n"),
        ("\x1b[1m\x1b[2J\x1b]0;x\x07", "\x1b[1m\\x1b[2J\\x1b]0;x\\x07\n"),
    ],
)
def test_our_own_styles_stay(shown: str, expected: str) -> None:
    assert say.for_people(shown, styled=True) == expected


@pytest.mark.parametrize("value", [*VALUES.values(), "\U000e0041\U0010ffff", "\\##[x] \\\\##[x] \\u0023#[x]", "é✓"])
def test_json_keeps_every_value(value: str) -> None:
    made = {value: [value, {"x": value}]}
    for text in (json.dumps(made, ensure_ascii=False), json.dumps(made, ensure_ascii=False, indent=2)):
        assert json.loads(say.for_programs(text)) == made
        assert commands_taken(say.for_programs(text)) + acted_on(say.for_programs(text)) == []


def test_a_stream_that_is_no_utf_8_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    say.text("HOLD · ≤ 2 s")
    say.document('{"unit": "µs"}\n')
    assert stream.buffer.getvalue() == b'HOLD \\xb7 \\u2264 2 s\n{"unit": "\xc2\xb5s"}\n'  # JSON is UTF-8 everywhere


def test_an_unexpected_error_is_told_by_the_sink() -> None:
    """A real process: its arguments hold bytes that are no UTF-8, a line break and a command."""
    hostile_bytes = b"--slo=\x9b2J\xff\n::error::x ##[error]\x1b[2J"
    done = subprocess.run(
        [os.fsencode(sys.executable), b"-m", b"checker", b"explain", b"--debug", b"--phase=B", hostile_bytes],
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    told = done.stderr.decode()  # it is UTF-8
    assert done.returncode == 2
    assert "Traceback" in told
    assert commands_taken(told) + acted_on(told) == []


SINK = ROOT / "checker/cli/say.py"
WRITERS = {
    "print",
    "click.echo",
    "click.secho",
    "click.echo_via_pager",
    "click.progressbar",
    "sys.stdout.write",
    "sys.stderr.write",
    "sys.stdout.buffer.write",
    "sys.stdout.writelines",
    "sys.stderr.writelines",
    "traceback.print_exc",
    "traceback.print_exception",
    "warnings.warn",
    "os.write",
}


def writes(source: str) -> Iterator[str]:
    """The calls in a source text that write to a terminal by themselves."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in WRITERS:
            yield ast.unparse(node.func)


@pytest.mark.parametrize("call", sorted(WRITERS))
def test_every_way_to_write_is_seen(call: str) -> None:
    assert list(writes(f"def f():\n    {call}('x')")) == [call]


def test_the_sink_alone_writes() -> None:
    cli = ROOT / "checker/cli"
    elsewhere = {
        str(path.relative_to(ROOT)): found
        for path in Path(ROOT / "checker").rglob("*.py")
        if path != SINK and (found := [call for call in writes(path.read_text("utf-8")) if _is_output(path, cli, call)])
    }
    assert elsewhere == {}
    assert list(writes(SINK.read_text("utf-8")))


def _is_output(path: Path, cli: Path, call: str) -> bool:
    # below the command line a descriptor may be a pipe between processes
    return call != "os.write" or path.is_relative_to(cli)


def test_a_problem_is_one_line_whatever_a_file_is_called() -> None:
    told = str(Problem("queries/a\nb.sql", 1, 0, "the file 'a\nADVANCE.sql'"))
    assert told == "queries/a\\nb.sql:1: the file 'a\\nADVANCE.sql'"
