"""What people would read before and after a change of the templates: every notice, in each phase and situation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from checker.policy.model import NoticeRule, Policy
from checker.reporter.escape import placed
from checker.reporter.facts import facts
from checker.reporter.notice_sample import STATES, sample, statuses_of
from checker.reporter.render import TemplateFault, filled, markup_of


class Situation(NamedTuple):
    """A notice's id, the phase, and what has happened: `violation`, `ended` for a rollback's state."""

    notice: str
    phase: str
    told: str


def same_words(base: str, head: str) -> bool:
    """Whether both are proved to say the same: Jinja reads the same tree, and its constants are of the same types.

    A text that is too big or no template is never the same.
    """
    from jinja2 import TemplateSyntaxError

    from checker.reporter.template_bounds import bound_faults
    from checker.reporter.template_check import environment

    made = environment()
    if any(bound_faults(made, text) for text in (base, head)):
        return False
    try:
        return bool(_typed(made.parse(base)) == _typed(made.parse(head)))
    except TemplateSyntaxError:
        return False


def _typed(value: Any) -> Any:
    """A part of a tree with the type of everything in it: 1, 1.0 and true are equal to Jinja, and printed apart."""
    from jinja2 import nodes

    if isinstance(value, nodes.Node):
        return (type(value), *((name, _typed(part)) for name, part in value.iter_fields()))
    if isinstance(value, list | tuple):
        return (type(value), *map(_typed, value))
    return (type(value), value)


def renderings(policy: Policy, sources: Mapping[str, str]) -> dict[Situation, str]:
    """The text of every notice whose template `sources` has, over made-up decisions of the policy's own thresholds."""
    rules = [rule for rule in policy.notices.values() if rule.template in sources]
    return {place: text for rule in rules for place, text in _of_rule(policy, rule, sources[rule.template])}


def _of_rule(policy: Policy, rule: NoticeRule, source: str) -> Iterator[tuple[Situation, str]]:
    from checker.reporter.template_check import compiled

    template = compiled(source)
    states = STATES if rule.outcome == "rollback" else STATES[:1]
    for phase in rule.phases:
        for status in statuses_of(rule):
            said = facts(policy, sample(policy, phase, status))
            for state in states:
                told = f"{status.value}, {state}" if len(states) > 1 else status.value
                try:
                    text = placed(filled(template, {**said, "state": state}, rule.template), markup_of(rule.channel))
                except TemplateFault as fault:
                    text = str(fault)
                yield Situation(rule.id, phase, told), text
