"""Files that an application appends to, and rotates: every line once, whatever happens to the files."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from checker.analyzer.lines import MAX_LINE_BYTES
from checker.collector.sources.base import Ask, SourceFailed
from checker.collector.sources.files import MAX_FILES
from checker.model import Window
from tests.batches import FIRST, WINDOW
from tests.collectors import Bench, names, save, start_of
from tests.following import RULE, Follow, Taken


def test_what_is_appended_is_read_once(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    follow.write("1", "2")
    assert follow.read() == ["1", "2"]
    assert follow.read() == []
    follow.write("3")
    assert follow.read() == ["3"]
    follow.write("4", path=follow.folder / "other.jsonl")
    assert follow.read() == ["4"]
    assert follow.read() == []


@pytest.mark.parametrize("name", ["app.jsonl.1", "app-1.jsonl"])  # outside of the glob, and inside
def test_a_file_that_is_renamed_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    follow = Follow(tmp_path)
    follow.write("1")
    follow.read()
    follow.write("2")
    follow.app.rename(follow.folder / name)
    follow.write("3")
    assert sorted(follow.read()) == ["2", "3"]
    follow.write("late", path=follow.folder / name)  # the application still had it open
    follow.write("4")
    assert sorted(follow.read()) == ["4", "late"]
    assert follow.read() == []


@pytest.mark.parametrize("name", ["app.jsonl.1", "app-1.jsonl"])
def test_a_file_that_is_copied_and_truncated(tmp_path: Path, name: str) -> None:
    """Lines that were not read when it was copied are in the copy, whatever the glob."""
    follow = Follow(tmp_path)
    follow.write("one", "two")
    follow.read()
    follow.write("three")
    shutil.copy(follow.app, follow.folder / name)
    os.truncate(follow.app, 0)
    follow.write("four")
    assert sorted(follow.read()) == ["four", "three"]
    assert follow.read() == []


def test_a_copy_of_a_file_that_is_still_there_is_not_read_twice(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    follow.write("one", "two")
    follow.read()
    follow.write("three")
    shutil.copy(follow.app, follow.folder / "app-1.jsonl")  # looked at before it is truncated
    assert follow.read() == ["three"]
    os.truncate(follow.app, 0)
    follow.write("four")
    assert follow.read() == ["four"]
    assert follow.read() == []


@pytest.mark.parametrize("lines", [("9",), ("9", "8", "7", "6", "5", "4")])  # shorter than before, and longer
def test_a_file_that_is_written_anew_is_begun_anew(tmp_path: Path, lines: tuple[str, ...]) -> None:
    follow = Follow(tmp_path)
    follow.write("1", "2", "3")
    follow.read()
    follow.app.write_text("".join(f"{line}\n" for line in lines))
    assert follow.read() == list(lines)


def test_a_new_file_at_the_place_of_a_deleted_one(tmp_path: Path) -> None:
    """The file system may give it the same inode."""
    follow = Follow(tmp_path)
    follow.write("1", "2")
    follow.read()
    follow.app.unlink()
    follow.write("3", "4", "5")
    assert follow.read() == ["3", "4", "5"]


def test_a_line_without_an_end_waits_for_it(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    follow.app.write_bytes(b'{"a":1}\n{"b"')
    assert follow.read() == ['{"a":1}']
    assert follow.read() == []  # and it is no whole event
    with follow.app.open("ab") as file:
        file.write(b":2}\n")
    assert follow.read() == ['{"b":2}']


def test_a_whole_event_that_never_gets_its_end_is_taken_when_it_has_rested(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    follow.app.write_bytes(b'{"a":1}\n{"b":2}')
    assert follow.read() == ['{"a":1}']
    assert follow.read() == ['{"b":2}']
    assert follow.read() == []
    with follow.app.open("ab") as file:
        file.write(b'\n{"c":3}\n')  # its end comes after all
    assert follow.read() == ['{"c":3}']


def test_a_torn_line_of_a_file_that_was_renamed_is_given_up(tmp_path: Path) -> None:
    """The cycle sets it aside, with the reason."""
    follow = Follow(tmp_path)
    follow.app.write_bytes(b'{"a":1}\n{"b"')
    follow.read()
    follow.app.rename(follow.folder / "app.jsonl.1")
    assert follow.read() == ['{"b"']
    assert follow.read() == []


def test_long_lines(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    long, longer = "x" * (MAX_LINE_BYTES - 1), "y" * (40 << 20)
    follow.write("1", long, longer, "2")
    read = follow.read()
    assert [line[:1] for line in read] == ["1", "x", "y", "2"]
    assert [len(line) for line in read] == [1, MAX_LINE_BYTES - 1, MAX_LINE_BYTES + 1, 1]  # cut, but still too long
    follow.write("3")
    assert follow.read() == ["3"]


def test_a_long_line_takes_no_more_memory_than_a_line_may(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    follow.write("1", "y" * (40 << 20), "2")
    tracemalloc.start()
    try:
        read = [line[:1] for line in follow.read()]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == ["1", "y", "2"]
    assert peak < 8 * MAX_LINE_BYTES


def test_bytes_that_are_gone_unread_are_told(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    follow.app.write_bytes(b"1\n22")
    follow.read()
    follow.app.unlink()
    follow.write("3", path=follow.folder / "other.jsonl")
    assert follow.read() == ["3"]
    assert follow.told == ["telemetry/app.jsonl is gone: 2 bytes of it were not read"]


@pytest.mark.parametrize("looks", [1, 3])
def test_a_file_that_is_away_for_a_while_goes_on_where_it_was(tmp_path: Path, looks: int) -> None:
    """One of two volumes is not mounted, say."""
    follow = Follow(tmp_path)
    other, away = follow.folder / "other.jsonl", tmp_path / "away"
    follow.write("1")
    follow.write("2", "3", path=other)
    assert follow.read() == ["1", "2", "3"]
    other.rename(away)
    for look in range(looks):
        follow.write(f"meanwhile {look}")
        assert follow.read() == [f"meanwhile {look}"]
    follow.write("4", path=away)
    away.rename(other)
    assert follow.read() == ["4"]
    assert follow.read() == []


@pytest.mark.parametrize("read_before", [True, False])
def test_a_file_that_got_the_inode_of_another_and_no_name_of_the_globs_is_not_read(
    tmp_path: Path, read_before: bool
) -> None:
    follow = Follow(tmp_path)
    follow.app.touch()
    if read_before:
        follow.write("1")
    follow.read()
    follow.app.write_text("something else\n")
    follow.app.rename(follow.folder / "notes.txt")
    follow.write("2")
    assert follow.read() == ["2"]


def test_an_empty_file_that_is_filled_and_renamed_is_read(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    follow.app.touch()
    follow.read()
    follow.write("1")
    follow.app.rename(follow.folder / "app.jsonl.1")
    follow.write("2")
    assert sorted(follow.read()) == ["1", "2"]


def _directory(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _link(path: Path) -> None:
    path.with_name("real").write_text("1\n")
    path.symlink_to("real")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_directory, "Is a directory"),
        (_pipe, "Is a named pipe"),
        (_loop, "Is a link"),
        (_link, "Is a link"),
    ],
)
def test_what_is_no_file_is_a_failure(tmp_path: Path, make: Callable[[Path], None], told: str) -> None:
    follow = Follow(tmp_path)
    make(follow.app)
    with pytest.raises(SourceFailed, match=rf"app\.jsonl: {told}"):
        follow.read()


def test_no_file_is_a_failure_unless_that_may_be(tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match=r"no file matches telemetry/\*\.jsonl; expected"):
        Follow(tmp_path).read()
    assert Follow(tmp_path, replace(RULE, optional=True)).read() == []


def test_too_many_files_are_a_failure(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    for number in range(MAX_FILES):
        (follow.folder / f"{number}.jsonl").touch()
    assert follow.read() == []
    follow.write("one more")
    with pytest.raises(SourceFailed, match="1,001 files match"):
        follow.read()


def test_packed_files_are_passed_over(tmp_path: Path) -> None:
    follow = Follow(tmp_path, replace(RULE, paths=("telemetry/*",)))
    follow.write("1")
    (follow.folder / "app.jsonl.1.gz").write_bytes(b"\x1f\x8b")
    assert follow.read() == ["1"]


def test_from_the_end(tmp_path: Path) -> None:
    follow = Follow(tmp_path, replace(RULE, read_from="end"))
    follow.write("1", "2")
    follow.app.open("a").close()
    assert follow.read() == []
    follow.write("3", path=follow.folder / "new.jsonl")  # a new file is read whole
    follow.write("4")
    assert sorted(follow.read()) == ["3", "4"]


def test_one_that_is_skipped_goes_on_where_it_was_at_the_last_look(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    follow.write("1")
    follow.read()
    follow.write("2")
    follow.position = follow.source.skip(follow.position)
    follow.write("3")
    follow.position = follow.source.skip(follow.position)
    follow.write("4")
    assert follow.read() == ["3", "4"]


def test_reading_stops_ahead_of_what_is_of_a_later_window(tmp_path: Path) -> None:
    follow = Follow(tmp_path)
    follow.write(*["a" * 1000] * 1500, *["later" + "b" * 1000] * 1500)
    sink = Taken(b"later" + b"b" * 1000 + b"\nlater")
    ask = Ask(Window(FIRST, FIRST + WINDOW), FIRST + WINDOW, "B", False)
    position = follow.source.read({}, ask, sink)
    assert 0 < position["files"][0]["offset"] < follow.app.stat().st_size
    assert set(sink.lines) == {b"a" * 1000}
    follow.position = position
    assert len(sink.lines) + len(follow.read()) == 3000


def test_through_the_whole_collector(tmp_path: Path) -> None:
    """Rotation in the middle of a window: each event in one batch."""
    bench = Bench(tmp_path)
    for number in range(3):
        at = start_of(number)
        bench.append(save(at + timedelta(minutes=1), f"{number}a"))
        bench.telemetry.rename(bench.telemetry.with_name(f"app-{number}.jsonl"))
        bench.append(save(at + timedelta(minutes=2), f"{number}b"))
        bench.cycle(number)
        assert sorted(names(bench.lines(number))) == [f"{number}a", f"{number}b"]
