"""Reading one governed file: what a stranger may have put in its place is refused, and nothing is waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from checker.policy.governed_text import read_governed_text
from checker.policy.yaml_text import MAX_BYTES, is_hidden


def _socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(place))


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "a/x.sql: is a named pipe; only a regular file is read"),
    "socket": (_socket, "a/x.sql: is a socket; only a regular file is read"),
    "folder": (Path.mkdir, "a/x.sql: is a directory; only a regular file is read"),
    "link to a file": (
        lambda place: place.symlink_to("/etc/passwd"),
        "a/x.sql: is a link; only a regular file is read",
    ),
    "link to a device": (
        lambda place: place.symlink_to("/dev/zero"),
        "a/x.sql: is a link; only a regular file is read",
    ),
    "link to nothing": (lambda place: place.symlink_to("nothing"), "a/x.sql: is a link; only a regular file is read"),
    "link to itself": (lambda place: place.symlink_to("x.sql"), "a/x.sql: is a link; only a regular file is read"),
    "nothing": (lambda _: None, "a/x.sql: does not exist"),
    "a hole of a gigabyte": (lambda place: _hole(place, 1 << 30), f"a/x.sql: is larger than {MAX_BYTES} bytes"),
    "latin-1": (lambda place: place.write_bytes(b"ok\n-- \xe9"), "a/x.sql:2:4: byte 0xe9 is not UTF-8"),
    "zero-width": (lambda place: place.write_text("ok\n-- \u200bx"), "a/x.sql:2:4: U+200B (ZERO WIDTH SPACE)"),
}


def _hole(place: Path, size: int) -> None:
    with place.open("wb") as file:
        file.truncate(size)


@pytest.mark.parametrize(("put", "expected"), CASES.values(), ids=CASES)
def test_what_lies_there_instead(tmp_path: Path, put: Callable[[Path], object], expected: str) -> None:
    (tmp_path / "a").mkdir()
    put(tmp_path / "a/x.sql")
    (problem,) = read_governed_text(tmp_path, "a/x.sql").problems
    assert str(problem).startswith(expected)


def test_a_link_among_the_folders(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x.sql").write_text("select 1")
    (tmp_path / "a").symlink_to("elsewhere")
    (problem,) = read_governed_text(tmp_path, "a/x.sql").problems
    assert str(problem) == "a/x.sql: passes through the link 'a'; put the file itself there"


@pytest.mark.parametrize("relative", ["../x.sql", "a/../../x.sql", "/etc/passwd", "", "a\0b", "a/.."])
def test_a_path_that_leads_out_of_the_project(tmp_path: Path, relative: str) -> None:
    read = read_governed_text(tmp_path, relative)
    assert (read.text, len(read.problems)) == (None, 1)


def test_the_project_itself_may_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x.sql").write_text("select 'ä'\r\n")
    (tmp_path / "link").symlink_to("real")
    assert read_governed_text(tmp_path / "link", "x.sql") == ("select 'ä'\n".replace("\n", "\r\n"), ())


@pytest.mark.parametrize(
    "code",
    [
        0,
        0x1B,
        0x7F,
        0x85,
        0xAD,
        0x34F,
        0x61C,
        0x115F,
        0x180E,
        0x200B,
        0x200D,
        0x2028,
        0x202A,
        0x202E,
        0x2060,
        0x2066,
        0x3164,
        0xFE0F,
        0xFEFF,
        0xFFA0,
        0xE0041,
        0xE0101,
        0xD800,
    ],
)
def test_characters_that_hide(code: int) -> None:
    assert is_hidden(chr(code))


@pytest.mark.parametrize("character", ["a", "é", "ß", "日", "→", "⚠", "🎈", "а", "\u00a0", "…"])
def test_characters_that_show(character: str) -> None:
    assert not is_hidden(character)
