"""What the ledger holds against a decision: late violations, incidents, rollbacks whose outcome nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import CachePlace, open_cache
from checker.analyzer.governed import Governed, load_governed
from checker.analyzer.telemetry import load_telemetry
from checker.engines.local import local_mapper
from checker.windows import iso
from tests.batches import WINDOW, closed, event, start_of, write_batches
from tests.ledgers import LedgerBuilder
from tests.telemetry import ROOT, phasegate, values

POLICY = ROOT / "policy/policy.yaml"
START = "2026-01-01T00:00:00Z"
UNKNOWN = "the outcome of rollback rollback-1 is unknown; it waits for a person"
APPROVERS = {"A": ("SRE", "Dev Lead"), "B": ("SRE",)}


@pytest.fixture(scope="module")
def governed() -> Governed:
    return load_governed(POLICY)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all tests here."""
    return tmp_path_factory.mktemp("cache")


def check(phase: str, logs: Path, ledger: LedgerBuilder, windows: int, cache: Path, *more: str) -> dict[str, Any]:
    """The document of `phasegate check` once `windows` windows are closed."""
    where = ("--policy", POLICY, "--logs", logs, "--ledger", ledger.write(logs.parent / "ledger.jsonl"))
    clock = ("--as-of", iso(closed(windows)))
    return phasegate("check", "--format", "json", "--phase", phase, *where, *clock, *more, cache=cache).document


def approved(ledger: LedgerBuilder, phase: str, governed: Governed) -> LedgerBuilder:
    """The ledger with every approval that the next phase needs."""
    for role in APPROVERS[phase]:
        bound = {"subject": "advance", "role": role, "by": "Ada", "judging_digest": governed.judging_digest}
        ledger.record("approval", bound)
    return ledger


def in_a() -> LedgerBuilder:
    return LedgerBuilder().phase_change("off", "A", at=START)


def with_decisions(ledger: LedgerBuilder, governed: Governed, logs: Path, count: int, cache: Path) -> LedgerBuilder:
    """The ledger with a decision for each of the first `count` windows, by the logs as they are."""
    lookback = governed.lookback
    first, last = start_of(0) - lookback, start_of(count - 1)
    with open_cache(CachePlace.trusted(cache)) as opened:
        known = load_telemetry(LogFolder(logs), opened, governed.rules, first, last, closed(count), local_mapper(1))
    for number in range(count):
        data = {
            "outcome": "ok",
            "decision": "hold",
            "rollback_required": False,
            "judging_digest": governed.judging_digest,
            "governed_digest": governed.governed_digest,
            "inputs_digest": known.inputs_digest(start_of(number), lookback),
            "violations": [],
            "window_end": iso(start_of(number) + WINDOW),
        }
        ledger.record("decision", data, window=iso(start_of(number)), at=iso(closed(number + 1)))
    return ledger


COUNT = 100  # batches in all; the windows of all but the last are decided
BEHIND = timedelta(hours=24)  # the policy's max_late, from the end of the last batch


@pytest.fixture(scope="module")
def decided(governed: Governed, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LedgerBuilder]:
    """Batches of phase A, but the last, which each test writes, and the ledger that decided all of their windows."""
    logs = write_batches(tmp_path_factory.mktemp("decided") / "logs", "A", ["met"] * (COUNT - 1))
    return logs, with_decisions(in_a(), governed, logs, COUNT - 1, cache)


def late(at: datetime) -> Sequence[Mapping[str, Any]]:
    """Saves that took far too long, at `at`."""
    return [
        event("autosave.save.completed", at, "A", duration_ms=90_000, request_id=f"late-{number}")
        for number in range(5)
    ]


@pytest.mark.parametrize(
    ("at", "judged", "verdict"),
    [
        (None, [COUNT - 1], "hold"),
        (start_of(50), [50, 51, 52, 53, COUNT - 1], "rollback"),  # far before the 2 hours that the gate looks back
        (start_of(98), [98, COUNT - 1], "rollback"),
        (start_of(COUNT) - BEHIND, [4, 5, 6, 7, COUNT - 1], "rollback"),  # exactly max_late old
        (start_of(COUNT) - BEHIND - timedelta(microseconds=1), [COUNT - 1], "hold"),  # too late
    ],
)
def test_late_violation_in_a_decided_window_is_judged_again(
    at: datetime | None,
    judged: Sequence[int],
    verdict: str,
    decided: tuple[Path, LedgerBuilder],
    cache: Path,
) -> None:
    logs, ledger = decided
    kinds = ["missing"] * (COUNT - 1) + ["met"]
    write_batches(logs, "A", kinds, extra={COUNT - 1: late(at) if at else []})
    document = check("A", logs, ledger, COUNT, cache)
    assert [row["start"] for row in document["judged"]] == [iso(start_of(number)) for number in judged]
    assert (document["decision"], document["rollback_required"]) == (verdict, verdict == "rollback")
    assert document["window"]["start"] == iso(start_of(judged[0] if at and len(judged) > 1 else COUNT - 1))


def begun() -> LedgerBuilder:
    """An incident that a person cancelled, after a rollback was begun for it."""
    ledger = in_a().incident("opened", "i1", slos=["failure_rate"]).rollback("begun", "A", "off", incident="i1")
    return ledger.incident("cancelled", "i1")


