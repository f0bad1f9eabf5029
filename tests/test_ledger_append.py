"""Appending: whole or not at all, chained, one writer at a time, and what a crash left is set aside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checker.errors import LedgerInvalid, NotRecorded
from checker.ledger.append import Draft, writing
from checker.ledger.records import read_ledger
from checker.ledger.state import fold
from tests.ledgers import END_OF_TIME, LedgerBuilder
from tests.limits import files_of_at_most

AT = datetime(2026, 1, 2, 12, 5, tzinfo=UTC)


def pause(reason: str = "holidays", by: str = "Ada") -> Draft:
    return Draft("pause", "B", {"by": by, "reason": reason, "until": None})


def append(path: Path, drafts: Sequence[Draft], at: datetime = AT) -> None:
    with writing(path) as writer:
        writer.append(drafts, at)


def reasons(path: Path) -> list[str]:
    return [record.data["reason"] for record in read_ledger(path, END_OF_TIME).records]


def test_a_ledger_begins_with_its_first_record(tmp_path: Path) -> None:
    path = tmp_path / "ledger" / "autosave.jsonl"
    append(path, [pause("one")])
    append(path, [pause("two"), pause("three")])
    ledger = read_ledger(path, END_OF_TIME)
    assert [(record.seq, record.id, record.at) for record in ledger.records] == [
        (1, "pause-1", AT),
        (2, "pause-2", AT),
        (3, "pause-3", AT),
    ]
    assert (ledger.torn, ledger.end.seq, ledger.end.size) == (None, 3, path.stat().st_size)


def test_it_goes_on_from_a_ledger_written_by_others(tmp_path: Path) -> None:
    path = LedgerBuilder().phase_change("off", "A").decision("2026-01-01T00:00:00Z").write(tmp_path / "l.jsonl")
    append(path, [pause()])
    assert fold(read_ledger(path, END_OF_TIME).records).paused is not None


def test_nothing_is_recorded_into_the_past(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    append(path, [pause()])
    before = path.read_bytes()
    with pytest.raises(NotRecorded, match=r"newest record of .*l\.jsonl is of 2026-01-02T12:05:00Z"):
        append(path, [pause()], AT - timedelta(seconds=61))
    assert path.read_bytes() == before
    append(path, [pause()], AT - timedelta(seconds=60))  # another process was faster
    assert [record.at for record in read_ledger(path, END_OF_TIME).records] == [AT, AT]


@pytest.mark.parametrize(("records", "is_written"), [(5, True), (6, False)])
def test_the_most_records_can_still_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: int, is_written: bool
) -> None:
    for place in ("checker.ledger.append.MAX_RECORDS", "checker.ledger.lines.MAX_RECORDS"):
        monkeypatch.setattr(place, 5)
    path = tmp_path / "l.jsonl"
    append(path, [pause()] * 3)
    try:
        append(path, [pause()] * (records - 3))
    except NotRecorded:
        assert not is_written
    assert len(reasons(path)) == (5 if is_written else 3)


def test_what_was_done_is_recorded_even_where_the_clock_went_back(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    append(path, [pause()])
    with writing(path) as writer:
        (record,) = writer.append_now([pause("two")], AT - timedelta(hours=1))
    assert record.at == AT


def test_a_draft_that_could_not_be_read_back_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    with pytest.raises(ValueError, match=r"data: 'by' is missing"):
        append(path, [pause("one"), Draft("pause", "B", {"reason": "nobody"})])
    assert path.read_bytes() == b""


@pytest.mark.parametrize("cut", range(1, 700, 23))
def test_records_of_one_append_stand_or_fall_together(tmp_path: Path, cut: int) -> None:
    """Cut anywhere, the ledger has the record before and either both of the append or none; the rest lies beside."""
    path = tmp_path / "l.jsonl"
    append(path, [pause("before")])
    whole = path.stat().st_size
    append(path, [pause("first"), pause("second")])
    content = path.read_bytes()
    size = min(whole + cut, len(content))
    path.write_bytes(content[:size])
    is_whole = size == len(content)
    ledger = read_ledger(path, END_OF_TIME)
    assert reasons(path) == (["before", "first", "second"] if is_whole else ["before"])
    assert (ledger.torn is None) is is_whole
    append(path, [pause("after")])
    assert reasons(path) == [*(["before", "first", "second"] if is_whole else ["before"]), "after"]
    aside = [file.read_bytes() for file in tmp_path.glob("l.jsonl.torn-*")]
    assert aside == ([] if is_whole else [content[whole:size]])


def test_a_cut_before_the_first_byte_leaves_nothing_aside(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    append(path, [pause("before")])
    append(path, [pause("after")])
    assert list(tmp_path.glob("*.torn-*")) == []


def test_damage_is_refused_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    append(path, [pause("one"), pause("two")])
    damaged = path.read_bytes().replace(b"one", b"0ne")
    path.write_bytes(damaged)
    with pytest.raises(LedgerInvalid, match="prev"):
        append(path, [pause()])
    assert path.read_bytes() == damaged


def test_the_second_writer_is_told_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    with writing(path) as writer:
        writer.append([pause("mine")], AT)
        with pytest.raises(NotRecorded, match=r"another phasegate is writing .*l\.jsonl.*holds .*l\.jsonl\.lock"):
            append_soon(path)
    append(path, [pause("theirs")])
    assert reasons(path) == ["mine", "theirs"]


def append_soon(path: Path) -> None:
    with writing(path, wait_s=0.05) as writer:
        writer.append([pause("theirs")], AT)


APPEND_MANY = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from checker.ledger.append import Draft, writing
for number in range(20):
    with writing(Path(sys.argv[1])) as writer:
        writer.append_now([Draft("pause", "B", {"by": sys.argv[2], "reason": str(number)})], datetime.now(UTC))
"""


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    running = [
        subprocess.Popen([sys.executable, "-c", APPEND_MANY, str(path), name], cwd=Path(__file__).parent.parent)
        for name in ("Ada", "Bob")
    ]
    assert [process.wait(60) for process in running] == [0, 0]
    told = [(record.data["by"], record.data["reason"]) for record in read_ledger(path, END_OF_TIME).records]
    assert sorted(told) == sorted((name, str(number)) for name in ("Ada", "Bob") for number in range(20))


@pytest.mark.parametrize("room", [0, 1, 100, 400])
def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path, room: int) -> None:
    path = tmp_path / "l.jsonl"
    append(path, [pause("before")])
    before = path.read_bytes()
    with files_of_at_most(len(before) + room), pytest.raises(NotRecorded, match="cannot be written: File too large"):
        append(path, [pause("one"), pause("two"), pause("three")])
    assert path.read_bytes() == before
    append(path, [pause("after")])
    assert reasons(path) == ["before", "after"]


def test_no_link_is_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"")
    path = tmp_path / "l.jsonl"
    path.symlink_to(elsewhere)
    with pytest.raises((LedgerInvalid, NotRecorded)):
        append(path, [pause()])
    assert elsewhere.read_bytes() == b""
