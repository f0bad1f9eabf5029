"""The AutoSave gates on real batches and a real ledger: how long a streak must be, and what starts it anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from checker.analyzer.cache import CachePlace
from checker.analyzer.governed import Governed, load_governed
from checker.model import Criterion, Decision
from checker.pipeline import Request, check, read_past
from checker.windows import iso
from tests.batches import closed, event, start_of, write_batches
from tests.ledgers import WINDOW, LedgerBuilder

POLICY = Path(__file__).resolve().parent.parent / "policy" / "policy.yaml"
LEDGER = "ledger.jsonl"
ALERT = {"severity": "critical", "name": "disk-full"}


@pytest.fixture(scope="module")
def governed() -> Governed:
    return load_governed(POLICY)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of met windows, `<phase>` each, and the cache of all tests; only read."""
    root = tmp_path_factory.mktemp("kept")
    for phase, count in (("A", 20), ("B", 98), ("C", 290)):
        write_batches(root / phase, phase, ["met"] * count)
    return root


def decide(
    governed: Governed, phase: str, logs: Path, windows: int, cache: Path, ledger: LedgerBuilder | None = None
) -> Decision:
    """The decision once `windows` windows are closed."""
    path = ledger.write(logs.parent / LEDGER) if ledger else None
    request = Request(
        phase=phase, as_of=closed(windows), logs=logs, ledger=path, cache=CachePlace.trusted(cache / "cache")
    )
    return check(governed, request, read_past(request)).decision


def criterion(decision: Decision, name: str) -> Criterion:
    (row,) = (row for row in decision.gate.criteria if row.criterion == name)
    return row


def entered(phase: str, at: str = "2025-12-31T23:00:00Z") -> LedgerBuilder:
    """A ledger that leads to `phase`, entered at `at`."""
    ledger = LedgerBuilder()
    before = "off"
    for name in ("A", "B", "C")[: "ABC".index(phase)]:
        ledger.phase_change(before, name, at="2025-12-31T22:00:00Z")
        before = name
    return ledger.phase_change(before, phase, at=at)


@pytest.mark.parametrize(
    ("phase", "windows", "required", "passed"),
    [
        ("A", 7, 8, False),
        ("A", 8, 8, True),
        ("B", 95, 96, False),
        ("B", 96, 96, True),
        ("C", 287, 288, False),
        ("C", 288, 288, True),
    ],
)
def test_length(governed: Governed, kept: Path, phase: str, windows: int, required: int, passed: bool) -> None:
    decision = decide(governed, phase, kept / phase, windows, kept)
    streak = decision.gate.criteria[0]
    assert (streak.observed, streak.required, streak.passed) == (windows, required, passed)
    assert decision.gate.passed is passed
    assert decision.gate.earliest_pass == closed(required)


@pytest.mark.parametrize(
    ("phase", "kinds", "observed", "passed"),
    [
        ("A", ["met"] * 8, 8, True),
        ("B", ["met"] * 50 + ["warn"] + ["met"] * 45, 96, True),
        ("B", ["met"] * 50 + ["violation"] + ["met"] * 45, 45, False),
        ("A", ["met"] * 3 + ["violation"] + ["met"] * 7, 7, False),
        ("A", ["met"] * 3 + ["violation"] + ["met"] * 8, 8, True),
        ("A", ["met"] * 3 + ["missing"] + ["met"] * 7, 7, False),
        ("A", ["met"] * 3 + ["missing"] + ["met"] * 8, 8, True),
    ],
    ids=lambda value: "" if isinstance(value, list) else str(value),
)
def test_what_lies_inside(
    governed: Governed, tmp_path: Path, phase: str, kinds: Sequence[str], observed: int, passed: bool
) -> None:
    logs = write_batches(tmp_path / "logs", phase, kinds)
    decision = decide(governed, phase, logs, len(kinds), tmp_path)
    assert (decision.gate.criteria[0].observed, decision.gate.passed) == (observed, passed)


@pytest.mark.parametrize(
    ("windows", "observed", "passed"),
    [(8, 3, False), (12, 7, False), (13, 8, True)],
)
@pytest.mark.parametrize("how", ["phase change", "rollback"])
def test_entering_the_phase_starts_anew(
    governed: Governed, kept: Path, tmp_path: Path, how: str, windows: int, observed: int, passed: bool
) -> None:
    """Entered during the fifth window: the sixth, number 5, is the first that counts."""
    at = iso(start_of(4) + timedelta(minutes=7))
    ledger = entered("A", at) if how == "phase change" else entered("B").rollback("ended", "B", "A", at=at)
    logs = write_batches(tmp_path / "logs", "A", ["met"] * windows)
    decision = decide(governed, "A", logs, windows, kept, ledger)
    assert not decision.what_if
    assert (decision.gate.criteria[0].observed, decision.gate.passed) == (observed, passed)


