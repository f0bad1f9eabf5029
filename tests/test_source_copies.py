"""A rotation's copy beside its original: what both hold is read once, whichever is looked at first, and when."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from checker.collector.sources.base import Ask
from checker.collector.sources.files import FilesSource
from checker.collector.sources.tail import READ_BYTES
from checker.model import Window
from tests.batches import FIRST, WINDOW
from tests.following import RULE, Follow, Taken

LONG = "x" * (READ_BYTES - 2)  # a line that is read alone


@pytest.fixture(params=["app-1.jsonl", "zzz.jsonl"])  # looked at before the original, and after it
def follow(request: pytest.FixtureRequest, tmp_path: Path) -> Follow:
    found = Follow(tmp_path)
    found.copy = found.folder / request.param
    return found


def stopping(follow: Follow, before: str) -> list[str]:
    """A look while the collector catches up, which stops ahead of the line that begins with `before`."""
    sink = Taken(before.encode())
    ask = Ask(Window(FIRST, FIRST + WINDOW), FIRST + WINDOW, "B", False)
    follow.position = json.loads(json.dumps(follow.source.read(follow.position, ask, sink)))
    return [line.decode()[0] for line in sink.lines]


def looked(follow: Follow) -> str:
    """The first letters of the lines of one look."""
    return "".join(sorted(line[0] for line in follow.read()))


@pytest.mark.parametrize("is_truncated", [True, False])
def test_one_that_is_made_while_the_collector_catches_up(follow: Follow, is_truncated: bool) -> None:
    follow.write("a" + LONG)
    follow.read()
    follow.write("b" + LONG, "c" + LONG, "d" + LONG)
    shutil.copy(follow.app, follow.copy)
    assert stopping(follow, "c") == ["b"]
    if is_truncated:
        os.truncate(follow.app, 0)
    follow.write("e")
    assert looked(follow) == "cde"
    follow.write("f", path=follow.app)
    assert looked(follow) == "f"


@pytest.mark.parametrize("is_truncated", [True, False])
def test_one_that_is_still_being_made(follow: Follow, is_truncated: bool) -> None:
    """`cp` of a large file takes its time: the look comes in the middle of it."""
    follow.write(*(f"{letter}{'x' * 2000}" for letter in "abc"))
    follow.read()
    follow.write("d")
    whole = follow.app.read_bytes()
    follow.copy.write_bytes(whole[:4500])
    assert looked(follow) == "d"
    follow.copy.write_bytes(whole)
    if is_truncated:
        os.truncate(follow.app, 0)
    follow.write("e")
    assert looked(follow) == "e"
    assert follow.told == []


def test_one_that_nobody_knew_yet_neither_it_nor_its_original(follow: Follow) -> None:
    follow.write("a", "b")
    shutil.copy(follow.app, follow.copy)
    assert looked(follow) == "ab"
    follow.write("c")
    assert looked(follow) == "c"


def test_two_files_that_begin_alike_are_two(follow: Follow) -> None:
    """The first event of two processes may be the same to the byte."""
    follow.write("same")
    follow.read()
    follow.write("a", "b", "c")
    follow.write("same", "d", "e", path=follow.copy)
    assert looked(follow) == "abcdes"
    follow.write("f", path=follow.copy)
    follow.write("g")
    assert looked(follow) == "fg"


def test_the_end_of_a_line_that_was_taken_without_it_is_no_line(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    follow.write("1")
    follow.read()
    follow.app.write_bytes(b'1\n{"a":1}')
    assert [follow.read(), follow.read()] == [[], ['{"a":1}']]
    follow.write("")
    shutil.copy(follow.app, follow.folder / "app-1.jsonl")
    os.truncate(follow.app, 0)
    assert follow.read() == []


def _numbered(follow: Follow) -> None:
    shutil.copy(follow.app, follow.folder / "app.jsonl.1")


def _dated(follow: Follow) -> None:
    shutil.copy(follow.app, follow.folder / "app.jsonl-20260101")


@pytest.mark.parametrize("copy", [_numbered, _dated])
def test_one_outside_of_the_globs_is_found_beside_the_file_that_was_truncated(
    tmp_path: Path, copy: Callable[[Follow], None]
) -> None:
    follow = Follow(tmp_path)
    follow.write("a")
    follow.read()
    follow.write("b")
    copy(follow)
    os.truncate(follow.app, 0)
    follow.write("c")
    assert looked(follow) == "bc"
    assert follow.told == []
    follow.write("d")
    assert looked(follow) == "d"


@pytest.mark.parametrize(("name", "content"), [(None, ""), ("app.jsonl.1.gz", "a\nb\n"), ("app.jsonl.1", "other\n")])
def test_where_no_copy_is_left_that_is_told(tmp_path: Path, name: str | None, content: str) -> None:
    """None at all, one that was packed at once, one of something else."""
    follow = Follow(tmp_path)
    follow.write("a")
    follow.read()
    if name:
        (follow.folder / name).write_text(content)
    os.truncate(follow.app, 0)
    follow.write("c")
    assert looked(follow) == "c"
    assert follow.told == [
        "telemetry/app.jsonl was truncated or written anew, and no copy of it lies beside it: "
        "lines that were written to it after the last look are lost, if there were any"
    ]
    follow.write("d")
    assert looked(follow) == "d"
    assert follow.told == []


def test_a_file_that_comes_and_is_rotated_between_two_looks_needs_a_glob_that_matches_both_names(
    tmp_path: Path,
) -> None:
    """Nobody could know that it ever had the other name."""
    narrow = Follow(tmp_path)
    wide = FilesSource(replace(RULE, paths=("telemetry/app.jsonl*",)), tmp_path)
    narrow.write("a")
    narrow.read()
    for number, letter in ((2, "b"), (1, "c")):
        narrow.write(letter)
        narrow.app.rename(narrow.folder / f"app.jsonl.{number}")
    narrow.write("d")
    assert looked(narrow) == "bd"
    sink = Taken()
    wide.read({}, Ask(Window(FIRST, FIRST + WINDOW), FIRST + WINDOW, "B", True), sink)
    assert sorted(sink.lines) == [b"a", b"b", b"c", b"d"]
