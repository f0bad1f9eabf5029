"""What the fuzzer holds true, over its seeds, over what it found before, and over lines that Hypothesis breaks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checker.analyzer import lines as program
from checker.policy import yaml_tree
from tests.fuzz import run
from tests.fuzz.targets import TARGETS, lines, policy, seeds

CASES = [
    pytest.param(target, seed, id=f"{target} {number}")
    for target in TARGETS
    for number, seed in enumerate(seeds(target))
]
SEED_LINES = list(seeds("lines"))[-8:]
PIECES = st.sampled_from(
    [
        *(
            b"\n",
            b"\r",
            b"\x00",
            b"\xff",
            b'"',
            b"\\",
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b" ",
            b"0",
            b"-",
            b"e9",
            b"1e999",
        ),
        *(
            b"NaN",
            b"null",
            b"true",
            b"\\ud800",
            b"\xed\xa0\x80",
            b"\xef\xbb\xbf",
            b'"phase":"B",',
            b"9" * 20,
            b".5",
            b"Z",
        ),
    ]
)


@pytest.mark.parametrize(("target", "seed"), CASES)
def test_a_seed_or_finding_holds(target: str, seed: bytes) -> None:
    assert_it_holds = TARGETS[target]
    assert_it_holds(seed)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A sound line with up to three pieces put over it."""
    line = draw(st.sampled_from(SEED_LINES))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        line = line[:at] + draw(PIECES) + line[at + draw(st.integers(0, 3)) :]
    return line


@settings(max_examples=300, deadline=None)
@given(line=broken())
def test_a_broken_line_is_an_event_or_has_a_fault(line: bytes) -> None:
    assert_event_or_fault = lines
    assert_event_or_fault(line)


def test_the_fuzzer_would_see_a_line_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_explained", lambda *_: None)
    with pytest.raises(AssertionError):
        lines(b'{"ts": 1}')


def test_the_fuzzer_would_see_a_problem_past_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_tree, "_inside", lambda problem, _: problem)
    with pytest.raises(AssertionError):
        policy((Path(run.HERE) / "findings/policy/past_the_end").read_bytes())


def test_without_atheris_nothing_passes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    assert run.main(["policy", "1"]) == 2
    assert "nothing was fuzzed" in capsys.readouterr().err