def test_entering_exactly_at_a_window_counts_that_window(governed: Governed, kept: Path, tmp_path: Path) -> None:
    logs = write_batches(tmp_path / "logs", "A", ["met"] * 12)
    decision = decide(governed, "A", logs, 12, kept, entered("A", iso(start_of(4))))
    assert decision.gate.criteria[0].observed == 8
    assert decision.gate.passed


@pytest.mark.parametrize(
    ("releases", "observed"),
    [({0: "1.0"}, 8), ({0: "1.0", 3: "1.1"}, 8), ({0: "1.0", 4: "1.1"}, 7), ({0: "1.0", 11: "1.1"}, 0)],
    ids=str,
)
def test_a_new_release_starts_anew(governed: Governed, tmp_path: Path, releases: dict[int, str], observed: int) -> None:
    """A release that begins inside window 3 leaves window 4 as the first whole one: 8 of 12 windows."""
    logs = write_batches(tmp_path / "logs", "A", ["met"] * 12, releases=releases)
    decision = decide(governed, "A", logs, 12, tmp_path)
    assert min(decision.gate.criteria[0].observed or 0, 8) == observed
    assert decision.gate.passed is (observed == 8)


@pytest.mark.parametrize(("decided", "observed"), [(4, 8), (5, 7)])
def test_a_changed_judging_digest_starts_anew(
    governed: Governed, kept: Path, tmp_path: Path, decided: int, observed: int
) -> None:
    """Windows that another policy decided do not count."""
    ledger = entered("A")
    for number in range(decided):
        ledger.decision(iso(start_of(number)), judging="another policy", at=iso(closed(number + 1)))
    logs = write_batches(tmp_path / "logs", "A", ["met"] * 12)
    decision = decide(governed, "A", logs, 12, kept, ledger)
    assert decision.gate.criteria[0].observed == observed
    assert decision.gate.passed is (observed == 8)


def test_a_recorded_violation_breaks_where_the_logs_show_none(governed: Governed, kept: Path, tmp_path: Path) -> None:
    ledger = entered("A").record(
        "decision",
        {
            "outcome": "violation",
            "decision": "hold",
            "rollback_required": False,
            "judging_digest": governed.judging_digest,
            "governed_digest": governed.governed_digest,
            "inputs_digest": "0" * 64,
            "violations": ["failure_rate"],
            "window_end": iso(start_of(6)),
        },
        at=iso(closed(6)),
        window=iso(start_of(5)),
    )
    logs = write_batches(tmp_path / "logs", "A", ["met"] * 12)
    decision = decide(governed, "A", logs, 12, kept, ledger)
    assert decision.gate.criteria[0].observed == 6
    assert not decision.gate.passed


@pytest.mark.parametrize(
    ("name", "fields", "alerts"),
    [
        ("alert.fired", ALERT, 1),
        ("alert.fired", ALERT | {"severity": "warning"}, 0),
        ("collector.retry_exhausted", {"source": "gateway", "attempts": 5}, 1),
        ("collector.delayed", {"delay_ms": 400_000, "batch_start": iso(start_of(90))}, 0),
    ],
)
def test_one_critical_alert_in_the_logs(
    governed: Governed, tmp_path: Path, name: str, fields: dict[str, object], alerts: int
) -> None:
    alert = event(name, start_of(90) + timedelta(minutes=2), "B", **fields)
    logs = write_batches(tmp_path / "logs", "B", ["met"] * 96, extra={90: [alert]})
    gate = decide(governed, "B", logs, 96, tmp_path)
    assert criterion(gate, "continuous_compliance").passed
    assert criterion(gate, "critical_alerts").observed == alerts
    assert gate.gate.passed is (alerts == 0)


@pytest.mark.parametrize(("hours_ago", "alerts"), [(2, 1), (23, 1), (25, 0)])
def test_an_incident_is_a_critical_alert(
    governed: Governed, kept: Path, tmp_path: Path, hours_ago: int, alerts: int
) -> None:
    opened = start_of(96) - timedelta(hours=hours_ago)
    ledger = entered("B")
    ledger.incident("opened", "incident-1", cause="retry_exhausted", at=iso(opened), window=iso(opened - WINDOW))
    ledger.incident("cancelled", "incident-1", at=iso(opened + timedelta(minutes=30)))
    logs = tmp_path / "logs"
    logs.symlink_to(kept / "B")
    decision = decide(governed, "B", logs, 96, kept, ledger)
    assert criterion(decision, "critical_alerts").observed == alerts


@pytest.mark.parametrize(("outcome", "notices"), [("violation", 1), ("ok", 0)])
def test_an_incident_notice_holds_c(governed: Governed, kept: Path, tmp_path: Path, outcome: str, notices: int) -> None:
    ledger = entered("C")
    ledger.notice("autosave-incident", outcome=outcome, at=iso(start_of(280)), window=iso(start_of(279)))
    logs = tmp_path / "logs"
    logs.symlink_to(kept / "C")
    decision = decide(governed, "C", logs, 288, kept, ledger)
    assert criterion(decision, "incident_notices").observed == notices
    assert criterion(decision, "continuous_compliance").passed
    assert decision.gate.passed is (notices == 0)
