"""A long ledger is read and folded in a time that grows with its length, whatever its records are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.ledger.records import Record, read_ledger
from checker.ledger.state import fold
from tests.ledgers import END_OF_TIME, FIRST, WINDOW, LedgerBuilder, digest

SHORT, TIMES = 3000, 4
BETWEEN = 8  # a time that grows with the length grows by 4, one that grows with its square by 16


def opened(number: int) -> tuple[str, dict[str, Any]]:
    return "incident", {"event": "opened", "cause": "violation", "slos": [f"slo{number}"]}


def decided_and_approved(number: int) -> tuple[str, dict[str, Any]]:
    if number % 2:
        return "approval", {"subject": "change", "role": "SRE", "by": "Ada", "governed_digest": digest("a")}
    told = dict.fromkeys(("judging_digest", "governed_digest", "inputs_digest"), digest(f"{number}"))
    told |= {"outcome": "ok", "decision": "hold", "window_end": "2026-01-01T00:15:00Z"}
    return "decision", {**told, "rollback_required": False, "violations": []}


def rolled_back(number: int) -> tuple[str, dict[str, Any]]:
    event = ("begun", "ended", "failed")[number % 3]
    return "rollback", {"event": event, "from": "B", "to": "A", "incident": None, "by": "Ada", "reason": "asked"}


def records(make: Callable[[int], tuple[str, dict[str, Any]]], count: int) -> Sequence[Record]:
    made = ((number, *make(number)) for number in range(1, count + 1))
    return [
        Record(number, FIRST + timedelta(seconds=number), kind, "B", FIRST + number * WINDOW, f"{kind}-{number}", data)
        for number, kind, data in made
    ]


def least_s(act: Callable[[], object]) -> float:
    """CPU seconds of the quickest of three turns."""
    spent = []
    for _ in range(3):
        begun = time.process_time()
        act()
        spent.append(time.process_time() - begun)
    return min(spent)


@pytest.mark.parametrize("make", [opened, decided_and_approved, rolled_back])
def test_folding_takes_a_time_in_step_with_the_length(make: Callable[[int], tuple[str, dict[str, Any]]]) -> None:
    short, long = records(make, SHORT), records(make, SHORT * TIMES)
    assert least_s(lambda: fold(long)) < BETWEEN * least_s(lambda: fold(short))


def test_an_incident_keeps_what_was_added_to_it() -> None:
    (incident,) = fold(records(opened, 3)).incidents
    assert {slo for _, slo in incident.violations} == {"slo1", "slo2", "slo3"}
    closing = Record(4, FIRST + WINDOW, "incident", "B", None, incident.id, {"event": "cancelled"})
    (closed,) = fold([*records(opened, 3), closing]).incidents
    assert (closed.violations, closed.outcome) == (incident.violations, "cancelled")


def test_reading_takes_a_time_in_step_with_the_length(tmp_path: Path) -> None:
    def written(count: int) -> Path:
        built = LedgerBuilder("A")
        for _ in range(count):
            built.resume()
        return built.write(tmp_path / f"{count}.jsonl")

    short, long = written(500), written(500 * TIMES)
    assert len(read_ledger(long, END_OF_TIME).records) == 500 * TIMES
    spent_s = [least_s(lambda path=path: read_ledger(path, END_OF_TIME)) for path in (short, long)]  # type: ignore[misc]
    assert spent_s[1] < BETWEEN * spent_s[0]