def failed() -> LedgerBuilder:
    ledger = in_a().incident("opened", "i1", slos=["failure_rate"]).rollback("begun", "A", "off", incident="i1")
    return ledger.rollback("failed", "A", "off", incident="i1").incident("cancelled", "i1")


@pytest.mark.parametrize(
    ("ledger", "newest", "verdict", "required", "reasons"),
    [
        (in_a, "met", "advance", False, []),
        (begun, "met", "hold", False, [UNKNOWN]),
        (begun, "violation", "hold", True, [UNKNOWN, "the window's outcome is violation"]),
        (failed, "met", "advance", False, []),
        (failed, "violation", "rollback", True, []),
        (
            lambda: in_a().incident("opened", "i1", slos=["failure_rate"]),
            "met",
            "hold",
            True,
            ["incident i1 is open; its rollback is not recorded yet"],
        ),
        (
            lambda: in_a().incident("opened", "i1", cause="retry_exhausted"),
            "met",
            "hold",
            False,
            ["incident i1 is open"],
        ),
        (
            lambda: in_a().incident("opened", "i1", cause="retry_exhausted"),
            "violation",
            "hold",
            True,
            ["incident i1 is open", "the window's outcome is violation"],
        ),
    ],
)
def test_what_incidents_and_rollbacks_ask_for(
    ledger: Callable[[], LedgerBuilder],
    newest: str,
    verdict: str,
    required: bool,
    reasons: Sequence[str],
    governed: Governed,
    tmp_path: Path,
    cache: Path,
) -> None:
    logs = write_batches(tmp_path / "logs", "A", ["met"] * 9 + [newest])
    document = check("A", logs, approved(ledger(), "A", governed), 10, cache)
    assert (document["decision"], document["rollback_required"]) == (verdict, required)
    assert (document["command"] is not None) is required
    if verdict != "rollback":
        assert document["reasons"][: len(reasons)] == list(reasons)
        assert bool(document["reasons"]) == bool(reasons)


@pytest.mark.parametrize(("events_of", "what_if", "incident"), [("B", False, "i1"), ("A", True, None)])
def test_events_of_another_phase_are_judged_without_the_ledger(
    events_of: str, what_if: bool, incident: str | None, tmp_path: Path, cache: Path
) -> None:
    ledger = LedgerBuilder().phase_change("off", "B", at=START).incident("opened", "i1", slos=["failure_rate"])
    logs = write_batches(tmp_path / "logs", events_of, ["met"] * 4)
    document = check("B", logs, ledger, 4, cache, "--events-of", events_of)
    assert (document["what_if"], document["incident"]) == (what_if, incident)
    assert len(document["judged"]) == (1 if what_if else 4)
    assert document["rollback_required"] is not what_if
    assert any("i1" in reason for reason in document["reasons"]) is not what_if


@pytest.fixture(scope="module")
def a_day_and_more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """97 met windows of phase B."""
    return write_batches(tmp_path_factory.mktemp("day") / "logs", "B", ["met"] * 97)


@pytest.mark.parametrize(
    ("minutes", "alerts"),
    [(-15, 1), (0, 1), (1, 1), (5, 1), (6, 0)],  # the clock stands 5 minutes after the newest window's end
)
def test_incident_is_a_critical_alert_from_the_moment_it_is_opened(
    minutes: int, alerts: int, a_day_and_more: Path, cache: Path
) -> None:
    count = 97
    opened = iso(start_of(count) + timedelta(minutes=minutes))
    ledger = LedgerBuilder().phase_change("off", "B", at=START).incident("opened", "i1", slos=["x"], at=opened)
    gate = check("B", a_day_and_more, ledger, count, cache)["gate"]
    observed = {row["criterion"]: (row["observed"], row["passed"]) for row in gate["criteria"]}
    assert observed == {"continuous_compliance": (96.0, True), "critical_alerts": (float(alerts), alerts == 0)}
    assert gate["passed"] is (alerts == 0)


@pytest.mark.parametrize(
    ("exhausted", "verdict"),
    [(None, "advance"), (0, "advance"), (1, "hold"), (7, "hold"), (8, "hold")],  # the gate's eight are 1 to 8
)
def test_exhausted_retries_in_any_window_of_the_gate_hold(
    exhausted: int | None, verdict: str, governed: Governed, tmp_path: Path, cache: Path
) -> None:
    at = start_of(exhausted or 0) + timedelta(minutes=3)
    lines = [event("collector.retry_exhausted", at, "A", source="s", attempts=4)]
    logs = write_batches(tmp_path / "logs", "A", ["met"] * 9, extra={} if exhausted is None else {exhausted: lines})
    ledger = with_decisions(in_a(), governed, logs, 8, cache)
    document = check("A", logs, approved(ledger, "A", governed), 9, cache)
    assert len(document["judged"]) == 1
    assert (document["gate"]["passed"], document["decision"]) == (True, verdict)
    assert any("collector.retry_exhausted" in reason for reason in document["reasons"]) == (verdict == "hold")
    assert values(document)["failure_rate"][2] == "ok"
