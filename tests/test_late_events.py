"""Late, doubled and too-late events: small sets of batches whose answers are worked out by hand.

The policy: windows of 15 min, lateness 5 min, max_late 24 h. P95 of two values a < b is a + 0.95 (b - a).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry import check, failure, line, replay, save, seal, values, write_batch

Batches = Mapping[str, Sequence[bytes]]

# Four batches, and where their eleven lines with a time of their own go:
BATCHES: Batches = {
    "11:00": [
        save("11:01", "a", 100),  # the first copy of `a`: its time is the smallest, it counts
        save("11:02", "b", 900),  # a copy came 1 s earlier, in the batch 11:45: this one is dropped
        save("11:20", "c", 300),  # exactly 5 min after the batch's end: counts for 11:15
        save("11:20:00.001", "d", 300),  # just past: quarantined, from_the_future
        seal("11:22", "11:00", 420_000),  # sealed 7 min after the window's end: still the batch of 11:00
    ],
    "11:15": [
        save("11:14:59.999", "e", 500),  # late by one batch: counts for 11:00
        save("11:15", "f", 700),  # the first instant of 11:15
        save("11:16", "a", 1),  # `a` again, but in another window: not a copy
        seal("11:30:30", "11:15", 30_000),
    ],
    "11:30": [seal("11:45:30", "11:30", 30_000)],
    "11:45": [
        save("11:02:30", "a", 800),  # a copy of `a` with a later time: dropped
        save("11:01:59", "b", 200),  # late by three batches, and the smallest time of `b`: it counts
        failure("11:59", "g"),
        seal("12:00:30", "11:45", 30_000),
    ],
}


def write(folder: Path, batches: Batches) -> Path:
    for start, lines in batches.items():
        write_batch(folder, start, lines)
    return folder


def test_every_window_of_the_set(tmp_path: Path) -> None:
    rows = replay(write(tmp_path, BATCHES), "11:00", "12:00", "12:05")
    found = {start: values(row) for start, row in rows.items()}
    # One of the five lines of 11:00 is broken, more than 5 %: what would be ok there is no_data, a violation stays.
    # 11:00 holds a=100, b=200, e=500: P95 at position 0.95 * 2 = 1.9, so 200 + 0.9 * 300 = 470 ms.
    assert found["11:00"]["save_latency_p95"] == (pytest.approx(0.470, rel=1e-12), 3, "no_data")
    assert found["11:00"]["failure_rate"] == (0.0, 3, "no_data")
    assert found["11:00"]["collector_latency"] == (420.0, 1, "violation")
    # 11:15 holds a=1, c=300, f=700: 300 + 0.9 * 400 = 660 ms.
    assert found["11:15"]["save_latency_p95"] == (pytest.approx(0.660, rel=1e-12), 3, "ok")
    assert found["11:15"]["collector_latency"] == (30.0, 1, "ok")
    # 11:30 has a batch, and no save in it.
    assert found["11:30"]["save_latency_p95"] == (None, 0, "no_data")
    assert found["11:30"]["collector_latency"] == (30.0, 1, "ok")
    # 11:45 has one failed save of one.
    assert found["11:45"]["save_latency_p95"] == (None, 0, "no_data")
    assert found["11:45"]["failure_rate"] == (100.0, 1, "violation")
    # No drift in any hour; its samples are the windows of the hour that have a batch.
    statuses = ("no_data", "ok", "ok", "ok")
    assert [row["history_drift"] for row in found.values()] == [(0.0, n, statuses[n - 1]) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("window_closed_at", "last_batch", "expected"),
    [
        # 11:00 on its own: a=100, b=900 of its own batch, seal of 11:22 not there yet.
        ("11:20", "11:00", {"batches": 1, "events": 2, "duplicates": 0, "too_late": 0, "quarantined": 1}),
        # By 11:25 the seal exists, but the batch 11:15 has not ended.
        ("11:25", "11:00", {"batches": 1, "events": 3, "duplicates": 0, "too_late": 0, "quarantined": 1}),
        # 11:15: c from 11:00's batch, f and a and the seal from its own.
        ("11:35", "11:15", {"batches": 2, "events": 4, "duplicates": 0, "too_late": 0, "quarantined": 0}),
        ("11:50", "11:30", {"batches": 1, "events": 1, "duplicates": 0, "too_late": 0, "quarantined": 0}),
        ("12:05", "11:45", {"batches": 1, "events": 2, "duplicates": 0, "too_late": 0, "quarantined": 0}),
    ],
)
def test_where_the_lines_of_the_newest_window_went(
    window_closed_at: str, last_batch: str, expected: dict[str, int], tmp_path: Path
) -> None:
    document = check(write(tmp_path, BATCHES), window_closed_at).document
    assert document["window"]["start"] == f"2026-01-02T{last_batch}:00Z"
    counted = {key: document["input"][key] for key in expected}
    assert counted == expected


def only(start: str, lines: Sequence[bytes], folder: Path, as_of: str) -> dict[str, Any]:
    """The check as of a time at which the window `start` is the newest closed one."""
    write(folder, {start: lines})
    document: dict[str, Any] = check(folder, as_of).document
    assert document["window"]["start"] == f"2026-01-02T{start}:00Z"
    return document


SEALED = seal("12:00:30", "11:45", 30_000)


@pytest.mark.parametrize(
    ("ts", "events", "too_late", "quarantined"),
    [
        ("2026-01-01T12:00:00Z", 0, 0, 0),  # exactly 24 h before the batch's end: an event, of another window
        ("2026-01-01T11:59:59.999Z", 0, 1, 0),
        ("2026-01-01T00:00:00Z", 0, 1, 0),
        ("11:44:59.999", 0, 0, 0),
        ("11:45", 1, 0, 0),
        ("11:59:59.999999", 1, 0, 0),
        ("12:00", 0, 0, 0),  # half-open: it is the next window's
        ("12:05", 0, 0, 0),  # exactly the batch's end + 5 min: counts for the next window
        ("12:05:00.001", 0, 0, 1),
        ("2027-01-01T00:00:00Z", 0, 0, 1),
    ],
)
def test_edges_of_what_a_batch_may_hold(ts: str, events: int, too_late: int, quarantined: int, tmp_path: Path) -> None:
    counts = only("11:45", [save(ts, "x"), SEALED], tmp_path, "12:05")["input"]
    assert (counts["events"], counts["too_late"], counts["quarantined"]) == (events + 1, too_late, quarantined)


def test_event_exactly_24_hours_old_counts_and_an_older_one_does_not(tmp_path: Path) -> None:
    # Yesterday 12:00 has 1 save of 100 ms; today's batch 11:45 adds one of 300 at exactly 12:00:00 and one too late.
    write_batch(tmp_path, "2026-01-01T12:00:00Z", [save("2026-01-01T12:01:00Z", "y", 100)])
    late = [save("2026-01-01T12:00:00Z", "z", 300), save("2026-01-01T11:59:59.999Z", "old", 9000), SEALED]
    write_batch(tmp_path, "11:45", late)
    rows = replay(tmp_path, "2026-01-01T11:45:00Z", "2026-01-01T12:15:00Z", "12:05")
    assert values(rows["12:00"])["save_latency_p95"] == (pytest.approx(0.290, rel=1e-12), 2, "ok")
    assert values(rows["11:45"])["save_latency_p95"] == (None, 0, "no_data")
    earlier = replay(tmp_path, "2026-01-01T12:00:00Z", "2026-01-01T12:15:00Z", "2026-01-01T12:20:00Z")
    assert values(earlier["12:00"])["save_latency_p95"] == (pytest.approx(0.1, rel=1e-12), 1, "ok")


@pytest.mark.parametrize(
    ("first", "second", "counts_ms"),
    [
        (("11:46", 100), ("11:47", 900), 100),  # the smallest time counts, in the older batch …
        (("11:47", 900), ("11:46", 100), 100),  # … and in the newer
        (("11:46", 100), ("11:46", 100), 100),  # the same line twice
        (("11:46", 100), ("11:46", 900), 100),  # the same time: the smallest bytes, `…100}` before `…900}`
        (("11:46", 900), ("11:46", 100), 100),
        (("11:46", 1000), ("11:46", 900), 1000),  # bytes, not numbers: `…1000}` is smaller than `…900}`
        (("11:46", 900), ("11:46", 1000), 1000),
    ],
)
@pytest.mark.parametrize("same_batch", [True, False])
def test_one_copy_counts(
    first: tuple[str, int], second: tuple[str, int], counts_ms: int, same_batch: bool, tmp_path: Path
) -> None:
    one, other = save(first[0], "r", first[1]), save(second[0], "r", second[1])
    next_seal = seal("12:15:30", "12:00", 30_000)
    batches = {"11:45": [one, SEALED], "12:00": [other, next_seal]}
    if same_batch:
        batches = {"11:45": [one, other, SEALED], "12:00": [next_seal]}
    row = replay(write(tmp_path, batches), "11:45", "12:00", "12:20")["11:45"]
    assert values(row)["save_latency_p95"] == (counts_ms / 1000, 1, "ok")
    counts = check(tmp_path, "12:20").document["input"]
    assert (counts["duplicates"], counts["events"]) == (0, 1)  # the copies are the other window's


@pytest.mark.parametrize(
    "spread", [(), ("11:45",), ("11:45", "12:00"), ("12:00", "12:15"), ("11:45", "12:00", "12:15")]
)
def test_copies_are_counted_for_their_window_wherever_they_arrive(spread: tuple[str, ...], tmp_path: Path) -> None:
    batches = {"11:45": [save("11:50", "r"), SEALED], "12:00": [], "12:15": []}
    for number, start in enumerate(spread):
        batches[start] = [*batches[start], save(f"11:5{number + 1}", "r")]
    write(tmp_path, batches)
    # As of 12:05 only the batch 11:45 has ended; as of 12:30 all three, but then 12:15 is the newest.
    counts = check(tmp_path, "12:05").document["input"]
    assert (counts["events"], counts["duplicates"]) == (2, spread.count("11:45"))
    row = replay(tmp_path, "11:45", "12:00", "12:35")["11:45"]
    assert values(row)["save_latency_p95"][1] == 1


@pytest.mark.parametrize(
    ("one", "other", "samples"),
    [
        ({"request_id": "r"}, {"request_id": "r", "phase": "A"}, 1),  # another phase: no copy, and not of B
        ({"request_id": "r"}, {"request_id": "s"}, 2),
        ({"request_id": "r"}, {"request_id": "r", "event": "autosave.save.error"}, 1),  # another event: no copy
    ],
)
def test_what_is_no_copy(one: dict[str, str], other: dict[str, str], samples: int, tmp_path: Path) -> None:
    fields = {"duration_ms": 100, "code": "E", "retryable": True}
    document = only(
        "11:45", [line("11:50", **one, **fields), line("11:50", **other, **fields), SEALED], tmp_path, "12:05"
    )
    assert document["input"]["duplicates"] == 0
    assert document["input"]["events"] == 3
    assert values(document)["save_latency_p95"][1] == samples


def test_line_without_the_dedup_key_is_nobodys_copy(tmp_path: Path) -> None:
    drift = line("11:50", "autosave.history.drift", current_generation=1, index_generation=2)
    document = only("11:45", [drift, drift, SEALED], tmp_path, "12:05")
    assert document["input"]["duplicates"] == 0
    assert values(document)["history_drift"] == (2.0, 1, "violation")


@pytest.mark.parametrize(
    ("as_of", "newest", "expected"),
    [
        ("12:04:59", "11:30", (None, 0, "no_data")),  # 11:45 is not closed
        ("12:05", "11:45", (None, 0, "no_data")),  # closed; its seal at 12:07 does not exist yet
        ("12:06:59", "11:45", (None, 0, "no_data")),
        ("12:07", "11:45", (420.0, 1, "violation")),
        ("12:19", "11:45", (420.0, 1, "violation")),
    ],
)
def test_seal_later_than_the_clock_does_not_exist(
    as_of: str, newest: str, expected: tuple[float | None, int, str], tmp_path: Path
) -> None:
    write(tmp_path, {"11:45": [save("11:50", "r"), seal("12:07", "11:45", 420_000)]})
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        document = check(tmp_path, as_of, cache=cache).document
        assert document["window"]["start"] == f"2026-01-02T{newest}:00Z"
        assert values(document)["collector_latency"] == expected


def test_seal_seen_earlier_and_later_with_one_cache(tmp_path: Path) -> None:
    write(tmp_path, {"11:45": [save("11:50", "r"), seal("12:07", "11:45", 420_000)]})
    found = [
        values(check(tmp_path, as_of, cache=tmp_path / "cache").document)["collector_latency"][0]
        for as_of in ("12:05", "12:07", "12:05", "12:08", "12:06")
    ]
    assert found == [None, 420.0, None, 420.0, None]


def test_batch_that_has_not_ended_is_not_there(tmp_path: Path) -> None:
    # A batch of 12:00 is there already, with a late save of 11:45: as of 12:14 it does not exist, as of 12:15 it does.
    write(tmp_path, {"11:45": [save("11:50", "r", 100), SEALED], "12:00": [save("11:51", "s", 300)]})
    samples = {
        as_of: values(check(tmp_path, as_of).document)["save_latency_p95"][1]
        for as_of in ("12:05", "12:14:59", "12:15")
    }
    assert samples == {"12:05": 1, "12:14:59": 1, "12:15": 2}


def test_collector_event_without_a_batch_start_counts_for_its_time(tmp_path: Path) -> None:
    exhausted = line("11:50", "collector.retry_exhausted", source="app", attempts=4)
    document = only("11:45", [exhausted, save("11:50", "r"), SEALED], tmp_path, "12:05")
    assert document["input"]["events"] == 3
    assert document["decision"] == "hold"
    assert any("collector.retry_exhausted" in reason for reason in document["reasons"])
