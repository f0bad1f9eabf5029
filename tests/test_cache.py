"""The cache is never believed over the logs: whatever becomes of it, the document is the one a cold run gives."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from checker.analyzer.cache import CachePlace, open_cache
from checker.analyzer.rules import IngestRules
from checker.analyzer.span_events import Span
from checker.analyzer.spans import SpanResult, measure_span
from checker.child.allowance import Allowance
from tests.telemetry import ROOT, Ran, check, failure, save, seal, values, write_batch

AS_OF = "12:05"
STARTS = ("11:00", "11:15", "11:30", "11:45")


def batch(start: str, duration_ms: float = 100) -> Iterator[bytes]:
    hour, minute = start.split(":")
    yield from (save(f"{hour}:{minute}:{n:02}", f"{start}-{n}", duration_ms + n) for n in range(5))
    yield save(f"{hour}:{int(minute):02}:59", f"{start}-0", 1)
    yield save(f"10:59:{minute}", f"late-{start}", 7)
    yield seal(f"{hour}:{minute}:59", start, 41000)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Logs that a test may change."""
    for start in STARTS:
        write_batch(tmp_path / "logs", start, batch(start))
    return tmp_path / "logs"


@pytest.fixture
def warm(tmp_path: Path, logs: Path) -> Path:
    """A cache that knows everything about `logs`."""
    assert check(logs, AS_OF, cache=tmp_path / "cache").code == 0
    return tmp_path / "cache"


@dataclass(frozen=True)
class Known:
    """Logs that nobody changes, what a cold run says of them, and a cache that knows them."""

    logs: Path
    cold: Ran
    cache: Path


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    folder = tmp_path_factory.mktemp("known")
    for start in STARTS:
        write_batch(folder / "logs", start, batch(start))
    cold = check(folder / "logs", AS_OF)
    assert check(folder / "logs", AS_OF, cache=folder / "cache") == cold
    return Known(folder / "logs", cold, folder / "cache")


@pytest.fixture
def spoilt(known: Known, tmp_path: Path) -> Path:
    """A copy of the known cache, to be spoilt."""
    return shutil.copytree(known.cache, tmp_path / "spoilt")


def test_warm_is_cold_and_opens_no_batch(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checker.analyzer.telemetry.ingest", None)
    monkeypatch.setattr("checker.analyzer.spans.open_span", None)
    assert check(known.logs, AS_OF, cache=known.cache) == known.cold


def replaced(path: Path) -> None:
    """Another file of the same size in its place."""
    data = path.read_bytes().replace(b'"duration_ms":104', b'"duration_ms":904')
    assert len(data) == path.stat().st_size
    path.with_suffix(".new").write_bytes(data)
    path.with_suffix(".new").replace(path)


def rewritten(path: Path) -> None:
    """Other bytes of the same number in the same file, at another time."""
    state = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"duration_ms":104', b'"duration_ms":904'))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000))


def recompressed(path: Path) -> None:
    path.unlink()
    start = f"{path.name[9:11]}:{path.name[11:13]}"
    write_batch(path.parent, start, batch(start, 700), ".jsonl.zst")


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda path: path.write_bytes(path.read_bytes() + save("11:50", "more", 900)),
    "truncated": lambda path: os.truncate(path, path.stat().st_size - 40),
    "emptied": lambda path: os.truncate(path, 0),
    "vanished": lambda path: path.unlink(),
    "replaced by one of the same size": replaced,
    "rewritten with the same size": rewritten,
    "under another name": recompressed,
}


@pytest.mark.parametrize(("change", "start"), [*((change, "11:15") for change in CHANGES), ("truncated", "11:45")])
def test_changed_batch_is_measured_again(change: str, start: str, logs: Path, warm: Path) -> None:
    before = check(logs, AS_OF, cache=warm)
    hour, minute = start.split(":")
    CHANGES[change](logs / f"20260102T{hour}{minute}00Z.jsonl")
    after = check(logs, AS_OF, cache=warm)
    assert after == check(logs, AS_OF)
    assert after.out != before.out


