"""What the ledger's records come to: phase, incidents, rollbacks, decisions, approvals, notices, pause."""

from __future__ import annotations

from datetime import datetime

import pytest

from checker.ledger.state import LedgerState, fold
from checker.ledger.values import RecordedViolation
from checker.windows import parse_iso
from tests.ledgers import LedgerBuilder, digest


def at(clock: str) -> datetime:
    """The instant of 1 January 2026 at `clock`, in UTC."""
    return parse_iso(f"2026-01-01T{clock}:00Z")


def when(clock: str) -> str:
    return f"2026-01-01T{clock}:00Z"


def in_phase(phase: str = "B") -> LedgerBuilder:
    """A rollout that entered `phase` at 00:00."""
    return LedgerBuilder().phase_change("off", phase, at=when("00:00"))


def violated() -> LedgerBuilder:
    """Phase B with an incident, opened at 01:05 for the window 00:45."""
    return (
        in_phase()
        .decision(when("00:45"), violations=["p95"], at=when("01:05"))
        .incident("opened", "incident-1", slos=["p95"], window=when("00:45"), at=when("01:05"))
    )


def test_no_record_no_ledger() -> None:
    assert fold(()) == LedgerState()
    assert not LedgerState().exists


@pytest.mark.parametrize(
    ("builder", "phase", "entered_at"),
    [
        (LedgerBuilder().pause(), None, None),
        (in_phase("A"), "A", "00:00"),
        (in_phase("A").phase_change("A", "B", at=when("02:00")), "B", "02:00"),
        (in_phase("B").phase_change("B", "B", at=when("02:00")), "B", "02:00"),  # entered anew
        (in_phase("C").phase_change("C", "complete", at=when("02:00")), "complete", "02:00"),
        (in_phase("A").rollback("ended", "A", "off", at=when("02:00")), "off", "02:00"),
        (in_phase().rollback("proposed", "B", "A", at=when("02:00")), "B", "00:00"),
        (in_phase().rollback("begun", "B", "A", at=when("02:00")), "B", "00:00"),
        (in_phase().rollback("failed", "B", "A", at=when("02:00")), "B", "00:00"),
        (in_phase().rollback("ended", "B", "A", at=when("02:00")), "A", "02:00"),
        # a phase change that tells the same rollback decides when the phase was entered
        (
            in_phase().rollback("ended", "B", "A", at=when("02:00")).phase_change("B", "A", at=when("02:01")),
            "A",
            "02:01",
        ),
        (
            in_phase().phase_change("B", "A", at=when("02:00")).rollback("ended", "B", "A", at=when("02:01")),
            "A",
            "02:00",
        ),
    ],
)
def test_phase(builder: LedgerBuilder, phase: str | None, entered_at: str | None) -> None:
    state = builder.state()
    assert state.exists
    assert (state.phase, state.entered_at) == (phase, None if entered_at is None else at(entered_at))


@pytest.mark.parametrize(
    ("builder", "open_id"),
    [
        (violated(), "incident-1"),
        (violated().incident("added", "incident-1", slos=["errors"]), "incident-1"),
        (violated().incident("ended", "incident-1"), None),
        (violated().incident("cancelled", "incident-1"), None),
        (violated().incident("ended", "incident-7"), "incident-1"),  # another incident's end ends nothing
        (violated().incident("opened", "incident-2", slos=["errors"]), "incident-1"),  # at most one is open
        (violated().incident("ended", "incident-1").incident("opened", "incident-2", slos=["p95"]), "incident-2"),
        (violated().incident("ended", "incident-1").incident("added", "incident-1", slos=["p95"]), "incident-1"),
        (violated().rollback("ended", "B", "A", incident="incident-1"), "incident-1"),  # recovery is still to hold
        (violated().decision(when("01:00")), "incident-1"),  # good windows alone never end it
        (violated().phase_change("B", "A"), "incident-1"),
        (in_phase().incident("ended", "incident-1"), None),
    ],
)
def test_open_incident(builder: LedgerBuilder, open_id: str | None) -> None:
    incident = builder.state().open_incident
    assert (incident.id if incident else None) == open_id


