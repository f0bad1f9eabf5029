"""A batch that was sealed without a source: nothing is said of its window before the source's lines are there."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import open_cache
from checker.analyzer.history import Lens, load_history
from checker.pipeline import Past, Request, check
from checker.windows import iso, stamp
from tests.batches import closed, event, start_of
from tests.rollouts import Rollout

SAVED = "autosave.save.completed"


def write(folder: Path, number: int, *events: dict[str, Any], incomplete: list[str] | None = None) -> None:
    """A sealed batch: the events, and a seal that names the sources that are missing."""
    end = start_of(number + 1)
    counts = {"accepted": len(events), "duplicates": 0, "quarantined": 0, "errors_retryable": 0, "errors_fatal": 0}
    missing = {"incomplete": incomplete} if incomplete else {}
    seal = event("collector.latency", end + timedelta(seconds=3), "B", latency_ms=3000,
                 batch_start=iso(start_of(number)), **counts, **missing)  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in (*events, seal))
    (folder / f"{stamp(start_of(number))}.jsonl").write_text(text, encoding="utf-8")


def saved(number: int, duration_ms: float, name: str = "") -> dict[str, Any]:
    """A save in the window with this number."""
    at = start_of(number) + timedelta(minutes=3)
    return event(SAVED, at, "B", request_id=f"r{number}{name}", duration_ms=duration_ms)


def outcome(rollout: Rollout, at: datetime) -> tuple[str, str]:
    """Outcome and decision of a check as of then."""
    decision = check(rollout.governed, Request("B", at, rollout.logs), Past()).decision
    return decision.outcome.value, decision.verdict.value


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
    request = Request("B", closed(3), rollout.logs)
    governed = rollout.governed
    folder = LogFolder(rollout.logs)
    with open_cache(None) as cache:
        lens = Lens("B", "B", closed(3))
        history = load_history(governed, folder, cache, request.run, lens, start_of(0), start_of(0))
    assert history.judged[start_of(0)].outcome.value == expected


def test_a_seal_that_is_still_to_come_brings_nothing(tmp_path: Path) -> None:
    """A later batch exists from its seal on, whatever lies there today."""
    rollout = Rollout(tmp_path)
    write(rollout.logs, 0, saved(0, 500), incomplete=["gateway"])
    write(rollout.logs, 1, saved(1, 500))
    assert outcome(rollout, closed(1)) == ("no_data", "hold")


def test_a_lookback_reaches_a_window_that_is_not_whole(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path)
    write(rollout.logs, 0, saved(0, 500), incomplete=["gateway"])
    write(rollout.logs, 1, saved(1, 500), incomplete=["gateway"])
    decision = check(rollout.governed, Request("B", closed(2), rollout.logs), Past()).decision
    assert {row.slo: row.status.value for row in decision.judgements}["history_drift"] == "no_data"
