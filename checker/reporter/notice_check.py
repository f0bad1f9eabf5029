"""Tries a policy's notices on made-up decisions, so that a faulty template is found before there is an incident."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from checker.errors import Problem
from checker.model import Decision, GateResult, InputCounts, Judgement, Status, Verdict, Window
from checker.policy.model import NoticeRule, Policy
from checker.reporter.facts import facts
from checker.reporter.render import SLACK, SLACK_MUST_SAY, TemplateFault, markup_of, render, template_name
from checker.windows import EPOCH

_STATES = ("proposed", "begun", "ended")


def notice_problems(policy: Policy, template_sources: Mapping[str, str]) -> list[Problem]:
    """Every fault of the templates that the policy's notices use, each once, in the order of their places.

    `template_sources` map a template's name to its text; a template that is missing there is not looked at.
    """
    rules = (rule for rule in policy.notices.values() if rule.template in template_sources)
    return sorted({fault for rule in rules for fault in _problems(policy, rule, template_sources[rule.template])})


def unrendered_problems(policy: Policy, template_sources: Mapping[str, str]) -> list[Problem]:
    """The faults that show without rendering: no valid template, a placeholder that there is not, a fact left out."""
    rules = (rule for rule in policy.notices.values() if rule.template in template_sources)
    return sorted({fault for rule in rules for fault in _unrendered(policy, rule, template_sources[rule.template])})


def _problems(policy: Policy, rule: NoticeRule, source: str) -> Iterable[Problem]:
    return _unrendered(policy, rule, source) or list(_rendering_problems(policy, rule, source))


def _unrendered(policy: Policy, rule: NoticeRule, source: str) -> list[Problem]:
    from checker.reporter.template_check import template_problems

    required = SLACK_MUST_SAY if markup_of(rule.channel) == SLACK else ()
    known = facts(policy, sample(policy, rule.phases[0], Status.OK))
    return template_problems(template_name(policy, rule), source, known, required)


def _rendering_problems(policy: Policy, rule: NoticeRule, source: str) -> Iterator[Problem]:
    """What only shows when the template is rendered, in any phase, status and state."""
    for phase in rule.phases:
        for status in Status:
            made = sample(policy, phase, status)
            for state in _STATES:
                try:
                    render(source, facts(policy, made, state=state), name=template_name(policy, rule))
                except TemplateFault as fault:
                    yield from fault.problems


def sample(policy: Policy, phase: str, status: Status) -> Decision:
    """A made-up decision of `phase` in which every SLO has `status`; its values are the thresholds themselves."""
    window = Window(EPOCH, EPOCH + policy.window)
    required = status is Status.VIOLATION
    value_known = status not in (Status.NO_DATA, Status.ERROR)
    rows = (_judgement(policy, name, phase, status, window) for name in policy.slos)
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
        judgements=tuple(row if value_known else replace(row, value=None, samples=0) for row in rows),
        gate=GateResult(policy.phase(phase).gate, policy.gate_of(phase).query),
        inputs=InputCounts(),
        judged=(window,),
        next_phase=policy.phase_after(phase),
    )


def _judgement(policy: Policy, name: str, phase: str, status: Status, window: Window) -> Judgement:
    threshold = policy.slos[name].thresholds[phase]
    return Judgement(name, window, threshold.limit, 1, threshold, status)
