"""The tables that documents repeat from the policy, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from checker.model import Comparison, Threshold
from checker.policy.model import Gate, NoticeRule, Phase, Policy, Slo
from checker.units import limit_text, plain, threshold_text

_TRIGGERS = {
    "ok": "every SLO is met",
    "warn": "an SLO is past its warning line",
    "violation": "an SLO is violated",
    "no_verdict": "`no_data` or `error`",
    "rollback": "a rollback is proposed, begun or ended",
    "recovered": "an incident ended or was cancelled",
}
_VIOLATIONS = {"rollback": "rolls back", "hold": "breaks the streak", "observe": "is shown"}


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = tuple(heads)
    lines = (names, ("---",) * len(names), *(tuple(map(_cell, row)) for row in rows))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return plain(text).replace("|", "\\|").strip() or "–"


def _code(text: str) -> str:
    return f"`{text}`"


def phases(policy: Policy) -> str:
    """One row for each phase, in the order of exposure."""
    heads = ("Phase", "Audience", "Main duty", "Success condition (gate)", "Who decides the move")
    return _table(heads, (_phase(policy, row) for row in policy.phases))


def _phase(policy: Policy, phase: Phase) -> Iterator[str]:
    yield f"{phase.name} ({phase.title})" if phase.title != phase.name else phase.name
    yield phase.audience
    yield phase.duty
    yield policy.gate_of(phase.name).title
    yield " + ".join(phase.approvers)


def thresholds(policy: Policy) -> str:
    """One row for each SLO and one column for each phase, with the warning line in brackets."""
    heads = ("SLO", "Query", *(f"Phase {name}" for name in policy.phase_names), "A violation", "Note")
    return _table(map(_cell, heads), (_slo(policy, row) for row in policy.slos.values()))


def _slo(policy: Policy, slo: Slo) -> Iterator[str]:
    limits = [row.limit for row in slo.thresholds.values()]
    yield slo.title
    yield _code(slo.query)
    for phase in policy.phase_names:
        threshold = slo.thresholds[phase]
        yield threshold_text(threshold, slo.unit, limits) + _warning(threshold, slo.unit)
    yield _VIOLATIONS[slo.on_violation.value]
    yield slo.note


def _warning(threshold: Threshold, unit: str) -> str:
    if threshold.warn_limit is None:
        return ""
    word = "below" if threshold.comparison is Comparison.GTE else "past"
    return f" (warn {word} {limit_text(threshold.warn_limit, unit)})"


def gates(policy: Policy) -> str:
    """One row for each phase: where its gate leads, what counts and with which parameters."""
    heads = ("From", "To", "Success condition", "Query", "Parameters")
    return _table(heads, (_gate(policy, row, policy.gate_of(row.name)) for row in policy.phases))


def _gate(policy: Policy, phase: Phase, gate: Gate) -> Iterator[str]:
    yield phase.name
    yield policy.phase_after(phase.name)
    yield gate.title
    yield _code(gate.query)
    yield ", ".join(f"{name} {value}" for name, value in gate.parameters.items())


def notices(policy: Policy) -> str:
    """One row for each notice rule, in the policy's order."""
    heads = ("Notice", "Phases", "Channel", "Trigger", "Sent by itself in", "Template")
    return _table(heads, (_notice(row) for row in policy.notices.values()))


def _notice(rule: NoticeRule) -> Iterator[str]:
    times = f", {rule.after_windows} windows in a row" if rule.after_windows > 1 else ""
    yield _code(rule.id)
    yield ", ".join(rule.phases)
    yield "the Runbook log" if rule.channel == "runbook" else rule.channel
    yield _TRIGGERS[rule.outcome] + times
    yield ", ".join(rule.automatic)
    yield _code(rule.template)


TABLES: dict[str, Callable[[Policy], str]] = {
    "phases": phases,
    "thresholds": thresholds,
    "gates": gates,
    "notices": notices,
}
