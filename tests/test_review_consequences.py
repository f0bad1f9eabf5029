"""What a change would have decided: flips, rollbacks, gates, values, populations, past incidents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.engines.local import local_mapper
from checker.errors import CannotDecide
from checker.governance.reviewed import Consequences
from checker.reviewing.compare import compare_sound
from checker.reviewing.replaying import Span
from checker.reviewing.review import Asked, consequences_of
from checker.reviewing.revision import both_revisions
from tests.batches import FIRST, WINDOW, closed, event, start_of, write_batches
from tests.policy_repository import POLICY_FILE, Edit, PolicyRepository, make_repository

P95, RATE = "queries/slo/save_latency_p95.sql", "queries/slo/failure_rate.sql"
KINDS = ["met"] * 10 + ["warn"] * 2 + ["met"] * 4 + ["violation"] + ["met"] * 3


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> PolicyRepository:
    return make_repository(tmp_path_factory.mktemp("consequences"), as_shipped=True)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Windows of phase B as KINDS says; in window 2 a save that failed, which no P95 sees."""
    failed = {2: [event("autosave.save.error", start_of(2), "B", code="E1", retryable=True, request_id="f1")]}
    return write_batches(tmp_path_factory.mktemp("logs"), "B", KINDS, extra=failed)


def found(
    repository: PolicyRepository, logs: Path, *edits: Edit, incidents: Path | None = None, **more: Any
) -> Consequences:
    """The consequences of `edits` over the logs, all of whose windows are closed."""
    compared = repository.compared(repository.change(edits))
    at = closed(len(KINDS))
    span = Span(logs, "logs", FIRST, FIRST + WINDOW * len(KINDS), at, run=local_mapper(1), **more)
    return consequences_of(compared, span, Asked((), frozenset(), at, incidents=incidents))


def starts(numbers: Iterable[int]) -> list[Any]:
    return [start_of(number) for number in numbers]


def test_a_lower_limit_flips_the_windows_past_it_and_adds_their_rollbacks(
    repository: PolicyRepository, logs: Path
) -> None:
    lower = Edit(POLICY_FILE, "B: 2.0, C: 1.8}", "B: 1.65, C: 1.6}")
    made = found(repository, logs, lower)
    assert [flip.window.start for flip in made.flips] == starts([10, 11])
    assert {(flip.slo, flip.before, flip.after, flip.limit_before, flip.limit_after) for flip in made.flips} == {
        ("save_latency_p95", "warn", "violation", 2.0, 1.65)
    }
    assert {flip.value_after for flip in made.flips} == {1.7}
    added = [(flip.window.start, flip.verdict_before, flip.verdict_after) for flip in made.verdict_flips]
    assert added == [(start_of(10), "hold", "rollback"), (start_of(11), "hold", "rollback")]
    assert made.values == ()
    assert made.not_replayed.keys() == {"A", "C"}


def test_a_higher_limit_takes_a_rollback_back(repository: PolicyRepository, logs: Path) -> None:
    higher = Edit(POLICY_FILE, "A: 2.5, B: 2.0", "A: 10, B: 9.5")
    made = found(repository, logs, higher)
    gone = [(flip.window.start, flip.verdict_after) for flip in made.verdict_flips if flip.verdict_before == "rollback"]
    assert gone == [(start_of(16), "hold")]


def test_a_gate_that_asks_for_less_passes_earlier(repository: PolicyRepository, logs: Path) -> None:
    made = found(repository, logs, Edit(POLICY_FILE, "{hours: 24,", "{hours: 2,"))
    (gate,) = made.gates
    assert (gate.phase, gate.before) == ("B", None)
    assert gate.after == closed(11)  # eight windows of a quarter of an hour since the failure in window 2
    assert made.flips == ()


def test_another_quantile_changes_values_and_nothing_else_of_the_population(
    repository: PolicyRepository, tmp_path: Path
) -> None:
    two = {
        number: [event("autosave.save.completed", start_of(number), "B", duration_ms=100, request_id=f"x{number}")]
        for number in range(3)
    }
    logs = write_batches(tmp_path / "logs", "B", ["met"] * 3, extra=two)
    made = found(repository, logs, Edit(P95, "duration_ms, 0.95)", "duration_ms, 0.5)"))
    (value,) = made.values
    assert (value.slo, value.windows) == ("save_latency_p95", 3)
    assert value.before == pytest.approx(0.48)
    assert value.after == pytest.approx(0.3)
    assert [(row.query, row.entered, row.left) for row in made.populations] == [(P95, 0, 0)]


