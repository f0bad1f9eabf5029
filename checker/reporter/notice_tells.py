"""Renders each notice for every phase, outcome and state, and looks whether its text tells what it must."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from checker.errors import Problem
from checker.model import Decision, Status
from checker.policy.model import NoticeRule, Policy
from checker.reporter.escape import PLAIN, SLACK, placed
from checker.reporter.facts import Facts
from checker.reporter.notice_check import unrendered
from checker.reporter.notice_sample import STATES, distinct_facts, samples, statuses_of
from checker.reporter.render import TemplateFault, filled, markup_of, template_name
from checker.units import NOT_MEASURED

TOLD = {"violation": ("metric", "cmd"), "rollback": ("metric", "cmd")}


def template_faults(policy: Policy, sources: Mapping[str, str]) -> set[Problem]:
    """Every fault of the templates that the policy's notices use; `sources` are their texts by name."""
    rules = [rule for rule in policy.notices.values() if rule.template in sources]
    return {fault for rule in rules for fault in _faults(policy, rule, sources[rule.template])}


def _faults(policy: Policy, rule: NoticeRule, source: str) -> list[Problem]:
    return unrendered(policy, rule, source) or list(rendered_faults(policy, rule, source))


def rendered_faults(policy: Policy, rule: NoticeRule, source: str) -> Iterator[Problem]:
    """What only shows when the template is rendered, in any phase, outcome and state; each untold thing once."""
    from checker.reporter.template_check import compiled

    template, name = compiled(source), template_name(policy, rule)
    told: set[str] = set()
    for trial in _trials(policy, rule):
        try:
            text = placed(filled(template, trial.said, name), PLAIN)
        except TemplateFault as fault:
            yield from fault.problems
            continue
        missing = [what for what in untold(rule, trial, text) if what not in told]
        told.update(missing)
        for what in missing:
            yield Problem(name, 0, 0, f"does not tell {what} ({trial.place(rule)})")


@dataclass(frozen=True, slots=True)
class Trial:
    """One rendering: a made-up decision, the SLOs that have its outcome, and what is said of it."""

    made: Decision
    chosen: tuple[str, ...]
    said: Facts

    def place(self, rule: NoticeRule) -> str:
        """Rule, phase, outcome and state, for a message."""
        return f"{rule.id} in phase {self.made.phase}, outcome {self.made.outcome.value}, state {self.said['state']}"


def _trials(policy: Policy, rule: NoticeRule) -> Iterator[Trial]:
    """Every phase, outcome and state; for the rule's own outcomes also each SLO alone. No outcome may make it fail."""
    for phase in rule.phases:
        for status in Status:
            one_by_one = status in statuses_of(rule)
            for made, chosen in samples(policy, phase, status, one_by_one=one_by_one):
                said = distinct_facts(policy, made)
                yield from (Trial(made, chosen, {**said, "state": state}) for state in STATES)


def untold(rule: NoticeRule, trial: Trial, text: str) -> Iterator[str]:
    """What the notice must tell and `text` does not; nothing is asked of a rule whose outcome it is not.

    A notice in Slack tells phase, window and some SLO's value; one that something is wrong names each SLO of which that
    is so, with its value where there is one; one of a violation or a rollback the SLO and the command.
    """
    if trial.made.outcome not in statuses_of(rule):
        return
    is_slack = markup_of(rule.channel) == SLACK
    for key in (*(("phase", "window") if is_slack else ()), *TOLD.get(rule.outcome, ())):
        value = str(trial.said[key])
        if value != NOT_MEASURED and value not in text:
            yield f"{key!r}"
    if is_slack:
        yield from _untold_metrics(trial, text)


def _untold_metrics(trial: Trial, text: str) -> Iterator[str]:
    metrics = trial.said["metrics"]
    if isinstance(metrics, str):
        return
    outcome = trial.made.outcome
    if outcome is Status.OK and not any(row["value"] in text for row in metrics.values()):
        yield "the value of any SLO"
    for name in trial.chosen if outcome is not Status.OK else ():
        row = metrics[name]
        if row["title"] not in text and name not in text:
            yield f"the SLO {name!r}"
        if outcome in (Status.WARN, Status.VIOLATION) and row["value"] not in text:
            yield f"the value of {name!r}"
