"""Whatever the policy's file holds, the loader loads it or tells its faults; it never fails in another way."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policies.project import AUTOSAVE, make_project, problems_of

LINES = AUTOSAVE.splitlines(keepends=True)
FRAGMENTS = st.one_of(
    st.sampled_from(
        ["yes", "1:30", "[", "]", "{", "}", "&a ", "*a", "<<: ", "!!str ", "\t", "\u202e", "\x00", "---\n"]
    ),
    st.sampled_from([".inf", "null", "-1", "0", '""', "'", '"\\ud800"', "1e400", "9" * 5000, "../x", "A", "{}", "[]"]),
    st.text(max_size=6),
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that each example writes its policy into."""
    return make_project(tmp_path_factory.mktemp("project"))


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """The AutoSave policy with up to four edits: a line's value, a line left out or doubled, text put anywhere."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["value", "leave out", "double", "insert"])):
            case "value":
                lines[at] = f"{lines[at].split(':')[0]}: {draw(FRAGMENTS)}\n"
            case "leave out":
                lines[at] = ""
            case "double":
                lines[at] *= 2
            case _:
                column = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:column] + draw(FRAGMENTS) + lines[at][column:]
    return "".join(lines)


@settings(max_examples=200, deadline=None)
@given(text=mutations())
def test_mutated_policies_load_or_are_told(policy: Path, text: str) -> None:
    policy.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert all(": " in problem and "\n" not in problem for problem in problems_of(policy))


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60))
def test_arbitrary_text_is_told(policy: Path, text: str) -> None:
    policy.write_bytes(text.encode())
    assert problems_of(policy)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60))
def test_arbitrary_bytes_are_told(policy: Path, content: bytes) -> None:
    policy.write_bytes(content)
    assert problems_of(policy)
