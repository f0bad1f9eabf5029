"""Whether the notices of a violation or a rollback tell what they must: the violated SLO and the command to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from checker.errors import Problem
from checker.model import Status
from checker.policy.model import NoticeRule, Policy
from checker.reporter.facts import facts
from checker.reporter.notice_check import notice_problems, sample
from checker.reporter.render import PLAIN, TemplateFault, render, template_name
from checker.units import NOT_MEASURED

_MUST_TELL = ("metric", "cmd")


def template_faults(policy: Policy, sources: Mapping[str, str]) -> set[Problem]:
    """Every fault of the templates that the policy's notices use; `sources` are their texts by name."""
    return {*notice_problems(policy, sources), *_untold(policy, sources)}


def _untold(policy: Policy, sources: Mapping[str, str]) -> Iterator[Problem]:
    for rule in policy.notices.values():
        if rule.outcome in ("violation", "rollback"):
            yield from _untold_by(policy, rule, sources[rule.template])


def _untold_by(policy: Policy, rule: NoticeRule, source: str) -> Iterator[Problem]:
    said = facts(policy, sample(policy, rule.phases[0], Status.VIOLATION))
    name = template_name(policy, rule)
    try:
        text = render(source, said, name=name, markup=PLAIN)
    except TemplateFault:
        return  # told with its line by notice_problems
    for key in _MUST_TELL:
        value = said[key]
        if isinstance(value, str) and value != NOT_MEASURED and value not in text:
            told = f"does not tell {key!r}, which a notice of a {rule.outcome} must; use {{{{ {key} }}}}"
            yield Problem(name, 0, 0, told)
