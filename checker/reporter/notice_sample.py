"""Made-up decisions to try notices on, with values that nothing else in a notice looks like. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from checker.model import Decision, GateResult, InputCounts, Judgement, Status, Verdict, Window
from checker.policy.model import NoticeRule, Policy
from checker.reporter.facts import Facts, facts
from checker.windows import EPOCH

STATES = ("proposed", "begun", "ended", "cancelled")
_OF_OUTCOME = {
    "ok": (Status.OK,),
    "warn": (Status.WARN,),
    "violation": (Status.VIOLATION,),
    "rollback": (Status.VIOLATION,),
    "recovered": (Status.OK,),
    "no_verdict": (Status.NO_DATA, Status.ERROR),
}
_VALUES = ("value", "text", "compact")


def statuses_of(rule: NoticeRule) -> tuple[Status, ...]:
    """The outcomes that the rule's notice is about."""
    return _OF_OUTCOME[rule.outcome]


def samples(
    policy: Policy, phase: str, status: Status, *, one_by_one: bool
) -> Iterator[tuple[Decision, tuple[str, ...]]]:
    """Decisions of `phase` whose outcome is `status`, with the SLOs that have it: all of them, or also each one alone.

    A violation comes with a rollback and without.
    """
    names = tuple(policy.slos)
    for chosen in [names, *((name,) for name in names if one_by_one and len(names) > 1)]:
        made = sample(policy, phase, status, chosen)
        yield made, chosen
        if made.rollback_required:
            held = replace(made, verdict=Verdict.HOLD, rollback_required=False, rollback_to=None, command=None)
            yield held, chosen


def sample(policy: Policy, phase: str, status: Status, chosen: Iterable[str] | None = None) -> Decision:
    """A made-up decision in which the `chosen` SLOs (by default all) have `status`, the others `ok`.

    The values are the thresholds themselves.
    """
    window = Window(EPOCH, EPOCH + policy.window)
    required = status is Status.VIOLATION
    among = set(policy.slos if chosen is None else chosen)
    return Decision(
        target=policy.target,
        title=policy.title,
        phase=phase,
        events_of=phase,
        audience=policy.phase(phase).audience,
        as_of=window.end + policy.lateness,
        window=window,
        outcome=status,
        verdict=Verdict.ROLLBACK if required else Verdict.HOLD,
        rollback_required=required,
        rollback_to=policy.phase_before(phase) if required else None,
        command=("phasegate", "rollback", f"--target={policy.target}", f"--phase={phase}") if required else None,
        judgements=tuple(
            _judgement(policy, name, phase, status if name in among else Status.OK, window) for name in policy.slos
        ),
        gate=GateResult(policy.phase(phase).gate, policy.gate_of(phase).query),
        inputs=InputCounts(),
        judged=(window,),
        next_phase=policy.phase_after(phase),
    )


def _judgement(policy: Policy, name: str, phase: str, status: Status, window: Window) -> Judgement:
    threshold = policy.slos[name].thresholds[phase]
    is_known = status not in (Status.NO_DATA, Status.ERROR)
    return Judgement(name, window, threshold.limit if is_known else None, int(is_known), threshold, status)


def distinct_facts(policy: Policy, made: Decision) -> Facts:
    """The decision's facts, each SLO's title and value replaced by words of its own: `title-1`, `value-1`."""
    said = facts(policy, made)
    metrics = said["metrics"]
    rows = {} if isinstance(metrics, str) else metrics
    told = {
        name: {**row, "title": f"title-{number}-", **dict.fromkeys(_VALUES, f"value-{number}-")}
        for number, (name, row) in enumerate(rows.items())
    }
    return {**said, "metrics": told}