def test_an_incident_keeps_what_was_added_to_it() -> None:
    builder = violated()
    builder.incident("added", "incident-1", slos=["errors", "p95"], window=when("01:00"), at=when("01:20"))
    builder.incident("cancelled", "incident-1", at=when("03:00"))
    (incident,) = builder.state().incidents
    assert (incident.opened_at, incident.closed_at, incident.outcome) == (at("01:05"), at("03:00"), "cancelled")
    assert (incident.phase, incident.window_start) == ("B", at("00:45"))
    assert not incident.rollback_required  # a person cancelled it
    assert incident.violations == {(at("00:45"), "p95"), (at("01:00"), "errors"), (at("01:00"), "p95")}


@pytest.mark.parametrize(
    ("causes", "expected"),
    [
        (["violation"], "violation"),
        (["retry_exhausted"], "retry_exhausted"),
        (["retry_exhausted", "retry_exhausted"], "retry_exhausted"),
        (["retry_exhausted", "violation"], "violation"),
        (["violation", "retry_exhausted"], "violation"),
        (["retry_exhausted", "violation", "retry_exhausted"], "violation"),
    ],
)
def test_an_incident_is_a_violation_once_one_was_added(causes: list[str], expected: str) -> None:
    builder = in_phase()
    for number, cause in enumerate(causes):
        builder.incident("added" if number else "opened", "incident-1", cause=cause, slos=["p95"])
    incident = builder.state().open_incident
    assert incident is not None
    assert incident.cause == expected
    assert incident.rollback_required is (expected == "violation")  # exhausted retries roll nothing back


@pytest.mark.parametrize(
    ("event", "source", "incident", "recorded"),
    [
        ("ended", "B", "incident-1", True),
        ("ended", "B", None, True),  # made by hand, out of the incident's phase
        ("ended", "C", None, False),
        ("ended", "B", "incident-0", False),
        ("failed", "B", "incident-1", False),
        ("begun", "B", "incident-1", False),
        ("proposed", "B", "incident-1", False),
    ],
)
def test_only_its_own_rollback_counts_for_an_incident(
    event: str, source: str, incident: str | None, recorded: bool
) -> None:
    state = violated().rollback(event, source, "A", incident=incident).state()
    assert state.open_incident is not None
    assert state.open_incident.rollback_recorded is recorded
    assert state.open_incident.rollback_required is not recorded


@pytest.mark.parametrize(
    ("events", "unknown"),
    [
        ([("proposed", "r1")], None),
        ([("proposed", "r1"), ("begun", "r1")], "r1"),
        ([("begun", "r1"), ("ended", "r1")], None),
        ([("begun", "r1"), ("failed", "r1")], None),
        ([("begun", "r1"), ("failed", "r1"), ("begun", "r1")], "r1"),  # tried again after a failing exit
        ([("begun", "r1"), ("failed", "r1"), ("begun", "r1"), ("ended", "r1")], None),
        ([("begun", "r1"), ("failed", "r2")], "r1"),  # another one's failure says nothing of this one
        ([("begun", "r1"), ("ended", "r2")], None),  # a person recorded it as done
    ],
)
def test_a_rollback_begun_and_not_settled_is_unknown(events: list[tuple[str, str]], unknown: str | None) -> None:
    builder = in_phase()
    for event, name in events:
        builder.rollback(event, "B", "A", name=name)
    state = builder.state()
    assert (state.rollback_unknown.id if state.rollback_unknown else None) == unknown
    assert [(rollback.event, rollback.id) for rollback in state.rollbacks] == events


def test_ended_rollbacks_are_counted_with_their_times() -> None:
    builder = in_phase("C").rollback("begun", "C", "B", at=when("01:00")).rollback("ended", "C", "B", at=when("01:02"))
    builder.rollback("failed", "B", "A", name="rollback-2", at=when("05:00"))
    builder.rollback("ended", "B", "A", name="rollback-3", incident="incident-1", at=when("06:00"))
    ended = builder.state().rollbacks_ended
    assert [(rollback.at, rollback.phase_from, rollback.phase_to, rollback.incident) for rollback in ended] == [
        (at("01:02"), "C", "B", None),
        (at("06:00"), "B", "A", "incident-1"),
    ]


