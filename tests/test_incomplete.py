"""A batch that was sealed without a source: nothing is said of its window before the source's lines are there."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer.batch_index import BatchIndex
from checker.analyzer.batches import BatchFile, LogFolder
from checker.analyzer.cache import open_cache
from checker.analyzer.event_schema import build
from checker.analyzer.history import Lens, load_history
from checker.analyzer.judge import JudgedWindow
from checker.analyzer.telemetry import KnownBatch, Telemetry
from checker.pipeline import Past, Request, check
from checker.windows import iso, stamp
from tests.batches import WINDOW, closed, event, start_of
from tests.rollouts import Rollout
from tests.telemetry import ROOT, ingested, rules_for, save, seal, write_batch

SAVED = "autosave.save.completed"
SEALED = timedelta(seconds=3)


def write(
    folder: Path,
    number: int,
    *events: dict[str, Any],
    incomplete: list[str] | None = None,
    sealed: timedelta | None = SEALED,
) -> None:
    """A batch: the events, and `sealed` after the window's end a seal that names the sources that are missing."""
    end = start_of(number + 1)
    counts = {"accepted": len(events), "duplicates": 0, "quarantined": 0, "errors_retryable": 0, "errors_fatal": 0}
    missing = {"incomplete": incomplete} if incomplete else {}
    told = {"latency_ms": 3000, "batch_start": iso(start_of(number)), **counts, **missing}
    seals = [] if sealed is None else [event("collector.latency", end + sealed, "B", **told)]
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in (*events, *seals))
    (folder / f"{stamp(start_of(number))}.jsonl").write_text(text, encoding="utf-8")


def saved(number: int, duration_ms: float, name: str = "") -> dict[str, Any]:
    """A save in the window with this number."""
    at = start_of(number) + timedelta(minutes=3)
    return event(SAVED, at, "B", request_id=f"r{number}{name}", duration_ms=duration_ms)


def judged(rollout: Rollout, number: int, at: datetime) -> JudgedWindow:
    """The window with this number as it is judged as of `at`."""
    request, start = Request("B", at, rollout.logs), start_of(number)
    with open_cache(None) as cache:
        history = load_history(
            rollout.governed, LogFolder(rollout.logs), cache, request.run, Lens("B", "B", at), start, start
        )
    return history.judged[start]


@pytest.mark.parametrize("duration_ms", [500, 1_900, 9_000])  # ok, warn, violation
def test_half_of_a_window_is_neither_met_nor_violated(tmp_path: Path, duration_ms: float) -> None:
    rollout = Rollout(tmp_path)
    write(rollout.logs, 0, saved(0, 500))
    write(rollout.logs, 1, saved(1, duration_ms), incomplete=["gateway"])
    decision = check(rollout.governed, Request("B", closed(2), rollout.logs), Past()).decision
    assert (decision.outcome.value, decision.verdict.value, decision.rollback_required) == ("no_data", "hold", False)
    (reason,) = {row.reason for row in decision.judgements}
    assert reason == "sealed without gateway, whose lines come with a later batch"


@pytest.mark.parametrize(
    ("late_ms", "expected"),
    [(600, ("ok", "hold")), (9_000, ("violation", "rollback"))],
)
def test_with_the_late_lines_the_window_is_decided(tmp_path: Path, late_ms: float, expected: tuple[str, str]) -> None:
    rollout = Rollout(tmp_path)
    rollout.enter()
    write(rollout.logs, 0, saved(0, 500))
    write(rollout.logs, 1, saved(1, 500), incomplete=["gateway"])
    assert rollout.check(2).result.decision.outcome.value == "no_data"
    write(rollout.logs, 2, saved(2, 500), saved(1, late_ms, "late"))
    told = rollout.check(3).result.decision
    assert (told.outcome.value, told.verdict.value) == expected
    assert rollout.state.decided[start_of(1)].outcome == expected[0]


