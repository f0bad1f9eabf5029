"""A batch that is read: every line accounted for, an index of what it holds, or a reason why it cannot be read."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from checker.analyzer.batch_index import BatchIndex
from checker.analyzer.batches import HeldBatch, read_lines
from checker.errors import CannotDecide
from tests.telemetry import all_lines, failure, ingested, instant, line, rules_for, save, seal, write_batch
from tests.test_lines import BROKEN, SOUND

START = "12:00"
# (line, where it goes)
KINDS: Sequence[tuple[bytes, str]] = [
    (save("12:01", "r1"), "events"),
    (save("12:02", "r1"), "copy of r1"),
    (save("12:01", "r2"), "events"),
    (save("12:01", "r2"), "copy of r2"),
    (failure("12:03", "r1"), "events"),
    (save("11:01", "late"), "events"),
    (save("12:20", "next"), "events"),
    (save("12:20:00.001", "future"), "from_the_future"),
    (save("2026-01-01T12:15:00Z", "old"), "events"),
    (save("2026-01-01T12:14:59.999Z", "older"), "too_late"),
    (line("12:04", "unknown.event", anything={"a": [1]}), "events"),
    *((content + b"\n", reason) for content, reason in BROKEN if len(content) < 1000),
]


@settings(max_examples=60, deadline=None)
@given(chosen=st.lists(st.sampled_from(range(len(KINDS))), max_size=120))
def test_every_line_is_accounted_for(chosen: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = [KINDS[number][0] for number in chosen]
    path = write_batch(tmp_path_factory.mktemp("batch"), START, lines)
    found = ingested(path, rules_for())
    index = found.index
    assert all_lines(index) == index.lines == len(lines)
    assert sum(index.events.values()) == len(found.rows)
    expected = Counter(KINDS[number][1] for number in chosen)
    assert index.too_late == expected["too_late"]
    sorts = {"events", "copy of r1", "copy of r2", "too_late"}
    assert index.quarantined == {reason: n for reason, n in sorted(expected.items()) if reason not in sorts}


@settings(max_examples=25, deadline=None)
@given(
    lines=st.lists(st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"")), max_size=60), end=st.booleans()
)
def test_bytes_of_any_kind_are_accounted_for(
    lines: list[bytes], end: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = b"\n".join(lines) + (b"\n" if lines and end else b"")
    index = ingested(write_batch(tmp_path_factory.mktemp("batch"), START, [data]), rules_for()).index
    expected = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    assert all_lines(index) == index.lines == expected


def test_thousands_of_lines_of_every_kind(tmp_path: Path) -> None:
    lines = [KINDS[number % len(KINDS)][0] for number in range(60 * len(KINDS))]
    index = ingested(write_batch(tmp_path, START, lines), rules_for()).index
    assert all_lines(index) == index.lines == len(lines) > 3000
    once = {"r1", "r2", "r1 failed", "late", "next", "old"}
    assert sum(index.events.values()) == len(once) + 60  # the unknown event has no dedup key


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\n\n", SOUND[0], SOUND[0] + b"\n", SOUND[0] + b"\r\n" + SOUND[0] + b"\r\n"]
)
def test_lines_and_their_ends(data: bytes, tmp_path: Path) -> None:
    index = ingested(write_batch(tmp_path, START, [data]), rules_for()).index
    assert all_lines(index) == index.lines == len(data.splitlines())
    assert sum(index.events.values()) == data.count(b"{")
    assert index.quarantined == ({"not_json": data.count(b"\n")} if data.strip() == b"" and data else {})


def test_torn_last_line_is_the_only_one_that_is_lost(tmp_path: Path) -> None:
    index = ingested(write_batch(tmp_path, START, [save("12:01", "a"), save("12:02", "b")[:-9]]), rules_for()).index
    assert index.quarantined == {"torn": 1}
    assert index.events == {instant("12:00"): 1}


def test_index_tells_what_the_batch_touches(tmp_path: Path) -> None:
    lines = [
        save("12:01", "a", release="r2"),
        save("12:00:30", "b", release="r2"),
        save("12:00", "c", phase="A"),
        save("11:10", "d", release="r1"),
        save("11:11", "d"),
        line("12:05", "alert.fired", severity="critical", name="disk"),
        line("12:06", "collector.delayed", delay_ms=1, batch_start="2026-01-02T11:45:00Z"),
        line("12:07", "collector.retry_exhausted", source="app", attempts=4),
        seal("12:16", "12:00", 60_000),
    ]
    index = ingested(write_batch(tmp_path, START, lines), rules_for()).index
    assert index.events == {instant("11:00"): 1, instant("11:45"): 1, instant("12:00"): 6}
    assert index.duplicates == {instant("11:00"): 1}
    assert index.touches == {instant("11:00"), instant("11:45"), instant("12:00")}
    assert [(row.phase, row.release, row.first_at) for row in index.releases] == [
        ("B", "r1", instant("11:10")),
        ("B", "r2", instant("12:00:30")),
    ]
    assert [(row.name, row.severity, row.window_start) for row in index.alerts] == [
        ("disk", "critical", instant("12:00")),
        ("collector.delayed", "warning", instant("11:45")),
        ("collector.retry_exhausted", "critical", instant("12:00")),
    ]
    assert index.last_seal_at == instant("12:16")


LINES = [save("12:01", "a"), save("12:02", "b"), b"broken\n", save("12:03", "a")]


def read(path: Path) -> BatchIndex:
    return ingested(path, rules_for()).index


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_compressed_batch_holds_what_the_plain_one_does(suffix: str, tmp_path: Path) -> None:
    plain, packed = (read(write_batch(tmp_path / kind, START, LINES, kind)) for kind in (".jsonl", suffix))
    assert (packed.lines, packed.events, packed.duplicates) == (plain.lines, plain.events, plain.duplicates)
    assert packed.quarantined == plain.quarantined == {"not_json": 1}
    assert packed.digest != plain.digest


@pytest.mark.parametrize(("suffix", "pack"), [(".jsonl.gz", gzip.compress), (".jsonl.zst", zstandard.compress)])
def test_packed_in_two_parts(suffix: str, pack: object, tmp_path: Path) -> None:
    path = write_batch(tmp_path, START, LINES[:2], suffix)
    path.write_bytes(path.read_bytes() + pack(b"".join(LINES[2:])))  # type: ignore[operator]
    assert read(path).lines == len(LINES)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "not packed at all", "a stranger at the end"])
def test_damaged_batch_cannot_be_read_and_says_why(suffix: str, damage: str, tmp_path: Path) -> None:
    many = [save("12:01", f"r{number}", number * 1.7) for number in range(400)]
    path = write_batch(tmp_path, START, many, suffix)
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        {
            "cut": data[:middle],
            "flipped": data[:middle] + bytes(255 - byte for byte in data[middle : middle + 99]) + data[middle + 99 :],
            "not packed at all": b"".join(many),
            "a stranger at the end": data + b"stranger",
        }[damage]
    )
    with pytest.raises(CannotDecide, match=rf"{path.name}: cannot be read: .+"):
        read(path)


def test_batch_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_batch(tmp_path, START, LINES)
    signatures = iter([(1, 1, 1, 1), (1, 2, 1, 1)])
    monkeypatch.setattr(HeldBatch, "signature", lambda _: next(signatures))
    with pytest.raises(CannotDecide, match="changed while it was read"):
        read(path)


@pytest.mark.parametrize(
    ("data", "limit", "expected"),
    [
        (b"", 4, []),
        (b"\n", 4, [(b"", True)]),
        (b"abcd\nab", 4, [(b"abcd", True), (b"ab", False)]),
        (b"abcde\nab\n", 4, [(b"abcde", True), (b"ab", True)]),
        (b"abcdefghijkl\nab\n", 4, [(b"abcde", True), (b"ab", True)]),
        (b"abcdefghijkl", 4, [(b"abcde", False)]),
        (b"abcdefghij\n", 4, [(b"abcde", True)]),
    ],
)
def test_lines_in_bounded_memory(data: bytes, limit: int, expected: list[tuple[bytes, bool]], tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(data)
    with (tmp_path / "data").open("rb") as stream:
        found = list(read_lines(stream, limit))
    assert [(item.content, item.whole) for item in found] == expected
    assert [item.number for item in found] == list(range(len(expected)))


@pytest.mark.parametrize("fast", [True, False])
def test_the_two_zeros_are_read_as_one(fast: bool, tmp_path: Path) -> None:
    lines = [save("12:01", "a", -0.0), save("12:02", "b", 0.0), line("12:03", "x", delay_ms=-0.0)]
    rows = ingested(write_batch(tmp_path, START, lines), rules_for(fast=fast)).rows
    zeros = [row[name] for row in rows for name in ("duration_ms", "delay_ms") if row[name] is not None]
    assert list(map(str, zeros)) == ["0.0"] * 3