def test_late_events_measure_an_older_window_again_and_no_other(
    logs: Path, warm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def spy(span: Span, rules: IngestRules, allowance: Allowance) -> SpanResult:
        measured.extend(f"{window.start:%H:%M}" for window in span.windows)
        return measure_span(span, rules, allowance)

    monkeypatch.setattr("checker.analyzer.measure.measure_span", spy)
    write_batch(logs, "12:00", [save("11:31", "late", 1900), failure("12:01", "f"), seal("12:02", "12:00", 1000)])
    assert check(logs, "12:20", cache=warm).out == check(logs, "12:20").out
    warm_run = measured[: measured.index("12:00") + 1]
    # 11:30 has a late event; drift looks back 45 minutes, so 11:45 is measured again with it.
    assert warm_run == ["11:30", "11:45", "12:00"]


def test_two_folders_share_a_cache(logs: Path, warm: Path, tmp_path: Path) -> None:
    for start in STARTS:
        write_batch(tmp_path / "others", start, batch(start, 900))
    assert check(tmp_path / "others", AS_OF, cache=warm) == check(tmp_path / "others", AS_OF)
    assert check(logs, AS_OF, cache=warm) == check(logs, AS_OF)


def test_batches_of_the_same_bytes_and_another_suffix_do_not_answer_for_each_other(tmp_path: Path) -> None:
    packed = write_batch(tmp_path / "packed", "11:45", batch("11:45"), ".jsonl.gz")
    (tmp_path / "plain").mkdir()
    shutil.copy(packed, tmp_path / "plain" / "20260102T114500Z.jsonl")  # a file that holds no line of JSON
    cold = {name: check(tmp_path / name, AS_OF) for name in ("packed", "plain")}
    assert [values(ran.document)["save_latency_p95"][2] for ran in cold.values()] == ["ok", "no_data"]
    for name in ("packed", "plain", "packed", "plain"):
        assert check(tmp_path / name, AS_OF, cache=tmp_path / "cache") == cold[name]


def test_verify_logs_sees_a_change_that_the_file_system_hides(
    logs: Path, warm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = {path.name: path.stat() for path in logs.iterdir()}
    path = logs / "20260102T114500Z.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"duration_ms":104', b'"duration_ms":904'))

    def signature(self: object) -> tuple[int, int, int, int]:
        state = frozen[self.path.name]  # type: ignore[attr-defined]
        return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino

    monkeypatch.setattr("checker.analyzer.batches.BatchFile.signature", signature)
    unseen = values(check(logs, AS_OF, cache=warm).document)["save_latency_p95"]
    seen = values(check(logs, AS_OF, "--verify-logs", cache=warm).document)["save_latency_p95"]
    assert unseen[0] == pytest.approx(0.1038)
    assert seen[0] == pytest.approx(0.7438)
    assert values(check(logs, AS_OF, cache=warm).document)["save_latency_p95"] == seen


def damages(size: int) -> Iterator[Callable[[bytes], bytes]]:
    """Ways to damage a file of `size` bytes: each of its sevenths flipped, and cut before each."""
    step = max(1, size // 7)
    for start in range(0, size, step):
        end = min(size, start + step)
        yield (
            lambda data, start=start, end=end: (  # type: ignore[misc]
                data[:start] + bytes(byte ^ 0xFF for byte in data[start:end]) + data[end:]
            )
        )
        yield lambda data, start=start: data[:start]  # type: ignore[misc]


def test_damaged_cache_changes_nothing(known: Known, tmp_path: Path) -> None:
    files = sorted(path.relative_to(known.cache) for path in known.cache.rglob("*") if path.is_file())
    assert len(files) == 2 + len(STARTS)  # the index, its key, and the events
    for name in files[-2:]:  # the events of one batch, of four alike, and the index
        for damage in damages((known.cache / name).stat().st_size):
            spoilt = shutil.copytree(known.cache, tmp_path / "spoilt")
            (spoilt / name).write_bytes(damage((spoilt / name).read_bytes()))
            if name.suffix == ".parquet":
                forget_measurements(spoilt)
            assert check(known.logs, AS_OF, cache=spoilt) == known.cold
            shutil.rmtree(spoilt)


def forget_measurements(cache: Path) -> None:
    """Make the next run read the events again."""
    with sqlite3.connect(cache / "index.sqlite") as database:
        database.execute("delete from measurements")
    database.close()


@pytest.mark.parametrize("column", ["key", "value", "checksum"])
@pytest.mark.parametrize("table", ["files", "batches", "measurements"])
@pytest.mark.parametrize("content", ["x'ff00'", "'{}'"])
def test_rows_of_any_content_change_nothing(column: str, table: str, content: str, known: Known, spoilt: Path) -> None:
    with sqlite3.connect(spoilt / "index.sqlite") as database:
        database.execute(f"update or ignore {table} set {column} = {content}")
    database.close()
    assert check(known.logs, AS_OF, cache=spoilt) == known.cold


def test_rows_that_speak_of_another_key_change_nothing(known: Known, spoilt: Path) -> None:
    with sqlite3.connect(spoilt / "index.sqlite") as database:
        rows = database.execute("select key, value, checksum from measurements order by key").fetchall()
        for (key, _, _), (_, value, checksum) in zip(rows, rows[1:] + rows[:1], strict=True):
            database.execute("update measurements set value = ?, checksum = ? where key = ?", (value, checksum, key))
    database.close()
    assert check(known.logs, AS_OF, cache=spoilt) == known.cold


SPOILERS: dict[str, Callable[[Path], object]] = {
    "a file in place of the folder": lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
    "no folder": shutil.rmtree,
    "no index": lambda folder: (folder / "index.sqlite").unlink(),
    "an empty index": lambda folder: (folder / "index.sqlite").write_bytes(b""),
    "an index of other tables": lambda folder: other_tables(folder / "index.sqlite"),
    "a folder in place of the index": lambda folder: (
        (folder / "index.sqlite").unlink(),
        (folder / "index.sqlite").mkdir(),
    ),
    "no events": lambda folder: [path.unlink() for path in (folder / "events").iterdir()],
    "a file in place of the events": lambda folder: (
        shutil.rmtree(folder / "events"),
        (folder / "events").write_text("x"),
    ),
    "leftovers of a crash": lambda folder: (folder / "events" / "reading-20260102T114500Z-1-1.parquet").write_text("x"),
}


def other_tables(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("create table measurements (other text)")
    database.close()


@pytest.mark.parametrize("spoiler", SPOILERS)
@pytest.mark.parametrize("forget", [False, True])
def test_spoilt_folder_changes_nothing(spoiler: str, forget: bool, known: Known, spoilt: Path) -> None:
    if forget:
        forget_measurements(spoilt)
    SPOILERS[spoiler](spoilt)
    for _ in range(2):
        assert check(known.logs, AS_OF, cache=spoilt) == known.cold


def test_cache_that_cannot_be_written_is_done_without(known: Known) -> None:
    nowhere = Path("/proc/self/phasegate")
    assert check(known.logs, AS_OF, cache=nowhere) == known.cold
    with open_cache(CachePlace.trusted(nowhere)) as cache:
        assert cache.events_folder.is_dir()
        scratch = cache.events_folder
    assert not scratch.exists()


def test_folder_that_can_only_be_read_is_done_without(
    known: Known, spoilt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_measurements(spoilt)
    real = tempfile.TemporaryFile

    def only_elsewhere(**where: Path) -> IO[bytes]:
        if spoilt in where["dir"].parents:
            raise PermissionError("read-only")
        return real(dir=where["dir"])

    monkeypatch.setattr("checker.analyzer.cache.tempfile.TemporaryFile", only_elsewhere)
    assert check(known.logs, AS_OF, cache=spoilt) == known.cold


def test_locked_index_is_done_without(known: Known, spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sqlite3.connect
    monkeypatch.setattr("checker.analyzer.cache.sqlite3.connect", lambda path, **_: real(path, timeout=0.0))
    other = real(spoilt / "index.sqlite")
    other.execute("begin exclusive")
    try:
        assert check(known.logs, AS_OF, cache=spoilt) == known.cold
    finally:
        other.close()


def test_processes_at_once_agree(known: Known, tmp_path: Path) -> None:
    arguments = [
        "check",
        "--phase",
        "B",
        "--format",
        "json",
        "--logs",
        str(known.logs),
        "--as-of",
        "2026-01-02T12:05:00Z",
    ]
    environment = os.environ | {"PHASEGATE_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-c", "from checker.cli import main; main()", *arguments]
    running = [subprocess.Popen(program, stdout=subprocess.PIPE, cwd=ROOT, env=environment) for _ in range(3)]
    said = [process.communicate()[0].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert set(said) == {known.cold.out}
    assert check(known.logs, AS_OF, cache=tmp_path / "cache") == known.cold


def test_spans_that_mend_one_batch_at_once_agree(known: Known, spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checker.analyzer.measure.SPAN_WINDOWS", 1)  # every span reads its neighbours' batches
    for _ in range(3):
        forget_measurements(spoilt)
        for path in (spoilt / "events").iterdir():
            path.write_bytes(b"damaged")
        assert check(known.logs, AS_OF, "--threads", "8", cache=spoilt) == known.cold


def test_values_come_back_as_they_were_put(tmp_path: Path) -> None:
    kept = {"a": [0.1 + 0.2, 3, None, {"x": "é"}], "b": [float("inf")]}
    place = CachePlace.trusted(tmp_path)
    with open_cache(place) as cache:
        cache.put("measurements", kept)
        assert cache.get("measurements", ["a"]) == {}  # not before it is saved
    with open_cache(place) as again:
        assert again.get("measurements", ["a", "b", "c"]) == kept
        assert again.get("measurements", map(str, range(1200))) == {}
        assert again.get("batches", ["a"]) == {}


def test_full_disk_is_done_without(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr("checker.analyzer.cache.MIN_FREE_BYTES", free * 2)
    full = tmp_path / "full"
    assert check(logs, AS_OF, cache=full) == check(logs, AS_OF)
    assert list(full.iterdir()) == []