def test_the_newest_decision_of_a_window_wins_and_a_recorded_violation_stays_known() -> None:
    builder = in_phase().decision(when("00:15"), violations=["p95", "errors"], inputs="logs-1", at=when("00:35"))
    builder.decision(when("00:30"), at=when("00:50"))
    builder.decision(when("00:15"), outcome="ok", inputs="logs-2", at=when("01:05"))
    state = builder.state()
    assert {start: decided.outcome for start, decided in state.decided.items()} == {
        at("00:15"): "ok",
        at("00:30"): "ok",
    }
    window = state.decided[at("00:15")]
    assert (window.inputs_digest, window.at, window.window_end) == (digest("logs-2"), at("01:05"), at("00:30"))
    assert (window.phase, window.decision, window.rollback_required) == ("B", "hold", False)
    assert state.recorded_violations == {
        RecordedViolation(at("00:15"), "p95", "B"),
        RecordedViolation(at("00:15"), "errors", "B"),
    }


def test_violations_of_an_earlier_phase_stay_known_as_such() -> None:
    state = in_phase("B").decision(when("00:15"), violations=["p95"]).phase_change("B", "A").state()
    assert state.recorded_violations == {(at("00:15"), "p95", "B")}


@pytest.mark.parametrize(
    ("decisions", "current", "changed_at"),
    [
        ([], "p1", None),
        ([("00:15", "p1")], "p1", None),
        ([("00:15", "p1")], "p2", "00:30"),  # the first check under p2: the next window may count
        ([("00:15", "p1"), ("00:30", "p1"), ("00:45", "p2")], "p2", "00:45"),
        ([("00:15", "p1"), ("00:30", "p1"), ("00:45", "p2")], "p1", "01:00"),  # changed back
        ([("00:15", "p1"), ("00:30", "p2"), ("00:45", "p1")], "p1", "00:45"),
        # late events: an old window decided again under p2 is not a window that p2 began with, nor p1 its end
        ([("00:15", "p1"), ("00:30", "p1"), ("00:45", "p2"), ("00:30", "p2")], "p2", "00:45"),
        ([("00:30", "p1"), ("00:15", "p1"), ("00:45", "p2")], "p2", "00:45"),
        ([("00:15", "p1"), ("00:30", "p2"), ("00:45", "p3")], "p3", "00:45"),
        ([("00:15", "p1"), ("enter", ""), ("02:00", "p2")], "p2", None),  # left behind with the phase
        ([("00:15", "p1"), ("enter", ""), ("02:00", "p2"), ("02:15", "p3")], "p3", "02:15"),
    ],
)
def test_judging_digest_changed_at(decisions: list[tuple[str, str]], current: str, changed_at: str | None) -> None:
    builder = in_phase()
    for clock, judging in decisions:
        if clock == "enter":
            builder.phase_change("B", "C")
        else:
            builder.decision(when(clock), judging=judging)
    expected = None if changed_at is None else at(changed_at)
    assert builder.state().judging_digest_changed_at(digest(current)) == expected


