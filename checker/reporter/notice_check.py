"""Holds the templates that a policy's notices use against what they may be and must say, before any is rendered."""

from __future__ import annotations

from checker.errors import Problem
from checker.model import Status
from checker.policy.model import NoticeRule, Policy
from checker.reporter.escape import SLACK
from checker.reporter.facts import facts
from checker.reporter.notice_sample import sample
from checker.reporter.render import MUST_SAY, SLACK_MUST_SAY, markup_of, template_name


def unrendered(policy: Policy, rule: NoticeRule, source: str) -> list[Problem]:
    """The faults of one notice's template that show without rendering."""
    from checker.reporter.template_check import template_problems

    markup = markup_of(rule.channel)
    required = (*(SLACK_MUST_SAY if markup == SLACK else ()), *MUST_SAY.get(rule.outcome, ()))
    known = facts(policy, sample(policy, rule.phases[0], Status.OK))
    return template_problems(template_name(policy, rule), source, known, required, outcome=rule.outcome, markup=markup)
