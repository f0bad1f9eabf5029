"""The receiver's spool: what was acknowledged is there, once, whatever happens to process, disk and folder."""

from __future__ import annotations

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from checker.collector.otlp import spool
from checker.collector.otlp.segment import Segment
from checker.collector.otlp.spool import SpoolWriter, blocks, segments
from checker.collector.sources.base import Ask, SourceFailed
from checker.collector.sources.otlp import OtlpSource
from checker.errors import NotRecorded
from checker.policy.collecting import OtlpRule
from checker.windows import windows_between
from tests.batches import FIRST, WINDOW
from tests.limits import files_of_at_most
from tests.otlp_client import FIELDS, spooled

LINE = b'{"n":1}\n'
ASK = Ask(next(iter(windows_between(FIRST, FIRST + WINDOW, WINDOW))), FIRST + timedelta(hours=1), "B", is_newest=True)


@dataclass(slots=True)
class Taken:
    """What a source handed over. Lines that hold `later` are of a window to come."""

    lines: list[bytes] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    later: bytes = b"later"

    def add(self, lines: bytes, origin: str, offset: int = 0, *, is_verbatim: bool = False) -> None:
        assert not is_verbatim
        self.lines += lines.splitlines()
        self.places.append((origin, offset))

    def is_past(self, lines: bytes) -> bool:
        return self.later in lines

    def tell(self, told: str) -> None:
        self.told.append(told)


def source(folder: Path) -> OtlpSource:
    return OtlpSource(OtlpRule("otel", fields=FIELDS), folder)


def write(folder: Path, *requests: str, line: bytes = LINE) -> None:
    """Let a writer come and go; each request is a digest's one character."""
    writer = SpoolWriter(folder)
    for name in requests:
        writer.append(name * 64, line)
    writer.close()


def names(folder: Path) -> list[str]:
    return [path.name for path in segments(folder)]


def test_a_spool_that_was_cut_anywhere_keeps_every_whole_request(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    writer.append("a" * 64, b'{"n":1}\n{"n":2}\n')
    first = segments(tmp_path)[0].stat().st_size
    writer.append("b" * 64, b'{"n":3}\n')
    writer.close()
    whole = segments(tmp_path)[0].read_bytes()
    for cut in range(first, len(whole) + 1):
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / "00000001.spool").write_bytes(whole[:cut])
        read = [line for block in blocks(tmp_path / "00000001.spool") for line in block.lines.splitlines()]
        assert len(read) == (3 if cut == len(whole) else 2)  # a reader beside it
        again = SpoolWriter(tmp_path)
        assert again.append("a" * 64, b'{"n":1}\n{"n":2}\n') is False
        assert again.append("b" * 64, b'{"n":3}\n') is (cut < len(whole))
        again.close()
        taken = Taken()
        source(tmp_path).read({}, ASK, taken)
        assert taken.lines == [b'{"n":1}', b'{"n":2}', b'{"n":3}']


def test_one_writer(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    with pytest.raises(NotRecorded, match="another receiver writes this spool"):
        SpoolWriter(tmp_path)
    writer.close()
    with pytest.raises(OSError, match="the spool is closed"):
        writer.append("a" * 64, LINE)
    write(tmp_path, "a")
    assert spooled(tmp_path) == [LINE.strip()]


@pytest.mark.parametrize("restarts", [1, 5])
def test_a_request_is_known_after_restarts(tmp_path: Path, restarts: int) -> None:
    write(tmp_path, "a")
    for _ in range(restarts):
        write(tmp_path)
    write(tmp_path, "a")
    assert len(spooled(tmp_path)) == 1


@pytest.mark.parametrize("restarts", [False, True])
def test_the_newest_requests_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarts: bool) -> None:
    monkeypatch.setattr(spool, "REMEMBERED", 2)
    if restarts:
        for name in "abc":
            write(tmp_path, name)
    writer = SpoolWriter(tmp_path)
    if not restarts:
        assert [writer.append(name * 64, LINE) for name in "abc"] == [True] * 3
    assert [writer.append(name * 64, LINE) for name in "bca"] == [False, False, True]
    writer.close()


@pytest.mark.parametrize("tail", [bytes(300), b"#", b"#" + b"f" * 64, b"#" + b"f" * 64 + b" 90 1\n{", b"\n"])
def test_what_a_crash_left_at_the_end_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    write(tmp_path, "a")
    path = segments(tmp_path)[0]
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    write(tmp_path, "b")
    assert path.read_bytes() == whole
    taken = Taken()
    assert source(tmp_path).read({}, ASK, taken) == {"segment": "00000002.spool", "offset": len(whole)}
    assert taken.places == [("otlp:00000001.spool", 0), ("otlp:00000002.spool", 0)]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (b"#b", b"xb", "00000001.spool: no block at byte 78"),
        (b"b 8 1\n", b"b 8 2\n", "00000001.spool: the block at byte 78 has not the 2 lines it says"),
        (b"b 8 1\n", b"b 7 1\n", "00000001.spool: the block at byte 78 has not the 1 lines it says"),
        (b"b 8 1\n", b"b 999999999999 1\n", "00000001.spool: the block at byte 78 is cut off"),
    ],
)
def test_damage_in_the_middle_is_told_and_stops_no_receiver(
    tmp_path: Path, before: bytes, after: bytes, told: str
) -> None:
    write(tmp_path, "a", "b", "c")
    path = segments(tmp_path)[0]
    damaged = path.read_bytes().replace(before, after)
    path.write_bytes(damaged)
    write(tmp_path, "d")
    assert path.read_bytes() == damaged  # what follows the damage was acknowledged
    with pytest.raises(SourceFailed, match=f"the spool is damaged: {told}; stop the receiver and move that segment"):
        source(tmp_path).read({}, ASK, Taken())
    path.rename(tmp_path / "aside")  # as it says
    taken = Taken()
    position = source(tmp_path).read({"segment": path.name, "offset": 78}, ASK, taken)
    assert (position["segment"], len(taken.lines), taken.told) == ("00000002.spool", 1, [])


