"""Every line that a cycle reads is accounted for, also where the disk was full or something was in the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer.governed import load_governed
from checker.analyzer.lines import MAX_LINE_BYTES
from checker.collector.places import Places
from checker.collector.state import newest_state
from checker.collector.station import Setting, Station
from checker.errors import CannotDecide, NotRecorded
from checker.pipeline import Past, Request, check
from checker.policy.collecting import FilesRule
from checker.windows import iso, stamp
from tests.batches import FIRST, LATENESS, WINDOW, closed, start_of
from tests.collectors import SOON, Bench, names, save
from tests.limits import files_of_at_most
from tests.own_rollout import PAGE, write_project

MINUTE = timedelta(minutes=1)
OWN = {"event": "collector.delayed", "delay_ms": 1, "batch_start": iso(FIRST)}
AHEAD = FIRST + WINDOW + SOON + LATENESS  # the latest that the first cycle can know of


def line(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event).encode()


# Lines of one file, each with where it goes: the batch, a copy, carried, or the reason of the quarantine.
LINES = [
    (line(save(FIRST, "a")) + b"\n", "batch"),
    (line(save(FIRST, "crlf")) + b"\r\n", "batch"),
    (b"\r\n", "not_json"),
    (b"\n", "not_json"),
    (line(save(FIRST, "a")) + b"\n", "copy"),
    (b"x" * MAX_LINE_BYTES + b"\n", "not_json"),
    (b"x" * (MAX_LINE_BYTES + 1) + b"\n", "too_long"),
    (b"x" * (3 * MAX_LINE_BYTES) + b"\n", "too_long"),
    (line(save(FIRST, "after")) + b"\n", "batch"),
    (line({**save(FIRST, "own"), **OWN}) + b"\n", "reserved_event"),
    (line(save(start_of(1), "next")) + b"\n", "carried"),
    (line(save(AHEAD, "latest")) + b"\n", "carried"),
    (line(save(AHEAD + timedelta(milliseconds=1), "future")) + b"\n", "from_the_future"),
    (b"broken\n", "not_json"),
    (line(save(FIRST - WINDOW, "late")) + b"\n", "batch"),
]


def carried(bench: Bench) -> int:
    """How many lines wait for the next cycle."""
    state = newest_state(Places(bench.logs))
    assert state is not None
    place = Places(bench.logs).carried(state.window_start)
    return place.read_bytes().count(b"\n") if state.carried else 0


def test_every_line_is_somewhere(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.append(*(content for content, _ in LINES))
    (sealed,) = bench.cycle(0)
    where = [place for _, place in LINES]
    seal = sealed.seal
    assert (seal.accepted, seal.duplicates, carried(bench)) == tuple(map(where.count, ("batch", "copy", "carried")))
    assert seal.accepted + seal.duplicates + seal.quarantined + carried(bench) == len(LINES)
    assert names(bench.lines(0)) == ["a", "crlf", "after", "late"]
    decision = check(bench.governed, Request("B", closed(1), bench.logs), Past()).decision
    assert decision.inputs.quarantined == 0  # the analyzer accepts each line of the batch
    waiting = carried(bench)
    bench.append(b"broken again\n", save(start_of(1), "b"), save(start_of(1), "next"))
    (sealed,) = bench.cycle(1)
    seal = sealed.seal
    assert seal.accepted + seal.duplicates + seal.quarantined + carried(bench) == waiting + 3
    assert names(bench.lines(1)) == ["next", "latest", "b"]


def test_the_place_of_each_broken_line_is_exact(tmp_path: Path) -> None:
    """After lines of every length, in another file, and in a later cycle."""
    bench = Bench(tmp_path)
    bench.append(*(content for content, _ in LINES))
    other = bench.telemetry.with_name("other.jsonl")
    bench.append(save(FIRST, "z"), b"broken there\n", path=other)
    bench.cycle(0)
    rows = bench.quarantine(0)
    bench.append(save(start_of(1), "b"), b"broken later\n", path=other)
    bench.cycle(1)
    rows += bench.quarantine(1)
    assert {row["reason"] for row in rows} == {place for _, place in LINES} - {"batch", "copy", "carried"}
    assert len(rows) == sum(place not in ("batch", "copy", "carried") for _, place in LINES) + 2
    for row in rows:
        assert row["source"] == "app"
        content = (tmp_path / row["origin"]).read_bytes()
        begin = row["offset"]
        assert begin == 0 or content[begin - 1 : begin] == b"\n"
        whole = content[begin : content.index(b"\n", begin)]
        assert whole.startswith(row["line"].encode())
        assert row.get("is_cut", False) is (row["line"].encode() != whole)


def test_lines_wait_for_as_many_windows_as_were_missed(tmp_path: Path) -> None:
    """All in one small file, which is read at once."""
    bench = Bench(tmp_path)
    bench.append(save(FIRST, "0"))
    bench.cycle(0)
    bench.append(*(save(start_of(number), f"{number}") for number in (5, 3, 1, 4, 2)))
    assert [batch.seal.window.start for batch in bench.cycle(5)] == [start_of(number) for number in range(1, 6)]
    assert [names(bench.lines(number)) for number in range(6)] == [[f"{number}"] for number in range(6)]


def filled(root: Path) -> Bench:
    """A collector that has sealed a window, and a next one with lines of every kind."""
    root.mkdir()
    bench = Bench(root)
    bench.append(save(FIRST, "before"), save(start_of(1), "carried"))
    bench.cycle(0)
    at = start_of(1)
    bench.append(*(save(at + timedelta(seconds=each), f"{each}") for each in range(20)), b"broken\n", b"again\n")
    bench.append(save(at, "3"), *(save(start_of(2) + timedelta(seconds=each), f"next-{each}") for each in range(9)))
    return bench


def left(bench: Bench) -> dict[str, bytes]:
    """All that a collector has left, but for what the file system calls a file."""
    files = {path.relative_to(bench.logs).as_posix(): path for path in bench.logs.rglob("*") if path.is_file()}
    return {name: b"" if "/state/" in name else path.read_bytes() for name, path in files.items()}


def test_a_full_disk_at_any_point_changes_nothing_in_the_end(tmp_path: Path) -> None:
    undisturbed = filled(tmp_path / "whole")
    undisturbed.cycle(1, SOON + MINUTE)
    sizes = [0, 300, 900, 1_300, 2_500, 4_000]
    for size in sizes:
        bench = filled(tmp_path / f"{size}")
        with pytest.raises((OSError, CannotDecide)), files_of_at_most(size):
            bench.cycle(1)
        assert [path.name for path in bench.logs.glob("*.jsonl")] == [f"{stamp(FIRST)}.jsonl"], size
        bench.cycle(1, SOON + MINUTE)
        assert left(bench) == left(undisturbed), size
    assert undisturbed.ids().total() == len(undisturbed.ids()) == 22


@pytest.mark.parametrize("name", [f"{stamp(start_of(1))}.jsonl", f"{stamp(start_of(1))}.jsonl.zst"])
def test_what_is_in_the_batchs_place_stays_there(tmp_path: Path, name: str) -> None:
    bench = filled(tmp_path / "bench")
    theirs = bench.logs / name
    theirs.write_bytes(b"theirs")
    with pytest.raises(CannotDecide, match="has a batch already"):
        bench.cycle(1)
    assert theirs.read_bytes() == b"theirs"
    theirs.unlink()
    bench.cycle(1)
    assert len(bench.lines(1)) == 21


class Meddling:
    """A source that puts a batch into the place of the one that is about to be sealed."""

    name = "app"

    def __init__(self, place: Path) -> None:
        self._place = place

    def read(self, position: Mapping[str, Any], ask: object, sink: object) -> Mapping[str, Any]:
        del ask, sink
        self._place.write_bytes(b"theirs")
        return position

    def skip(self, position: Mapping[str, Any]) -> Mapping[str, Any]:
        return position

    def committed(self, position: Mapping[str, Any]) -> None:
        raise AssertionError(f"{position} was not sealed")


def test_what_is_put_there_meanwhile_stays_there(tmp_path: Path) -> None:
    bench = filled(tmp_path / "bench")
    bench.now = start_of(2) + SOON
    station, theirs = bench.station(), bench.logs / f"{stamp(start_of(1))}.jsonl"
    intake = station.cycle.intake
    station.cycle.intake = replace(intake, sources={**intake.sources, "app": Meddling(theirs)})
    with pytest.raises(CannotDecide, match="is there already; a sealed batch is never written again"):
        station.collect(station.due()[0])
    assert theirs.read_bytes() == b"theirs"
    theirs.unlink()
    bench.cycle(1)
    assert len(bench.lines(1)) == 21


def test_a_failure_that_was_sealed_but_not_noted_is_noted_by_the_next_run(tmp_path: Path) -> None:
    """Killed between the seal and the note: the retries count from the seal, as if nothing had been."""
    sources = (FilesRule("app", paths=("telemetry/*.jsonl",)), FilesRule("gw", paths=("gw/*.jsonl",)))
    bench = Bench(tmp_path, sources)
    bench.append(save(FIRST, "a"))
    bench.now = FIRST + WINDOW + SOON
    station = bench.station()
    station.cycle.collect(station.due()[0])
    assert station.next_retry() is None
    bench.now += MINUTE
    again = bench.station()
    again.note_failures()
    assert again.next_retry() == FIRST + WINDOW + SOON + timedelta(seconds=30)
    again.try_again()
    tried = again.retries.known()
    again.note_failures()
    assert again.retries.known() == tried  # noted once


def test_one_that_collects_keeps_the_other_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    one, other = bench.station(), bench.station()
    refused = pytest.raises(NotRecorded, match="another collector of autosave is at work")
    with one.lock(), refused as told, other.lock(0):
        raise ValueError("both collect")
    assert told.value.exit_code == 4
    with other.lock(0):
        assert other.due()


def test_the_rollout_of_the_walk_through(tmp_path: Path) -> None:
    """An event schema with neither `schema_version` nor `retryable`."""
    write_project(PAGE.read_text(encoding="utf-8"), tmp_path)
    governed = load_governed(tmp_path / "policy" / "policy.yaml")
    collector = replace(governed.policy.collector, sources=(FilesRule("web", paths=("web.jsonl",)),))
    governed = replace(governed, policy=replace(governed.policy, collector=collector))
    request = {"event": "http.request", "phase": "canary", "status": 200, "duration_ms": 80}
    bench = Bench(tmp_path)
    bench.append(*({**request, "ts": iso(FIRST), "request_id": name} for name in "aab"), path=tmp_path / "web.jsonl")
    now = FIRST + governed.policy.window + SOON
    logs = tmp_path / "new-logs"
    station = Station(governed, Setting(logs, None, tmp_path / "reports", lambda: now, {}))
    sealed = station.collect(station.due()[0])
    assert (sealed.seal.accepted, sealed.seal.duplicates, sealed.seal.phase) == (2, 1, "canary")
    as_of = FIRST + governed.policy.window + governed.policy.lateness
    decision = check(governed, Request("canary", as_of, logs), Past()).decision
    assert (decision.inputs.quarantined, decision.inputs.duplicates) == (0, 0)
