"""Surveys and incident views built by hand, for tests of what is shown to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from checker.analyzer.judge import JudgedWindow, outcome_of
from checker.ledger.state import LedgerState, fold
from checker.model import InputCounts, Provenance, Window
from checker.policy.model import Policy
from checker.reporter.runbook.view import IncidentView, view_of
from checker.reporter.survey import Survey
from tests import decisions as build
from tests.ledgers import LedgerBuilder

GOOD = {"save_latency_p95": 1.2, "failure_rate": 0.1, "history_drift": 0.0, "collector_latency": 41.0}
FIRST = build.window("2026-01-02T09:00").start


def judged(policy: Policy, number: int, **values: float | None) -> JudgedWindow:
    """The window with this number from 09:00 on, with these values, others good."""
    start = FIRST + policy.window * number
    at = Window(start, start + policy.window)
    known = {name: GOOD.get(name, 1.0) for name in policy.slos} | values
    rows = [build.judgement(name, value, policy, window=at) for name, value in known.items()]
    return JudgedWindow(at, tuple(rows), outcome_of(policy, rows), InputCounts(1, 10, 10))


def survey(
    values: Sequence[dict[str, float | None]] = ({},),
    *,
    policy: Policy | None = None,
    ledger: LedgerBuilder | None = None,
    **changes: Any,
) -> Survey:
    """A survey of a window for each of `values`, in phase B."""
    rules = policy or build.policy()
    windows = tuple(judged(rules, number, **row) for number, row in enumerate(values))
    newest = windows[-1]
    state = ledger.state() if ledger else LedgerState()
    decision = replace(
        build.decision(rules),
        window=newest.window,
        judgements=newest.judgements,
        outcome=newest.outcome,
        as_of=newest.window.end + rules.lateness,
    )
    return Survey(
        policy=rules,
        phase="B",
        stands_at=state.phase,
        as_of=changes.pop("as_of", newest.window.end + rules.lateness),
        windows=windows,
        decision=replace(decision, **changes),
        state=state,
        provenance=Provenance("a" * 64, "b" * 64, {}, "c" * 64, "v2.0"),
    )


def view(ledger: LedgerBuilder, subject: str, policy: Policy | None = None) -> IncidentView:
    """An incident as it stands a minute after the ledger's newest record."""
    records = ledger.records()
    return view_of(policy or build.policy(), subject, fold(records), records, ledger.now + timedelta(minutes=1))