def test_an_end_that_is_cut_off_is_told_where_more_was_written_since(tmp_path: Path) -> None:
    write(tmp_path, "a")
    write(tmp_path, "b")
    path = segments(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SourceFailed, match=r"00000001\.spool: the block at byte 0 is cut off"):
        source(tmp_path).read({}, ASK, Taken())


def test_no_number_is_used_again(tmp_path: Path) -> None:
    write(tmp_path, "a")
    write(tmp_path, "b")
    for path in segments(tmp_path):
        path.unlink()
    write(tmp_path, "c")
    assert names(tmp_path) == ["00000003.spool"]


def test_a_spool_that_was_begun_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    position = {"segment": "00000007.spool", "offset": 99}
    write(tmp_path, "a")
    write(tmp_path, "b")
    source(tmp_path).committed(position)  # of the one before: none of this was read
    taken = Taken()
    assert source(tmp_path).read(position, ASK, taken) == {"segment": "00000002.spool", "offset": 78}
    assert len(taken.lines) == 2
    assert taken.told == ["the spool was begun anew before 00000007.spool: it is read from its beginning"]


def test_a_spool_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    taken = Taken()
    position = source(tmp_path / "none").read({}, ASK, taken)
    source(tmp_path / "none").committed(position)
    assert (taken.lines, taken.told) == ([], [])
    write(tmp_path / "none", "a")
    source(tmp_path / "none").read(position, ASK, taken)
    assert len(taken.lines) == 1


def test_reading_stops_before_what_is_still_to_come_and_goes_on_there(tmp_path: Path) -> None:
    write(tmp_path, "a")
    write(tmp_path, "b", line=b'{"n":"later"}\n')
    write(tmp_path, "c")
    taken = Taken()
    position = source(tmp_path).read({}, ASK, taken)
    assert (position, len(taken.lines)) == ({"segment": "00000002.spool", "offset": 0}, 1)
    taken = Taken(later=b"never")
    position = source(tmp_path).read(position, ASK, taken)
    assert (position, len(taken.lines)) == ({"segment": "00000003.spool", "offset": 78}, 2)
    assert source(tmp_path).read(position, ASK, taken) == position
    assert source(tmp_path).skip(position) == position
    assert len(taken.lines) == 2


def test_segments_that_were_read_and_sealed_go(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, name)
    source(tmp_path).committed({"segment": "00000002.spool", "offset": 78})
    assert names(tmp_path) == ["00000002.spool", "00000003.spool"]  # the second may be read from again
    source(tmp_path).committed({"segment": "00000003.spool", "offset": 78})
    assert names(tmp_path) == ["00000003.spool"]  # the newest may still grow


def test_a_full_disk_takes_nothing_of_a_request_or_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 78)  # the second request begins a segment
    writer = SpoolWriter(tmp_path)
    for room in (0, 8, 77):
        with files_of_at_most(room), pytest.raises(OSError, match="File too large"):
            writer.append("a" * 64, LINE)
        assert spooled(tmp_path) == []
    with files_of_at_most(78):
        assert [writer.append(name * 64, LINE) for name in "aab"] == [True, False, True]
    writer.close()
    assert [path.stat().st_size for path in segments(tmp_path)] == [78, 78]


def test_a_disk_that_failed_once_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells of a failed sync once; the next succeeds, though what was written is gone."""
    written, failed = threading.Semaphore(0), threading.Event()

    class FailsOnce(Segment):
        def write(self, block: bytes) -> int:
            end = super().write(block)
            written.release()
            return end

        def sync_fault(self) -> OSError | None:
            if failed.is_set():
                return super().sync_fault()
            assert all(written.acquire(timeout=20) for _ in "abcd")  # all four wait for this one
            failed.set()
            return OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(spool, "Segment", FailsOnce)
    writer = SpoolWriter(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(writer.append, name * 64, LINE) for name in "abcd"]
        assert [type(answer.exception(20)) for answer in answers] == [OSError] * 4
    assert spooled(tmp_path) == []
    assert [writer.append(name * 64, LINE) for name in "abcda"] == [True] * 4 + [False]  # they send it again
    writer.close()
    assert (len(spooled(tmp_path)), names(tmp_path)) == (4, ["00000001.spool", "00000002.spool"])


def test_many_write_and_one_reads_while_segments_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 500)
    writer, reader, taken = SpoolWriter(tmp_path), source(tmp_path), Taken()

    def send(client: int) -> None:
        for number in range(40):
            line = b'{"n":%d}\n' % (client * 100 + number)
            assert writer.append(f"{client:032x}{number:032x}", line)
            assert not writer.append(f"{client:032x}{number:032x}", line)

    position = reader.read({}, ASK, taken)
    with ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(send, client) for client in range(6)]
        while not all(client.done() for client in clients):
            position = reader.read(position, ASK, taken)
            reader.committed(position)
    assert [client.result() for client in clients] == [None] * 6
    writer.close()
    reader.committed(reader.read(position, ASK, taken))
    assert sorted(taken.lines) == sorted(b'{"n":%d}' % (client * 100 + n) for client in range(6) for n in range(40))
    assert len(segments(tmp_path)) == 1