def test_a_source_that_was_quiet_is_known_to_have_been_once_it_was_read(tmp_path: Path) -> None:
    """No late line comes, and still the window counts as changed."""
    rollout = Rollout(tmp_path)
    rollout.enter()
    write(rollout.logs, 0, saved(0, 500), incomplete=["gateway"])
    rollout.check(1)
    before = rollout.state.decided[start_of(0)]
    write(rollout.logs, 1, saved(1, 500))
    rollout.check(2)
    after = rollout.state.decided[start_of(0)]
    assert (before.outcome, after.outcome) == ("no_data", "ok")
    assert before.inputs_digest != after.inputs_digest


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([["a"], None], "ok"),  # b came with the next batch, a with the one after
        ([["a"], ["a"]], "no_data"),  # a has not come
        ([["b"], ["a"]], "ok"),  # each came once
        ([["a", "b"], ["a", "b"]], "no_data"),
    ],
)
def test_two_sources_come_back_apart(tmp_path: Path, later: list[list[str] | None], expected: str) -> None:
    rollout = Rollout(tmp_path)
    write(rollout.logs, 0, saved(0, 500), incomplete=["a", "b"])
    for number, missing in enumerate(later, 1):
        write(rollout.logs, number, saved(number, 500), incomplete=missing)
    assert judged(rollout, 0, closed(3)).outcome.value == expected


@pytest.mark.parametrize("number", [3, 4])
def test_a_lookback_reaches_a_window_that_is_not_whole(tmp_path: Path, number: int) -> None:
    """Without seals nobody knows whether the source was read; 45 min of lookback reach three windows back."""
    rollout = Rollout(tmp_path)
    write(rollout.logs, 0, saved(0, 500), incomplete=["gateway"])
    write(rollout.logs, number, saved(number, 500), sealed=None)
    reasons = {row.slo: row.reason for row in judged(rollout, number, closed(number + 1)).judgements}
    told = "sealed without gateway, whose lines come with a later batch"
    assert [slo for slo, reason in reasons.items() if reason == told] == (["history_drift"] if number == 3 else [])


def test_a_later_seal_that_does_not_exist_yet_brings_nothing(tmp_path: Path) -> None:
    """The next batch lies there, and its seal is 3 s after its end: as of 1 s after it the source has not come."""
    rollout = Rollout(tmp_path)
    write(rollout.logs, 0, saved(0, 500), incomplete=["gateway"])
    write(rollout.logs, 1, saved(1, 500))
    told = [judged(rollout, 0, start_of(2) + timedelta(seconds=seconds)).outcome.value for seconds in (1, 3)]
    assert told == ["no_data", "ok"]


def test_a_batch_whose_own_seal_comes_later_is_no_more_whole(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path)
    write(rollout.logs, 0, saved(0, 9_000), incomplete=["gateway"], sealed=timedelta(minutes=9))
    assert judged(rollout, 0, closed(1)).outcome.value == "no_data"


@pytest.mark.parametrize(
    ("comes", "expected"),
    [
        (95, ()),  # 24 h before its end is the start of window 0: every late line still counts
        (96, ("gateway",)),  # the lines of window 0 are too late for it
    ],
)
def test_a_source_that_comes_back_too_late_brings_nothing(comes: int, expected: tuple[str, ...]) -> None:
    assert telemetry_of({0: ("gateway",), comes: ()}).missing_sources(start_of(0)) == expected


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ({0: None, 1: ("a",)}, ()),  # nothing says how it was sealed
        ({0: (), 1: ("a",)}, ()),
        ({0: ("b", "a")}, ("a", "b")),
        ({0: ("a",), 1: None}, ("a",)),  # what has no seal was sealed with nothing
        ({0: ("a",), 1: ("a",), 2: ("b",)}, ()),
        ({0: ("a", "b"), 1: ("b",), 2: ("a",)}, ()),
        ({0: ("a", "b"), 3: ("b", "c")}, ("b",)),
        ({-1: (), 0: ("a",)}, ("a",)),  # an earlier batch holds nothing of it
    ],
)
def test_which_sources_are_missing(batches: dict[int, tuple[str, ...] | None], expected: tuple[str, ...]) -> None:
    assert telemetry_of(batches).missing_sources(start_of(0)) == expected