@pytest.mark.parametrize(
    ("old", "new", "entered", "left"),
    [
        (
            "event = 'autosave.save.completed' and phase",
            "phase",
            len(KINDS) + 1,
            0,
        ),  # the seals, and the save that failed
        ("event = 'autosave.save.completed'", "event = 'autosave.save.error'", 1, len(KINDS)),
        ("event = 'autosave.save.completed'", "event = 'autosave.save.completed' and duration_ms < 1700", 0, 3),
        ("event = 'autosave.save.completed' and", "event = 'autosave.save.completed' and true and", 0, 0),
    ],
)
def test_rows_that_enter_and_leave_a_query(
    old: str, new: str, entered: int, left: int, repository: PolicyRepository, logs: Path
) -> None:
    made = found(repository, logs, Edit(P95, old, new))
    assert [(row.entered, row.left, row.why) for row in made.populations] == [(entered, left, "")]


def test_a_population_that_cannot_be_told_says_why(repository: PolicyRepository, logs: Path) -> None:
    joined = Edit(
        RATE,
        """        select window_start, event
        from events
        where event in""",
        """        select windows.window_start, events.event
        from windows
        join events using (window_start)
        where event in""",
    )
    made = found(repository, logs, joined)
    assert [(row.entered, row.left, row.why) for row in made.populations] == [
        (None, None, "joins events before it filters them")
    ]


def test_phase_c_is_judged_by_the_events_of_b(repository: PolicyRepository, logs: Path) -> None:
    lower = Edit(POLICY_FILE, "C: 1.8}", "C: 1.6}")
    made = found(repository, logs, lower, phases=("C",), events_of="B")
    assert [flip.window.start for flip in made.flips] == starts([10, 11])
    assert {flip.phase for flip in made.flips} == {"C"}
    assert made.not_replayed.keys() == {"A", "B"}


def test_nothing_to_replay_is_no_review(repository: PolicyRepository, tmp_path: Path) -> None:
    with pytest.raises(CannotDecide, match="no window of logs could be replayed"):
        found(repository, tmp_path, Edit(POLICY_FILE, "C: 1.8}", "C: 1.6}"))


INCIDENTS = """schema_version: 1
incidents:
  - {id: INC-1, title: slow disk, phase: B, from: "2026-01-01T03:50:00Z", until: "2026-01-01T04:15:00Z"}
  - {id: INC-2, title: slow lock, phase: B, from: "2026-01-01T02:20:00Z", until: "2026-01-01T02:50:00Z"}
"""


def test_past_incidents_that_are_caught_and_missed(repository: PolicyRepository, logs: Path, tmp_path: Path) -> None:
    file = tmp_path / "incidents.yaml"
    file.write_text(INCIDENTS, encoding="utf-8")
    lower = Edit(POLICY_FILE, "B: 2.0, C: 1.8}", "B: 1.65, C: 1.6}")
    made = found(repository, logs, lower, incidents=file)
    met = {row.id: (row.base.late, row.head.late) for row in made.incidents}
    # INC-2 began at 02:20, in window 9; window 10, the first slow one, closes at 02:50
    assert met == {"INC-1": (timedelta(minutes=30), timedelta(minutes=30)), "INC-2": (None, timedelta(minutes=30))}
    assert made.false_alarms is not None
    assert (made.false_alarms.before, made.false_alarms.after) == (1, 1)  # the save that failed in window 2


def test_a_change_cannot_take_a_past_incident_away(repository: PolicyRepository, logs: Path) -> None:
    repository.change([Edit("policy/incidents.yaml", "", INCIDENTS)])
    repository.git("tag", "--force", "with-incidents")
    head = repository.change([Edit("policy/incidents.yaml", "", INCIDENTS.replace("INC-1", "INC-9"))])
    at = closed(len(KINDS))
    span = Span(logs, "logs", FIRST, FIRST + WINDOW * len(KINDS), at, run=local_mapper(1))
    with both_revisions(repository.policy, "with-incidents", head) as (_, before, after):
        made = consequences_of(compare_sound(before, after), span, Asked((), frozenset(), at))
    assert {row.id for row in made.incidents} == {"INC-1", "INC-2", "INC-9"}


def test_a_phase_that_is_named_twice_is_replayed_once(repository: PolicyRepository, logs: Path) -> None:
    lower = Edit(POLICY_FILE, "B: 2.0, C: 1.8}", "B: 1.65, C: 1.6}")
    made = found(repository, logs, lower, phases=("B", "B"))
    assert [row.phase for row in made.replays] == ["B"]
    assert [flip.window.start for flip in made.flips] == starts([10, 11])


def test_a_change_that_judges_later_catches_an_incident_later(
    repository: PolicyRepository, logs: Path, tmp_path: Path
) -> None:
    file = tmp_path / "incidents.yaml"
    file.write_text(INCIDENTS, encoding="utf-8")
    made = found(repository, logs, Edit(POLICY_FILE, "lateness: 5m", "lateness: 10m"), incidents=file)
    met = {row.id: (row.base.late, row.head.late) for row in made.incidents}
    assert met["INC-1"] == (timedelta(minutes=30), timedelta(minutes=35))
