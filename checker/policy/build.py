"""Builds the frozen policy from a document in which no fault was found; what is left out gets its default here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from checker.model import Comparison, OnViolation, Threshold
from checker.policy.build_collector import build_collector
from checker.policy.build_governance import build_governance
from checker.policy.durations import duration_of
from checker.policy.model import (
    WEEKDAYS,
    Companion,
    CrossCheck,
    Freeze,
    Gate,
    Limits,
    NoticeRule,
    Phase,
    Policy,
    Rollback,
    Slo,
    Verification,
)
from checker.policy.rules import DEFAULT_LATENESS, DEFAULT_MAX_LATE
from checker.policy.thresholds import DEFAULT_WARN_AT, warn_limit_at
from checker.windows import parse_iso


def build_policy(document: dict[str, Any], path: Path, root: Path) -> Policy:
    """The policy that the sound `document` of the file `path` in the project `root` says."""
    names = tuple(phase["name"] for phase in document["phases"])
    return Policy(
        path=path,
        root=root,
        target=document["target"],
        title=document.get("title", document["target"]),
        window=duration_of(document["window"]),
        lateness=duration_of(document.get("lateness", DEFAULT_LATENESS)),
        max_late=duration_of(document.get("max_late", DEFAULT_MAX_LATE)),
        max_quarantined=float(document.get("max_quarantined", 0.05)),
        event_schema=document["event_schema"],
        phases=tuple(_phase(phase) for phase in document["phases"]),
        slos={name: _slo(name, slo, names) for name, slo in document["slos"].items()},
        gates={name: _gate(name, gate) for name, gate in document["gates"].items()},
        notices={name: _notice(name, rule) for name, rule in document.get("notices", {}).items()},
        rollback=_rollback(document["rollback"]),
        collector=build_collector(document.get("collector", {}), document["window"]),
        allow_looser=document.get("allow_looser"),
        limits=_limits(document.get("limits", {})),
        freezes=tuple(_freeze(freeze) for freeze in document.get("freezes", ())),
        redact=tuple(document.get("redact", ())),
        verification=_verification(document.get("verification", {})),
        governance=build_governance(document.get("governance", {})),
    )


def _phase(phase: dict[str, Any]) -> Phase:
    return Phase(
        name=phase["name"],
        title=phase.get("title", phase["name"]),
        audience=phase["audience"],
        duty=phase.get("duty", ""),
        approvers=tuple(phase["approvers"]),
        gate=phase["gate"],
    )


def _slo(name: str, slo: dict[str, Any], phases: tuple[str, ...]) -> Slo:
    return Slo(
        name=name,
        title=slo.get("title", name),
        query=slo["query"],
        unit=slo["unit"],
        comparison=Comparison(slo["comparison"]),
        thresholds={phase: _threshold(slo, phase) for phase in phases},
        min_samples=int(slo.get("min_samples", 1)),
        no_data_is_violation=slo.get("on_no_data", "hold") == "violation",
        on_violation=OnViolation(slo.get("on_violation", "rollback")),
        note=slo.get("note", ""),
        cross_check=_cross_check(slo["cross_check"]) if "cross_check" in slo else None,
        companion=_companion(slo["companion"]) if "companion" in slo else None,
    )


def _cross_check(check: dict[str, Any]) -> CrossCheck:
    return CrossCheck(
        how=check["how"],
        events=frozenset(check["events"]),
        field=check.get("field", ""),
        level=float(check.get("level", 0)),
        among=frozenset(check.get("among", ())),
        over=duration_of(check["over"]) if "over" in check else None,
        scale=float(check.get("scale", 1)),
    )


def _companion(companion: dict[str, Any]) -> Companion:
    first, second = companion["between"]
    limit = companion["within"]
    return Companion(companion["event"], (first, second), limit["event"], limit["field"])


def _verification(verification: dict[str, Any]) -> Verification:
    return Verification(duration_of(verification.get("span", "2h")), float(verification.get("agree_within", 0.05)))


def _threshold(slo: dict[str, Any], phase: str) -> Threshold:
    comparison = Comparison(slo["comparison"])
    limit = slo["threshold"][phase]
    return Threshold(comparison, float(limit), _warn_limit(slo, comparison, limit, phase))


def _warn_limit(slo: dict[str, Any], comparison: Comparison, limit: float, phase: str) -> float | None:
    match comparison:
        case Comparison.LTE:
            return warn_limit_at(limit, slo.get("warn_at", DEFAULT_WARN_AT))
        case Comparison.GTE:
            line = slo["warn_below"]
            return float(line[phase] if isinstance(line, dict) else line)
        case Comparison.EQ:
            return None


def _gate(name: str, gate: dict[str, Any]) -> Gate:
    parameters = dict(gate.get("parameters", {}))
    return Gate(name, gate.get("title", name), gate["query"], parameters)


def _notice(notice_id: str, rule: dict[str, Any]) -> NoticeRule:
    return NoticeRule(
        id=notice_id,
        channel=rule["channel"],
        outcome=rule["outcome"],
        phases=tuple(rule["phases"]),
        automatic=tuple(rule.get("automatic", rule["phases"])),
        repeat=rule.get("repeat", "on_change"),
        after_windows=int(rule.get("after_windows", 1)),
        template=rule["template"],
    )


def _rollback(rollback: dict[str, Any]) -> Rollback:
    most = rollback.get("max_rollbacks", {"count": 2, "within": "24h"})
    recovery = rollback.get("recovery", {"every": "5m", "for": "30m"})
    return Rollback(
        command=tuple(rollback["command"]),
        mode=rollback.get("mode", "propose"),
        max_rollbacks=int(most["count"]),
        max_rollbacks_within=duration_of(most["within"]),
        recovery_every=duration_of(recovery["every"]),
        recovery_for=duration_of(recovery["for"]),
        deadline=duration_of(rollback.get("deadline", "5m")),
        tries=int(rollback.get("tries", 4)),
    )


def _freeze(freeze: dict[str, Any]) -> Freeze:
    if "days" in freeze:
        return Freeze(freeze["reason"], days=frozenset(WEEKDAYS.index(day) for day in freeze["days"]))
    return Freeze(freeze["reason"], parse_iso(freeze["from"]), parse_iso(freeze["until"]))


def _limits(limits: dict[str, Any]) -> Limits:
    given: dict[str, Any] = {
        key: value if isinstance(value, int) else duration_of(value) for key, value in limits.items()
    }
    return Limits(**given)