def telemetry_of(batches: dict[int, tuple[str, ...] | None]) -> Telemetry:
    """Telemetry with a batch for each number, sealed without these sources; None for one without a seal."""
    known = {
        start_of(number): KnownBatch(
            BatchFile(start_of(number), Path("batch")),
            BatchIndex(digest="", lines=0, too_late=0, events={}, incomplete=missing),
            "key", Path("events"), "checksum",
        )
        for number, missing in batches.items()
    }  # fmt: skip
    return Telemetry(WINDOW, timedelta(hours=24), closed(200), known, {}, {})


def without(**fields: Any) -> bytes:
    """The seal of the batch of 12:00."""
    return seal("12:15:03", "12:00", 3000, **fields)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([without()], ()),
        ([without(incomplete=[])], ()),
        ([without(incomplete=["gw", "app", "gw"])], ("app", "gw")),
        ([without(incomplete=[f"s{number:02}" for number in range(70)])], tuple(f"s{each:02}" for each in range(64))),
        ([without(incomplete=["x" * 65])], ("x" * 64,)),
        ([without(incomplete="gw")], None),  # the schema sets the line aside: nothing says how the batch was sealed
        ([without(incomplete=[1])], None),
        ([seal("12:00:03", "11:45", 3000, incomplete=["gw"])], None),  # the seal of another window
        ([seal("12:00:03", "11:45", 3000, incomplete=["gw"]), without()], ()),
        ([save("12:01", "a", incomplete=["gw"]), without()], ()),  # no seal
        ([save("12:01", "a")], None),
    ],
)
def test_what_a_batch_says_of_its_seal(
    lines: list[bytes], expected: tuple[str, ...] | None, fast: bool, tmp_path: Path
) -> None:
    path = write_batch(tmp_path, "12:00", [save("12:02", "z"), *lines])
    assert ingested(path, rules_for(fast=fast)).index.incomplete == expected


@pytest.mark.parametrize("kind", [None, {"type": "string"}, {"type": "boolean"}])
def test_a_schema_that_knows_no_such_list_has_no_incomplete_batch(kind: dict[str, Any] | None, tmp_path: Path) -> None:
    """`incomplete` may be a word of the product's own."""
    document = json.loads((ROOT / "schemas/event.schema.json").read_text("utf-8"))
    del document["properties"]["incomplete"]
    own = {}
    if kind is not None:
        document["properties"]["incomplete"] = kind
        own = {"incomplete": {"string": "half", "boolean": True}[kind["type"]]}
    found = ingested(write_batch(tmp_path, "12:00", [save("12:01", "a"), without(**own)]), rules_for(build(document)))
    assert (found.index.incomplete, found.index.quarantined) == ((), {})


def test_of_several_seals_the_newest_says_what_is_missing(tmp_path: Path) -> None:
    """A check of a recovery reads three slices as one batch: what came with the third is there."""
    slices = [seal(f"12:{5 * n + 5:02}:02", f"12:{5 * n:02}", 2000, **({"incomplete": names} if names else {}))
              for n, names in enumerate((["a"], ["a", "b"], ["b"]))]  # fmt: skip
    for count, expected in ((1, ("a",)), (2, ("a", "b")), (3, ("b",))):
        assert ingested(write_batch(tmp_path, "12:00", slices[:count]), rules_for()).index.incomplete == expected
    path = write_batch(tmp_path, "12:00", [*slices[:2], seal("12:15:02", "12:10", 2000)])
    assert ingested(path, rules_for()).index.incomplete == ()


def test_an_error_stays_an_error(tmp_path: Path) -> None:
    """Which is worse than nothing measured, and is looked for elsewhere."""
    rollout = Rollout(tmp_path)
    write(rollout.logs, 0, saved(0, 500), incomplete=["gateway"])
    write(rollout.logs, 1, saved(1, 500), incomplete=["gateway"])
    (rollout.logs / f"{stamp(start_of(0))}.jsonl").unlink()
    (rollout.logs / f"{stamp(start_of(0))}.jsonl").mkdir()
    statuses = {row.slo: row.status.value for row in judged(rollout, 1, closed(2)).judgements}
    assert statuses["history_drift"] == "error"
    assert set(statuses.values()) == {"error", "no_data"}
