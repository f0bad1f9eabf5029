"""Words a decision through the policy's templates: which notices an outcome asks for, and their text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from checker.errors import PhasegateError, Problem
from checker.model import Decision, Notice, Status
from checker.policy.model import NoticeRule, Policy
from checker.reporter.escape import MARKDOWN, PLAIN, SLACK, marked, placed
from checker.reporter.facts import Facts, Metrics, facts
from checker.windows import stamp

if TYPE_CHECKING:
    from jinja2 import Template

SLACK_MUST_SAY = ("phase", "window", "metrics")
MUST_SAY = {"violation": ("metric", "cmd"), "rollback": ("cmd",)}

MAX_TEXT = 7_900  # characters before escaping, which makes at most five of one; Slack cuts at 40,000
MAX_STEPS = 2_000  # of all loops of one rendering together

_NO_VERDICT = (Status.NO_DATA, Status.ERROR)


class TemplateFault(PhasegateError):
    """A template cannot be rendered; `problems` holds every fault, with the template's name and line."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def render(template_source: str, facts: Facts, *, name: str = "template", markup: str = SLACK) -> str:
    """The text of a template with `facts` filled in, each escaped for `markup` (slack, markdown or plain).

    Raises TemplateFault for a template that is no valid one, computes, asks for a placeholder that `facts` lack, or
    comes to a text that is too long.
    """
    from checker.reporter.template_check import compiled, template_problems

    problems = template_problems(name, template_source, facts)
    if problems:
        raise TemplateFault(problems)
    return placed(filled(compiled(template_source), facts, name), markup)


def filled(template: Template, facts: Facts, name: str) -> str:
    """The template's text, its values between marks (see `escape`). Raises TemplateFault."""
    from jinja2 import TemplateError

    steps = count(1)
    given = {key: value if isinstance(value, str) else Rows(value, steps) for key, value in facts.items()}
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate(given):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_TEXT:
                raise TooMuch(f"its text is longer than {MAX_TEXT:,} characters")
    except (TemplateError, TypeError, TooMuch) as error:
        raise TemplateFault([Problem(name, _line_of(error), 0, f"cannot be rendered: {error}")]) from error
    return "".join(pieces).strip()


class TooMuch(Exception):
    """A rendering went over a limit."""


class Rows(Mapping[str, Any]):
    """Facts of the SLOs by name; every step of a loop over them is counted, and there is a last one."""

    __slots__ = ("_rows", "_steps")

    def __init__(self, rows: Metrics, steps: Iterator[int]) -> None:
        self._rows = rows
        self._steps = steps

    def __getitem__(self, name: str) -> Mapping[str, str]:
        return self._rows[name]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        for name in self._rows:
            if next(self._steps) > MAX_STEPS:
                raise TooMuch(f"its loops take more than {MAX_STEPS:,} steps")
            yield name


def _line_of(error: BaseException) -> int:
    """The template's line at which `error` was raised, as Jinja writes it into the trace; 0 where it is not there."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


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
    return has_come(rule, outcomes)


def has_come(rule: NoticeRule, outcomes: Sequence[Status]) -> bool:
    """Whether the newest windows, of which `outcomes` are told oldest first, have the rule's outcome so often in a row.

    Never for a rule of a rollback or of an incident's end, which are no outcomes of windows.
    """
    recent = outcomes[-rule.after_windows :]
    return len(recent) == rule.after_windows and all(_word(outcome) == rule.outcome for outcome in recent)


def _word(outcome: Status) -> str:
    return "no_verdict" if outcome in _NO_VERDICT else outcome.value


def _notice(policy: Policy, decision: Decision, rule: NoticeRule, source: str) -> Notice:
    said = facts(policy, decision)
    said["notice_id"] = notice_id(decision, rule)
    return Notice(
        id=rule.id,
        channel=rule.channel,
        text=notice_text(policy, rule, source, said),
        automatic=decision.phase in rule.automatic and not decision.what_if,
        phase=decision.phase,
        window=decision.window,
    )


def notice_id(decision: Decision, rule: NoticeRule) -> str:
    """What a copy of the notice that the rule makes of the decision is known by: target, phase, window and rule."""
    return f"{decision.target}/{decision.phase}/{stamp(decision.window.start)}/{rule.id}"


def notice_text(policy: Policy, rule: NoticeRule, source: str, said: Facts) -> str:
    """The notice's whole text, its last line included. Raises TemplateFault."""
    markup = markup_of(rule.channel)
    words = render(source, said, name=template_name(policy, rule), markup=markup)
    return f"{words}\n{verdict_line(said, markup)}"


def verdict_line(facts: Facts, markup: str) -> str:
    """The last line of every notice, which no template words: its id, the outcome of its window and the decision.

    In the Runbook a blank line stands before it, so that nothing above reaches into it.
    """
    tick = "" if markup == PLAIN else "`"
    says = (
        f"{tick}{marked(str(facts['notice_id']))}{tick}",
        marked(str(facts["outcome"])),
        marked(str(facts["decision"])),
    )
    return ("\n" if markup == MARKDOWN else "") + placed(" · ".join(says), markup)


def template_name(policy: Policy, rule: NoticeRule) -> str:
    """The template's path below the project root, as errors show it."""
    return f"{policy.path.parent.name}/templates/{rule.template}"


def markup_of(channel: str) -> str:
    """The markup that `channel` reads: slack for `#…`, markdown for the Runbook, else plain."""
    if channel.startswith("#"):
        return SLACK
    return MARKDOWN if channel == "runbook" else PLAIN
