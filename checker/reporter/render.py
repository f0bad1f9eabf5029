"""Words a decision through the policy's templates: which notices an outcome asks for, and their text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from checker.errors import PhasegateError, Problem
from checker.model import Decision, Notice, Status
from checker.policy.model import NoticeRule, Policy
from checker.reporter.facts import Facts, Metrics, facts
from checker.units import plain

SLACK = "slack"
MARKDOWN = "markdown"
PLAIN = "plain"
SLACK_MUST_SAY = ("phase", "window", "metrics")

_NO_VERDICT = (Status.NO_DATA, Status.ERROR)


class TemplateFault(PhasegateError):
    """A template cannot be rendered; `problems` holds every fault, with the template's name and line."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def render(template_source: str, facts: Facts, *, name: str = "template", markup: str = SLACK) -> str:
    """The text of a template with `facts` filled in, each escaped for `markup` (slack, markdown or plain).

    Raises TemplateFault for a template that is no valid one, computes, or asks for a placeholder that `facts` lack.
    """
    from jinja2 import TemplateError

    from checker.reporter.template_check import environment, template_problems

    problems = template_problems(name, template_source, facts)
    if problems:
        raise TemplateFault(problems)
    try:
        text = environment().from_string(template_source).render(_escaped(facts, markup))
    except (TemplateError, TypeError) as error:
        raise TemplateFault([Problem(name, 0, 0, f"cannot be rendered: {error}")]) from error
    return text.strip()


def _escaped(facts: Facts, markup: str) -> dict[str, str | Metrics]:
    return {key: _escaped_fact(key, value, markup) for key, value in facts.items()}


def _escaped_fact(key: str, value: str | Metrics, markup: str) -> str | Metrics:
    # the Runbook shows its command in a code span, in which Markdown knows no escapes
    if isinstance(value, str):
        return plain(value) if markup == MARKDOWN and key == "cmd" else _escaped_text(value, markup)
    return {name: {part: _escaped_text(text, markup) for part, text in parts.items()} for name, parts in value.items()}


def _escaped_text(text: str, markup: str) -> str:
    """One line without a backtick: a value can neither leave a code span nor open one, link, or mention a channel."""
    if markup == PLAIN:
        return plain(text)
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")


def notices_for(
    policy: Policy,
    decision: Decision,
    history_of_outcomes: Sequence[Status],
    template_sources: Mapping[str, str],
) -> tuple[Notice, ...]:
    """The notices that the decision's outcome asks for in its phase, in the policy's order.

    `history_of_outcomes` are those of the windows before it, oldest first; `template_sources` map a template's name to
    its text. Whether a repetition is sent is for whoever records notices to say. A what-if's are never automatic.
    Raises TemplateFault for a template that cannot be rendered.
    """
    outcomes = (*history_of_outcomes, decision.outcome)
    return tuple(
        _notice(policy, decision, rule, template_sources[rule.template])
        for rule in policy.notices.values()
        if decision.phase in rule.phases and _is_asked_for(rule, decision, outcomes)
    )


def _is_asked_for(rule: NoticeRule, decision: Decision, outcomes: Sequence[Status]) -> bool:
    if rule.outcome == "rollback":
        return decision.outcome is Status.VIOLATION and decision.rollback_required
    recent = outcomes[-rule.after_windows :]
    return len(recent) == rule.after_windows and all(_word(outcome) == rule.outcome for outcome in recent)


def _word(outcome: Status) -> str:
    return "no_verdict" if outcome in _NO_VERDICT else outcome.value


def _notice(policy: Policy, decision: Decision, rule: NoticeRule, source: str) -> Notice:
    said = facts(policy, decision)
    said["notice_id"] = f"{said['notice_id']}/{rule.id}"
    return Notice(
        id=rule.id,
        channel=rule.channel,
        text=render(source, said, name=template_name(policy, rule), markup=markup_of(rule.channel)),
        automatic=decision.phase in rule.automatic and not decision.what_if,
        phase=decision.phase,
        window=decision.window,
    )


def template_name(policy: Policy, rule: NoticeRule) -> str:
    """The template's path below the project root, as errors show it."""
    return f"{policy.path.parent.name}/templates/{rule.template}"


def markup_of(channel: str) -> str:
    """The markup that `channel` reads: slack for `#…`, markdown for the Runbook, else plain."""
    if channel.startswith("#"):
        return SLACK
    return MARKDOWN if channel == "runbook" else PLAIN