@pytest.mark.parametrize(
    ("builder", "current", "roles"),
    [
        (in_phase().approval("SRE"), "policy-1", {"SRE"}),
        (in_phase().approval("SRE").approval("Dev Lead").approval("SRE"), "policy-1", {"SRE", "Dev Lead"}),
        (in_phase().approval("SRE"), "policy-2", set()),
        # subjects are never interchangeable
        (in_phase().approval("SRE", subject="change"), "policy-1", set()),
        (violated().approval("SRE", subject="incident", incident="incident-1"), "policy-1", set()),
        # bound to the phase, and to the stay in it
        (in_phase("A").approval("SRE").phase_change("A", "B"), "policy-1", set()),
        (in_phase("A").approval("SRE").phase_change("A", "B").approval("Dev Lead"), "policy-1", {"Dev Lead"}),
        (in_phase().approval("SRE").rollback("ended", "B", "A"), "policy-1", set()),
        (in_phase().approval("SRE").rollback("ended", "B", "A").phase_change("A", "B"), "policy-1", set()),
        (in_phase().approval("SRE", phase="A"), "policy-1", set()),
        # void when the judging digest changes, even where it changes back
        (in_phase().decision(when("00:15")).approval("SRE").decision(when("00:30")), "policy-1", {"SRE"}),
        (
            in_phase()
            .decision(when("00:15"))
            .approval("SRE")
            .decision(when("00:30"), judging="policy-2")
            .decision(when("00:45")),
            "policy-1",
            set(),
        ),
        # given ahead of the change that it is for
        (
            in_phase()
            .decision(when("00:15"))
            .approval("SRE", judging="policy-2")
            .decision(when("00:30"))
            .decision(when("00:45"), judging="policy-2"),
            "policy-2",
            {"SRE"},
        ),
    ],
)
def test_approvals_of_an_advance(builder: LedgerBuilder, current: str, roles: set[str]) -> None:
    assert {row.role for row in builder.state().approvals_of_advance(digest(current))} == roles


@pytest.mark.parametrize(("subject", "roles"), [("advance", {"SRE"}), ("change", set()), ("incident", set())])
def test_an_approval_of_something_else_is_none_of_an_advance(subject: str, roles: set[str]) -> None:
    bound = {"judging_digest": digest("policy-1"), "governed_digest": digest("policy-1"), "incident": "incident-1"}
    state = in_phase().record("approval", {"subject": subject, "role": "SRE", "by": "Ada", **bound}).state()
    assert {row.role for row in state.approvals_of_advance(digest("policy-1"))} == roles


def test_approvals_of_incidents_and_changes_outlive_the_phase() -> None:
    builder = violated().approval("Governance committee", subject="incident", incident="incident-1")
    builder.approval("SRE", subject="change", judging="policy-2").approval("SRE").rollback("ended", "B", "A")
    assert [(approval.subject, approval.role, approval.phase) for approval in builder.state().approvals] == [
        ("incident", "Governance committee", "B"),
        ("change", "SRE", "B"),
    ]


@pytest.mark.parametrize(
    ("builder", "delivered_at"),
    [
        (in_phase().notice(name="n1", at=when("01:00")), None),
        (in_phase().notice(name="n1").delivery("n1", at=when("01:00")), "01:00"),
        (in_phase().notice(name="n1").delivery("n1", result="failed", at=when("01:00")), None),
        (in_phase().notice(name="n1").delivery("n1", result="failed").delivery("n1", at=when("02:00")), "02:00"),
        (in_phase().notice(name="n1").delivery("n1", at=when("01:00")).delivery("n1", at=when("02:00")), "01:00"),
        (in_phase().notice(name="n1").delivery("n2", at=when("01:00")), None),
        (in_phase().notice(name="n1").delivery("n1", at=when("01:00")).notice(name="n1"), "01:00"),  # recorded once
    ],
)
def test_notices_and_their_delivery(builder: LedgerBuilder, delivered_at: str | None) -> None:
    (notice,) = builder.state().notices
    assert (notice.id, notice.notice, notice.phase) == ("n1", "autosave-ok", "B")
    assert notice.delivered_at == (None if delivered_at is None else at(delivered_at))


@pytest.mark.parametrize(
    ("builder", "clock", "paused"),
    [
        (in_phase(), "12:00", False),
        (in_phase().pause(), "12:00", True),
        (in_phase().pause().resume(), "12:00", False),
        (in_phase().pause().resume().pause(), "12:00", True),
        (in_phase().pause(until=when("12:01")), "12:00", True),
        (in_phase().pause(until=when("12:00")), "12:00", False),  # over at its time
        (in_phase().pause(until=when("11:00")).pause(), "12:00", True),
        (in_phase().pause().phase_change("B", "C"), "12:00", True),
    ],
)
def test_pause(builder: LedgerBuilder, clock: str, paused: bool) -> None:
    assert (builder.state().paused_at(at(clock)) is not None) is paused
