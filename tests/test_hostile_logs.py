"""Logs that anybody wrote: each line and file is taken exactly or refused, in bounded memory, in time for its size."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checker.analyzer.batches import MAX_NAMED, LogFolder
from checker.analyzer.lines import MAX_LINE_BYTES, line_checker
from checker.analyzer.unpack import GZIP, PLAIN, ZSTD, unpacked
from tests.telemetry import ROOT, all_lines, autosave_schema, ingested, instant, line, rules_for, save, write_batch
from tests.test_fast_path import assert_same_both_ways
from tests.test_lines import event

BIG = 200_000
STRANGE = {
    "brackets in a string": event(b'"z":"' + b"[{" * BIG + b'"'),
    "escapes": event(b'"z":"' + b'\\"' * BIG + b'"'),
    "NULs that are escaped": event(b'"a\\u0000b":"\\u0000"'),
    "a hundred thousand keys": event(b",".join(b'"k%d":1' % number for number in range(100_000)))[:MAX_LINE_BYTES],
    "tens of thousands of keys": event(b",".join(b'"k%d":1' % number for number in range(60_000))),
    "a long key": event(b'"' + b"k" * BIG + b'":1'),
    "a number of many digits": event(b'"duration_ms":3.' + b"3" * BIG),
    "a number below all doubles": event(b'"duration_ms":0.' + b"0" * BIG + b"1"),
    "a whole number above 2^53": event(b'"bytes":9007199254740993,"duration_ms":9007199254740993'),
    "the largest double": event(b'"duration_ms":1.7976931348623157e308'),
    "a key that differs in case": event(b'"DURATION_MS":"x","Event":7,"duration_ms":1'),
    "a long name of an event": event().replace(b'"x"', b'"' + b"x" * BIG + b'"'),
    "a release of many characters": event(b'"release":"' + b"r" * BIG + b'"'),
    "separators of other scripts": event('"z":"\u2028\u2029\x85"'.encode()),
    "a byte order mark": b"\xef\xbb\xbf" + event(),
    "a carriage return inside": event(b'"z":"a\rb"'),
    "a lone surrogate": event(b'"z":"\\udc00"'),
    "the first day": event().replace(b"2026-01-02T12:00:00Z", b"1900-01-01T00:00:00+23:59"),
    "the last day": event().replace(b"2026-01-02T12:00:00Z", b"2999-12-31T23:59:59.999999999-23:59"),
    "brackets without end": b"[" * BIG,
    "braces without end": b'{"a":' * BIG,
    "brackets within": event(b'"z":' + b"[" * BIG + b"]" * BIG),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_line_between_sound_ones_both_ways(name: str) -> None:
    sound = event()
    assert assert_same_both_ways([sound, STRANGE[name], sound], autosave_schema(), payload=True) in (2, 3)


GROWING = {
    "brackets": lambda count: b"[" * count,
    "escapes without an end": lambda count: event(b'"z":"' + b'\\"' * count)[:-1],
    "quotes": lambda count: b'"' * count,
    "backslashes": lambda count: b"\\" * count,
    "keys, one twice": lambda count: event(
        b",".join(b'"k%d":1' % number for number in range(count // 10)) + b',"k%d":2' % (count // 10 - 1)
    ),
    "errors": lambda count: event(b'"incomplete":[1' + b",1" * count + b"]"),
    "digits": lambda count: event(b'"duration_ms":' + b"9" * count),
}


@pytest.mark.parametrize("name", GROWING)
def test_time_grows_with_the_size_of_a_line(name: str) -> None:
    check = line_checker(autosave_schema())
    content = GROWING[name](400_000)
    assert len(content) <= MAX_LINE_BYTES
    begun = time.process_time()
    assert check(content, True) is not None
    assert time.process_time() - begun < 2  # it takes a tenth of that; with its square it would take minutes


READ = """
import re, sys
from pathlib import Path
from tests.telemetry import ingested, rules_for
index = ingested(Path(sys.argv[1]), rules_for()).index
(peak,) = re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(index.lines, sum(index.events.values()), dict(index.quarantined), peak)
"""


# The process's own peak: that of getrusage begins at the peak of who started it.
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_endless_line_takes_no_memory(suffix: str, tmp_path: Path) -> None:
    size = 150 << 20
    path = write_batch(tmp_path, "12:00", [save("12:01", "a")])
    if suffix == ".jsonl":
        os.truncate(path, path.stat().st_size + size)  # zeros that take no place
    else:
        path.unlink()
        path = path.with_name(f"{path.name}.gz")
        with gzip.open(path, "wb", compresslevel=0) as batch:
            batch.write(save("12:01", "a"))
            for _ in range(size >> 20):
                batch.write(b"a" * (1 << 20))
    with path.open("ab") as batch:
        rest = b"\n" + save("12:02", "b")
        batch.write(rest if suffix == ".jsonl" else gzip.compress(rest))
    told = subprocess.run([sys.executable, "-c", READ, path], cwd=ROOT, capture_output=True, text=True, check=True)
    counts, _, peak_kb = told.stdout.rpartition(" ")
    assert counts == "3 2 {'too_long': 1}"
    assert int(peak_kb) < 300 << 10


def test_names_of_what_is_no_batch_are_few_and_safe_to_show(tmp_path: Path) -> None:
    names = [b"\x1b[2J\nMET.jsonl", b"\xff.jsonl", b"..jsonl", b"a" * 249 + b".jsonl", "\u202eok.jsonl".encode()]
    for name in [*names, *(b"odd-%d.jsonl" % number for number in range(30))]:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    told = LogFolder(tmp_path).passed_over
    assert len(told) == MAX_NAMED + 1
    assert told[-1] == "… and 15 more"
    assert all(name.isprintable() for name in told)
    assert "\\x1b[2J\\nMET.jsonl" in told


@pytest.mark.parametrize("through", ["a link", "itself"])
def test_log_folder_may_be_a_link_and_have_any_name(through: str, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lo'gs \xff"))
    path = write_batch(folder, "12:00", [save("12:01", "a")])
    if through == "a link":
        (tmp_path / "link").symlink_to(folder)
        path = tmp_path / "link" / path.name
    assert [batch.path for batch in LogFolder(path.parent).batches] == [path]
    target = tmp_path / path.name
    os.link(path, target)  # DuckDB writes the events beside it, and wants a name that is text
    assert ingested(target, rules_for()).index.lines == 1


def test_long_names_are_told_apart_in_the_index(tmp_path: Path) -> None:
    lines = [save("12:01", name, release="r" * 2000 + name[0]) for name in ("1", "2", "2 again")]
    lines += [line("12:02", "alert.fired", severity="critical", name="n" * 3000)]
    index = ingested(write_batch(tmp_path, "12:00", lines), rules_for()).index
    assert len({row.release for row in index.releases}) == 2
    assert all(len(row.release) < 600 for row in index.releases)
    assert [(row.severity, len(row.name) < 600) for row in index.alerts] == [("critical", True)]
    assert all_lines(index) == index.lines == 4
    assert {row.window_start for row in index.releases} == {instant("12:00")}


@pytest.mark.parametrize(("packing", "pack"), [(GZIP, gzip.compress), (ZSTD, None), (PLAIN, bytes)])
def test_readers_of_one_file_do_not_move_each_other(packing: str, pack: object, tmp_path: Path) -> None:
    import zstandard

    content = os.urandom(700_000)
    path = tmp_path / "file"
    path.write_bytes((pack or zstandard.compress)(content))  # type: ignore[operator]
    with path.open("rb") as held, unpacked(held.fileno(), packing) as one, unpacked(held.fileno(), packing) as two:
        assert one.read(300_000) == content[:300_000]
        assert two.read() == content
        assert one.read() == content[300_000:]


def test_zeros_after_a_gzip_member_are_no_damage(tmp_path: Path) -> None:
    path = write_batch(tmp_path, "12:00", [save("12:01", "a")], ".jsonl.gz")
    path.write_bytes(path.read_bytes() + b"\0" * 70_000 + gzip.compress(save("12:02", "b")) + b"\0" * 9)
    assert ingested(path, rules_for()).index.lines == 2
