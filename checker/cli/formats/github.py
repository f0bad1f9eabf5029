"""The result of a check as annotations of a GitHub run: one for the decision, one for whatever is not met."""

from __future__ import annotations

from collections.abc import Iterator

from checker.cli.formats.wording import gate_aim, gate_trouble, judged_text, summary_text, titled
from checker.cli.say import Annotation
from checker.model import CheckResult, Decision, Status, Verdict
from checker.policy.model import Policy
from checker.reporter.facts import criterion_text
from checker.reporter.shell import command_line

ERROR, WARNING, NOTICE = "error", "warning", "notice"
_LEVELS = {
    Status.OK: NOTICE,
    Status.WARN: WARNING,
    Status.NO_DATA: ERROR,
    Status.ERROR: ERROR,
    Status.VIOLATION: ERROR,
}


def to_annotations(result: CheckResult, policy: Policy) -> Iterator[Annotation]:
    """The decision first; then each SLO that is not `ok`, at its query; then what the gate still wants, and notices."""
    decision = result.decision
    yield _decision(decision, policy)
    for row in decision.judgements:
        if row.status is not Status.OK:
            slo = policy.slos[row.slo]
            at = {"file": f"queries/{slo.query}", "title": f"{slo.title}: {row.status.value}"}
            yield Annotation(_LEVELS[row.status], judged_text(row, slo), at)
    yield from _gate(decision)
    for notice in result.notices:
        yield Annotation(NOTICE, notice.text, {"title": f"Notice {notice.id} → {notice.channel}"})


def _decision(decision: Decision, policy: Policy) -> Annotation:
    level = ERROR if decision.verdict is Verdict.ROLLBACK or decision.gate.error else _LEVELS[decision.outcome]
    reasons = [titled(reason, policy, decision) for reason in decision.reasons]
    run = [f"rollback required: {command_line(decision.command)}"] if decision.command else []
    told = "; ".join([summary_text(decision), *run, *reasons])
    return Annotation(level, told, {"title": f"{decision.verdict.value.upper()}: {decision.outcome.value}"})


def _gate(decision: Decision) -> Iterator[Annotation]:
    gate = decision.gate
    at = {"file": f"queries/{gate.query}", "title": gate_aim(decision)}
    trouble = gate_trouble(gate)
    if trouble:
        yield Annotation(NOTICE if gate.error is None else ERROR, trouble, at)
    for row in gate.criteria:
        if not row.passed:
            yield Annotation(NOTICE, "; ".join(filter(None, (criterion_text(row), row.reason))), at)
