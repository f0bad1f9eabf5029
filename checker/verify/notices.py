"""Step 5: every notice's placeholders are filled: as templates are tried, and in what the ledger holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from checker.analyzer.cache import open_cache
from checker.analyzer.history import load_history
from checker.analyzer.judge import JudgedWindow
from checker.errors import PhasegateError
from checker.ledger.values import RecordedNotice
from checker.model import Status
from checker.pipeline import lens_of
from checker.policy.model import NoticeRule, Policy
from checker.reporter.escape import SLACK
from checker.reporter.facts import facts
from checker.reporter.notice_sample import sample, statuses_of
from checker.reporter.notice_tells import template_faults
from checker.reporter.render import markup_of, notice_text
from checker.units import value_in_unit
from checker.verify.model import Evidence, Look, Step
from checker.windows import iso

TITLE = "placeholders of the notices filled"
_OF_VALUES = ("ok", "warn", "violation")
_BLOCK = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")


def notices_step(look: Look) -> Step:
    """The step; not applicable where the policy has no notice."""
    policy = look.governed.policy
    if not policy.notices:
        return Step("notices", TITLE, missing="the policy has no notice")
    sources = look.governed.templates
    faults = [Evidence(str(fault), is_fault=True) for fault in template_faults(policy, sources)]
    if faults:
        return Step("notices", TITLE, tuple(sorted(faults, key=lambda row: row.text)))
    evidence = [_rendered(policy, rule, sources[rule.template]) for rule in policy.notices.values()]
    newest = {notice.notice: notice for notice in look.past.state.notices}
    evidence += [_recorded(look, notice) for notice in newest.values()]
    if not newest:
        evidence.append(Evidence("the ledger holds no notice yet", {"recorded": 0}))
    return Step("notices", TITLE, tuple(evidence))


def _rendered(policy: Policy, rule: NoticeRule, source: str) -> Evidence:
    """One rendering as an example; that all of them are sound was found before."""
    made = sample(policy, rule.phases[0], statuses_of(rule)[0])
    said = facts(policy, made)
    text = notice_text(policy, rule, source, said)
    left = list(_left_over(policy, text))
    told = f"{rule.id}: {text.splitlines()[0]}"
    values = {"notice": rule.id, "phases": list(rule.phases), "example": text, "left_over": left}
    return Evidence(f"{told}; not filled: {', '.join(left)}" if left else told, values, is_fault=bool(left))


def _left_over(policy: Policy, text: str) -> Iterator[str]:
    """Braces and placeholders that nothing was put in for."""
    yield from sorted(set(_BLOCK.findall(text)))
    names = facts(policy, sample(policy, policy.phase_names[0], Status.OK))
    yield from (f"{{{name}}}" for name in names if f"{{{name}}}" in text)


def _recorded(look: Look, notice: RecordedNotice) -> Evidence:
    """The newest notice of a rule in the ledger."""
    policy, text = look.governed.policy, notice.text.replace("\\", "")
    faults = [f"{left} is not filled" for left in _left_over(policy, notice.text)]
    filled = []
    if markup_of(notice.channel) == SLACK and notice.window_start is not None:
        wanted = {"phase": notice.phase, "window": iso(notice.window_start)}
        faults += [f"{name} {value} is not in it" for name, value in wanted.items() if value not in text]
        filled = [name for name, value in wanted.items() if value in text]
    metrics = _metrics(look, notice)
    told = f"recorded {notice.id}: " + ("; ".join(faults) or f"{', '.join(filled) or 'all'} filled")
    if metrics is not None:
        told += "; its values are today's" if metrics else "; its values are not today's: events came late since"
    values = {"recorded": notice.id, "notice": notice.notice, "filled": filled, "faults": faults, "metrics": metrics}
    return Evidence(told, values, is_fault=bool(faults))


def _metrics(look: Look, notice: RecordedNotice) -> list[str] | None:
    """SLOs whose value, as the logs give it now, is in the text; None where the notice is of no window's values."""
    if notice.outcome not in _OF_VALUES or notice.window_start is None:
        return None
    item = _judged(look, notice.phase, notice.window_start)
    if item is None:
        return None
    values = {row.slo: value_in_unit(row.value, row.threshold) for row in item.judgements if row.value is not None}
    return [slo for slo, value in values.items() if value in notice.text] if values else None


def _judged(look: Look, phase: str, start: datetime) -> JudgedWindow | None:
    """The window by the thresholds of its phase; None where it cannot be measured any more."""
    request = replace(look.request, phase=phase, events_of=None)
    try:
        with open_cache(request.cache) as cache:
            lens = lens_of(look.governed, request)
            history = load_history(look.governed, look.folder, cache, request.run, lens, start, start)
    except PhasegateError:
        return None
    return history.judged.get(start)
