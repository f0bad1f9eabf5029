"""A cycle of the collector: where each line goes, what the seal says, and what a batch is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.collector.places import Places
from checker.collector.state import newest_state
from checker.errors import CannotDecide
from checker.ledger.append import Draft
from checker.pipeline import Past, Request, check, replay
from checker.policy.collecting import FilesRule
from checker.windows import iso, stamp
from tests.batches import FIRST, LATENESS, WINDOW, closed, start_of
from tests.collectors import SOON, Bench, names, save

MINUTE = timedelta(minutes=1)


def test_each_window_gets_its_own_lines(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.append(save(FIRST + MINUTE, "a"), save(FIRST + WINDOW, "next"), save(FIRST + WINDOW - MINUTE, "b"))
    (sealed,) = bench.cycle(0)
    assert names(bench.lines(0)) == ["a", "b"]
    assert (sealed.seal.accepted, sealed.seal.incomplete) == (2, ())
    assert bench.cycle(0, SOON + MINUTE) == []  # it is sealed
    bench.append(save(FIRST + 2 * MINUTE, "late"))
    bench.cycle(1)
    assert names(bench.lines(1)) == ["next", "late"]
    decision = check(bench.governed, Request("B", closed(2), bench.logs), Past()).decision
    assert decision.inputs.events == 2  # next, and the collector's own
    rows = list(replay(bench.governed, Request("B", closed(2), bench.logs), Past(), FIRST, start_of(2)))
    assert [row.judgements[0].samples for row in rows] == [3, 1]  # the late one counts for its own window


def test_the_seal_is_the_last_line_and_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    error = {"code": "timeout", "duration_ms": 1}
    bench.append(
        save(FIRST, "a"),
        save(FIRST, "a"),
        {**save(FIRST, "x", **error), "event": "autosave.save.error", "retryable": True},
        {**save(FIRST, "y", **error), "event": "autosave.save.error", "retryable": False},
        {**save(FIRST, "z", **error), "event": "autosave.save.error", "retryable": False},
        b"broken\n",
    )
    bench.cycle(0)
    assert bench.seal(0) == {
        "schema_version": 1, "ts": "2026-01-01T00:15:03Z", "event": "collector.latency", "phase": "B",
        "latency_ms": 3000, "batch_start": "2026-01-01T00:00:00Z", "accepted": 4, "duplicates": 1, "quarantined": 1,
        "errors_retryable": 1, "errors_fatal": 2,
    }  # fmt: skip
    assert check(bench.governed, Request("B", closed(1), bench.logs), Past()).decision.inputs.quarantined == 0


def test_what_is_broken_is_set_aside_with_its_place(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first = json.dumps(save(FIRST, "a")).encode() + b"\n"
    bench.append(first, b"broken\n", {"ts": iso(FIRST)}, save(FIRST, "b"), b"\xff\xfe\n", b"\n")
    counts = dict.fromkeys(("accepted", "duplicates", "quarantined", "errors_retryable", "errors_fatal"), 0)
    own = {"event": "collector.latency", "latency_ms": 0, "batch_start": iso(FIRST), **counts}
    bench.append({**save(FIRST, "own"), **own})
    soon = FIRST + WINDOW + SOON + LATENESS
    bench.append(save(soon, "known"), save(soon + timedelta(milliseconds=1), "future"))
    bench.cycle(0)
    rows = bench.quarantine(0)
    assert [row["reason"] for row in rows] == [
        "not_json", "missing_field", "not_utf8", "not_json", "reserved_event", "from_the_future",
    ]  # fmt: skip
    content = bench.telemetry.read_bytes()
    for row in rows:
        assert (row["source"], row["origin"]) == ("app", "telemetry/app.jsonl")
        line = content[row["offset"] :].split(b"\n")[0]
        assert line == (row["line"].encode() if "line" in row else b"\xff\xfe")
    assert names(bench.lines(0)) == ["a", "b"]
    bench.cycle(1)
    assert names(bench.lines(1)) == ["known"]


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ([("a", 2, 1), ("a", 1, 2)], [("a", 1, 2)]),  # the earlier one
        ([("a", 1, 2), ("a", 1, 1)], [("a", 1, 1)]),  # of the same time the smaller bytes
        ([("a", 1, 1), ("a", 1, 1)], [("a", 1, 1)]),
        ([("a", 1, 1), ("b", 1, 1)], [("a", 1, 1), ("b", 1, 1)]),
    ],
)
def test_copies(tmp_path: Path, lines: list[tuple[str, int, int]], kept: list[tuple[str, int, int]]) -> None:
    bench = Bench(tmp_path)
    bench.append(*(save(FIRST + MINUTE * minute, name, duration_ms=ms) for name, minute, ms in lines))
    bench.cycle(0)
    expected = [(name, iso(FIRST + MINUTE * minute), ms) for name, minute, ms in kept]
    assert [(event["request_id"], event["ts"], event["duration_ms"]) for event in bench.lines(0)] == expected
    assert bench.seal(0)["duplicates"] == len(lines) - len(kept)


@pytest.mark.parametrize(
    ("after", "delay_ms"),
    [(timedelta(minutes=5), None), (timedelta(minutes=5, milliseconds=1), 300_001), (timedelta(hours=2), 7_200_000)],
)
def test_delay(tmp_path: Path, after: timedelta, delay_ms: int | None) -> None:
    bench = Bench(tmp_path)
    bench.append(save(FIRST, "a"))
    bench.now = FIRST + WINDOW + after
    station = bench.station()
    station.collect(station.due()[0] if after < WINDOW else _window(0))
    own = [event for event in bench.events(0) if event["event"] == "collector.delayed"]
    assert [event["delay_ms"] for event in own] == ([] if delay_ms is None else [delay_ms])
    assert bench.seal(0)["latency_ms"] == after / timedelta(milliseconds=1)


def _window(number: int) -> Any:
    from checker.windows import window_at

    return window_at(start_of(number), WINDOW)


@pytest.mark.parametrize(
    ("entered", "given", "events", "expected"),
    [
        ("C", "A", "B", "C"),  # the ledger's
        (None, "A", "B", "A"),  # as was said
        (None, None, "B", "B"),  # what most events carry
        (None, None, "x", "A"),  # no phase of the policy's: the first
        ("off", None, "B", "A"),
        ("complete", None, "B", "C"),
    ],
)
def test_the_phase_of_the_seal(
    tmp_path: Path, entered: str | None, given: str | None, events: str, expected: str
) -> None:
    bench = Bench(tmp_path, setting={"phase": given})
    if entered:
        data = {"from": "B", "to": entered, "by": "Ada", "reason": "x"}
        bench.record(Draft("phase_change", entered, data), FIRST)
    bench.append(save(FIRST, "a", events), save(FIRST, "b", events), save(FIRST, "c", "B" if events == "B" else "y"))
    bench.cycle(0)
    assert bench.seal(0)["phase"] == expected


def test_the_same_input_and_clock_give_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name)
        bench.append(save(FIRST, "b"), save(FIRST, "a"), b"broken\n", path=bench.telemetry.with_name("z.jsonl"))
        bench.append(save(FIRST, "c"), save(FIRST, "a"))
        bench.cycle(0)
        files = (bench.logs / f"{stamp(FIRST)}.jsonl", bench.logs / "quarantine" / f"{stamp(FIRST)}.jsonl")
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]


def test_catching_up_in_order_reads_only_so_far(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.append(save(FIRST, "first"))
    bench.cycle(0)
    for number in range(1, 6):
        padding = "x" * 2000
        bench.append(
            *(save(start_of(number) + timedelta(seconds=each), f"{number}-{each}", note=padding) for each in range(800))
        )
    bench.now = start_of(6) + SOON
    station = bench.station()
    due = station.due()
    assert [window.start for window in due] == [start_of(number) for number in range(1, 6)]
    size = bench.telemetry.stat().st_size
    for number, window in enumerate(due, 1):
        station.collect(window)
        assert len(bench.lines(number)) == 800
        state = newest_state(Places(bench.logs))
        assert state is not None
        (mark,) = state.sources["app"]["files"]
        assert (mark["offset"] < size) is (number < 5)
    assert set(bench.ids().values()) == {1}
    assert bench.ids().total() == 4001


def test_a_first_cycle_takes_the_window_that_has_just_ended(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.append(save(FIRST - WINDOW, "old"), save(FIRST, "a"))
    bench.cycle(0)
    assert names(bench.lines(0)) == ["old", "a"]  # the older one counts for its own window


def test_a_batch_of_somebody_else_is_never_written_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.append(save(FIRST, "a"))
    bench.cycle(0)
    theirs = bench.logs / f"{stamp(start_of(1))}.jsonl.gz"
    theirs.write_bytes(b"theirs")
    with pytest.raises(CannotDecide, match="20260101T001500Z: has a batch already, which the collector did not seal"):
        bench.cycle(1)
    assert theirs.read_bytes() == b"theirs"


def test_a_source_that_fails_is_left_out_and_comes_late(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (FilesRule("app", paths=("telemetry/*.jsonl",)), FilesRule("gw", paths=("gw/*.jsonl",))))
    bench.append(save(FIRST, "a"))
    (sealed,) = bench.cycle(0)
    assert (sealed.seal.incomplete, list(sealed.failures)) == (("gw",), ["gw"])
    assert bench.seal(0)["incomplete"] == ["gw"]
    (tmp_path / "gw").mkdir()
    bench.append(save(FIRST, "late"), path=tmp_path / "gw" / "1.jsonl")
    bench.append(save(start_of(1), "b"))
    (sealed,) = bench.cycle(1)
    assert "incomplete" not in bench.seal(1)
    assert names(bench.lines(1)) == ["b", "late"]


def test_a_source_that_hangs_is_waited_for_until_its_deadline(tmp_path: Path) -> None:
    import threading

    hangs = threading.Event()

    class Hanging:
        name = "gw"

        def read(self, position: Any, ask: Any, sink: Any) -> Any:
            del ask, sink
            hangs.wait(30)
            return position

        def skip(self, position: Any) -> Any:
            return position

        def committed(self, position: Any) -> None:
            del position

    rules = (FilesRule("app", paths=("telemetry/*.jsonl",)), FilesRule("gw", timedelta(seconds=1), paths=("gw/*",)))
    bench = Bench(tmp_path, rules)
    bench.append(save(FIRST, "a"))
    bench.now = FIRST + WINDOW + SOON
    station = bench.station()
    intake = station.cycle.intake
    slow = {**intake.rules, "gw": replace(rules[1], deadline=timedelta(milliseconds=50))}
    station.cycle.intake = replace(intake, sources={**intake.sources, "gw": Hanging()}, rules=slow)
    sealed = station.collect(station.due()[0])
    assert sealed.failures == {"gw": "did not answer within 0.05 s"}
    bench.now = FIRST + 2 * WINDOW + SOON
    sealed = station.collect(station.due()[0])
    assert sealed.failures == {"gw": "still hangs in an earlier read; look at what it reads from"}
    hangs.set()


def test_one_that_goes_with_an_slo_is_read_while_that_is_violated(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        (
            FilesRule("app", paths=("telemetry/*.jsonl",)),
            FilesRule("gc", alongside="history_drift", paths=("gc/*.jsonl",)),
        ),
    )
    (tmp_path / "gc").mkdir()
    gc = {"event": "autosave.history.gc", "max_generations": 50, "removed": 0}
    for number in range(3):
        bench.append(save(start_of(number), f"{number}"))
        bench.append({**save(start_of(number), f"gc{number}"), **gc}, path=tmp_path / "gc" / "gc.jsonl")
        if number == 2:
            _violate(bench, start_of(1))
        bench.cycle(number)
    assert [names(bench.lines(number)) for number in range(3)] == [
        ["0"],
        ["1"],
        ["2", "gc1", "gc2"],
    ]  # of the cycle before, too


def _violate(bench: Bench, window_start: Any) -> None:
    data = {"event": "opened", "cause": "violation", "slos": ["history_drift"]}
    draft = Draft("incident", "B", data, window_start=window_start, id="incident-1")
    bench.record(draft, window_start + WINDOW)


def test_a_clock_that_jumps_back_an_hour(tmp_path: Path) -> None:
    """Nothing is sealed until it has caught up; what was written meanwhile counts for the windows that it names."""
    bench = Bench(tmp_path)
    for number in range(5):
        bench.append(save(start_of(number), f"{number}"))
        bench.cycle(number)
    bench.append(save(start_of(2), "again"))
    assert bench.cycle(2) == []
    bench.append(save(start_of(5), "5"))
    bench.cycle(5)
    assert names(bench.lines(5)) == ["again", "5"]
    assert set(bench.ids().values()) == {1}


def test_a_rollout_of_its_own_with_another_event_schema(tmp_path: Path) -> None:
    from checker.analyzer.event_schema import build
    from checker.analyzer.rules import ingest_rules

    document = {
        "type": "object",
        "required": ["ts", "event", "phase"],
        "properties": {
            "ts": {"type": "string", "format": "date-time"},
            "event": {"type": "string"},
            "phase": {"type": "string"},
            "retryable": {"type": "string"},
        },
    }
    bench = Bench(tmp_path)
    governed = bench.governed
    rules = ingest_rules(build(document), WINDOW, LATENESS, timedelta(hours=24), False, governed.engine)
    bench.append({"ts": iso(FIRST), "event": "job.done", "phase": "B", "retryable": "yes"})
    bench.now = FIRST + WINDOW + SOON
    station = bench.station()
    station.cycle.rules = rules
    sealed = station.collect(station.due()[0])
    assert (sealed.seal.accepted, sealed.seal.errors_retryable) == (1, 0)


def test_an_event_schema_that_refuses_the_seal_is_told(tmp_path: Path) -> None:
    from checker.analyzer.event_schema import build

    bench = Bench(tmp_path)
    bench.append(save(FIRST, "a"))
    bench.now = FIRST + WINDOW + SOON
    station = bench.station()
    document = {**bench.governed.rules.schema.document, "maxProperties": 5}
    station.cycle.rules = replace(station.cycle.rules, schema=build(document), fast_path=None)
    with pytest.raises(CannotDecide, match=r"the event schema refuses the collector's own collector\.latency"):
        station.collect(station.due()[0])
    assert not list(bench.logs.glob("*.jsonl"))
