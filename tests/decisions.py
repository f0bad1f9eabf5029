"""Builders of policies and decisions for tests that word or show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checker.model import (
    CheckResult,
    Comparison,
    Criterion,
    Decision,
    GateResult,
    InputCounts,
    Judgement,
    OnViolation,
    Provenance,
    Status,
    Threshold,
    Verdict,
    Window,
)
from checker.policy.model import Collector, Gate, NoticeRule, Phase, Policy, Rollback, Slo

PROJECT = Path(__file__).resolve().parent.parent
LENGTH = timedelta(minutes=15)


def window(text: str = "2026-01-02T11:45") -> Window:
    """The window that starts at `text`, UTC."""
    start = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Window(start, start + LENGTH)


def slo(name: str, limits: dict[str, float], unit: str = "s", comparison: str = "lte", **changes: Any) -> Slo:
    """An SLO with a warning line at 80 % (`lte` only)."""
    compared = Comparison(comparison)
    thresholds = {
        phase: Threshold(compared, limit, limit * 0.8 if compared is Comparison.LTE else None)
        for phase, limit in limits.items()
    }
    values: dict[str, Any] = {
        "name": name,
        "title": name.replace("_", " "),
        "query": f"slo/{name}.sql",
        "unit": unit,
        "comparison": compared,
        "thresholds": thresholds,
        "min_samples": 1,
        "no_data_is_violation": False,
        "on_violation": OnViolation.ROLLBACK,
        "note": "",
    }
    return Slo(**(values | changes))


def phase(name: str, title: str, audience: str, approvers: tuple[str, ...]) -> Phase:
    """A phase whose gate has its name."""
    return Phase(name, title, audience, f"duty of {name}", approvers, name)


def notice_rule(
    rule: str, outcome: str, phases: str, channel: str, automatic: str | None = None, after: int = 1
) -> NoticeRule:
    """A notice rule `autosave-<rule>`; phases are single letters."""
    sent = phases if automatic is None else automatic
    name = f"autosave-{rule}"
    return NoticeRule(name, channel, outcome, tuple(phases), tuple(sent), "on_change", after, f"{name}.j2")


def policy(**changes: Any) -> Policy:
    """The AutoSave policy of the design, built by hand."""
    slos = (
        slo("save_latency_p95", {"A": 2.5, "B": 2.0, "C": 1.8}, title="save latency P95"),
        slo("failure_rate", {"A": 1.0, "B": 0.5, "C": 0.3}, "%"),
        slo("history_drift", {"A": 0.0, "B": 0.0, "C": 0.0}, "events/window", "eq"),
        slo("collector_latency", {"A": 180.0, "B": 120.0, "C": 120.0}),
    )
    gates = (
        Gate("A", "8 consecutive batches", "gate/consecutive_batches.sql", {"batches": 8}),
        Gate("B", "24 h", "gate/continuous_compliance.sql", {"hours": 24, "max_critical_alerts": 0}),
        Gate("C", "72 h", "gate/continuous_without_incident.sql", {"hours": 72}),
    )
    notices = (
        notice_rule("ok", "ok", "ABC", "#autosave-rollout", "BC"),
        notice_rule("warn", "warn", "AB", "#autosave-rollout"),
        notice_rule("incident", "violation", "ABC", "#incident-autosave"),
        notice_rule("no-verdict", "no_verdict", "ABC", "#autosave-rollout", after=2),
        notice_rule("rollback", "rollback", "ABC", "runbook"),
    )
    values: dict[str, Any] = {
        "path": PROJECT / "policy" / "policy.yaml",
        "root": PROJECT,
        "target": "autosave",
        "title": "AutoSave",
        "window": LENGTH,
        "lateness": timedelta(minutes=5),
        "max_late": timedelta(hours=24),
        "max_quarantined": 0.05,
        "event_schema": "schemas/event.schema.json",
        "phases": (
            phase("A", "Canary", "5 %", ("SRE", "Dev Lead")),
            phase("B", "Broad", "30 %", ("SRE",)),
            phase("C", "Default", "100 %", ("Governance committee",)),
        ),
        "slos": {row.name: row for row in slos},
        "gates": {row.name: row for row in gates},
        "notices": {row.id: row for row in notices},
        "rollback": Rollback(("release",), "propose", 2, timedelta(hours=24), timedelta(minutes=5), LENGTH * 2),
        "collector": Collector(LENGTH, timedelta(minutes=5), ()),
        "allow_looser": None,
    }
    return Policy(**(values | changes))


def judgement(name: str, value: float | None, policy: Policy, phase: str = "B", **changes: Any) -> Judgement:
    """A judgement of 1,200 samples, or of none where there is no value."""
    samples = 0 if value is None else 1_200
    threshold = policy.slos[name].thresholds[phase]
    values: dict[str, Any] = {
        "slo": name,
        "window": window(),
        "value": value,
        "samples": samples,
        "threshold": threshold,
        "status": threshold.judge(value, samples, 1),
    }
    return Judgement(**(values | changes))


def judgements(policy: Policy, phase: str = "B", **values: float | None) -> tuple[Judgement, ...]:
    """One judgement for each SLO of the AutoSave policy; `values` replace those of a good window."""
    good: dict[str, float | None] = {
        "save_latency_p95": 1.41,
        "failure_rate": 0.21,
        "history_drift": 0.0,
        "collector_latency": 41.0,
    }
    return tuple(judgement(name, value, policy, phase) for name, value in (good | values).items())


def gate(observed: float = 41, required: float = 96, alerts: float = 0, **changes: Any) -> GateResult:
    """Phase B's gate: a streak and the critical alerts."""
    streak = Criterion("continuous_compliance", observed, required, observed >= required)
    critical = Criterion("critical_alerts", alerts, 0.0, alerts <= 0)
    earliest = None if streak.passed else datetime(2026, 1, 3, 1, 50, tzinfo=UTC)
    values: dict[str, Any] = {
        "name": "B",
        "query": "gate/continuous_compliance.sql",
        "criteria": (streak, critical),
        "earliest_pass": earliest,
    }
    return GateResult(**(values | changes))


def decision(policy: Policy, **changes: Any) -> Decision:
    """A decision of phase B to hold while its gate is open."""
    rows: tuple[Judgement, ...] = changes.get("judgements") or judgements(policy)
    name = changes.get("phase", "B")
    values: dict[str, Any] = {
        "target": policy.target,
        "title": policy.title,
        "phase": name,
        "events_of": name,
        "audience": policy.phase(name).audience,
        "as_of": datetime(2026, 1, 2, 12, 5, tzinfo=UTC),
        "window": window(),
        "outcome": max((row.status for row in rows), key=lambda status: status.severity),
        "verdict": Verdict.HOLD,
        "rollback_required": False,
        "rollback_to": None,
        "command": None,
        "judgements": rows,
        "gate": gate(),
        "inputs": InputCounts(batches=1, lines=1_205, events=1_205),
        "judged": (window(),),
        "next_phase": policy.phase_after(name),
    }
    return Decision(**(values | changes))


def violation(policy: Policy, name: str = "save_latency_p95", value: float = 2.31, **changes: Any) -> Decision:
    """A decision of phase B to roll back because one SLO is violated."""
    command = ("phasegate", "rollback", "--target=autosave", "--phase=B", f"--reason={name} violation")
    values: dict[str, Any] = {
        "judgements": judgements(policy, **{name: value}),
        "verdict": Verdict.ROLLBACK,
        "rollback_required": True,
        "rollback_to": "A",
        "command": command,
        "gate": gate(0),
    }
    return decision(policy, **(values | changes))


def last_break(policy: Policy, at: str = "2026-01-02T01:30", value: float | None = 2.31) -> Judgement:
    """The judgement that broke the streak."""
    status = Status.NO_DATA if value is None else Status.VIOLATION
    return judgement("save_latency_p95", value, policy, window=window(at), status=status)


def result(made: Decision, **changes: Any) -> CheckResult:
    """A check's result around a decision."""
    provenance = Provenance("a" * 64, "b" * 64, {"slo/b.sql": "c" * 64, "gate/a.sql": "d" * 64}, "e" * 64, "2.0.0")
    return CheckResult(made, provenance, **changes)
