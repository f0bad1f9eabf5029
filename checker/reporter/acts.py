"""Notices of what people and the tool do: a rollback proposed, begun or ended; an incident ended or cancelled. Pure.

They are worded with a decision made about that time, so that a template has its values; where none could be made, the
act is told without a template: a rollback does not wait for a measurement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from checker.ledger.append import Draft
from checker.ledger.state import LedgerState
from checker.ledger.values import Incident
from checker.model import Decision
from checker.policy.model import NoticeRule, Policy
from checker.reporter.escape import marked, placed
from checker.reporter.facts import Command, facts
from checker.reporter.messages import RECOVERED
from checker.reporter.render import TemplateFault, markup_of, notice_text
from checker.reporter.shell import command_line

PAGER = "pagerduty"


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was done about `subject`, an incident's id or, where there is none, a rollback's.

    `outcome` is that of the policy's rules that tell of it (`rollback`, `recovered`), `state` how far it has come
    (proposed, begun, ended, cancelled), `name` what its notices' ids begin with. `command` is the guarded command.
    """

    outcome: str
    state: str
    subject: str
    phase: str
    by: str
    reason: str
    name: str
    command: tuple[str, ...] = ()


def closing(incident: Incident, state: str, by: str, reason: str) -> Act:
    """The act that closes an incident: `ended` by a recovery that held, or `cancelled` by a person."""
    return Act(RECOVERED, state, incident.id, incident.phase, by, reason, f"{incident.id}/{state}")


def act_notices(
    policy: Policy, sources: Mapping[str, str], state: LedgerState, act: Act, decision: Decision | None
) -> tuple[Draft, ...]:
    """The notices that tell of an act, each once; where the incident was paged, also what resolves the page.

    `sources` are templates by name; `decision` is about the phase of the act or the one that follows it.
    """
    rules = [rule for rule in policy.notices.values() if rule.outcome == act.outcome and act.phase in rule.automatic]
    drafts = [_draft(policy, rule, sources.get(rule.template, ""), act, decision) for rule in rules]
    if act.outcome == RECOVERED:
        drafts += _resolving(policy, state, act, {rule.channel for rule in rules})
    return tuple(draft for draft in drafts if draft.id not in state.notice_ids)


def _draft(policy: Policy, rule: NoticeRule, source: str, act: Act, decision: Decision | None) -> Draft:
    name = f"{act.name}/{rule.id}"
    return Draft(
        kind="notice",
        phase=act.phase,
        window_start=decision.window.start if decision else None,
        id=name,
        data={
            "notice": rule.id,
            "outcome": rule.outcome,
            "channel": rule.channel,
            "text": _text(policy, rule, source, act, name, decision),
            "incident": act.subject,
            "state": act.state,
        },
    )


def _text(policy: Policy, rule: NoticeRule, source: str, act: Act, name: str, decision: Decision | None) -> str:
    if decision is None:
        return plain_text(policy, rule.channel, act, name)
    about = replace(decision, incident=act.subject)
    said = facts(policy, about, state=act.state, initiator=act.by, reason=act.reason)
    said["notice_id"] = name
    said["phase"] = act.phase
    if act.command:
        said["cmd"] = Command(command_line(act.command))
    try:
        return notice_text(policy, rule, source, said)
    except TemplateFault:
        return plain_text(policy, rule.channel, act, name)


def plain_text(policy: Policy, channel: str, act: Act, name: str) -> str:
    """The act in words that need no template and no measurement."""
    what = "incident" if act.outcome == RECOVERED else "rollback"
    told = [f"{policy.title} {act.phase}: {what} {act.subject} {act.state}", f"by {act.by}", f"reason: {act.reason}"]
    words = " / ".join(marked(part) for part in told)
    command = f" / {marked(command_line(act.command), is_command=True)}" if act.command else ""
    return placed(f"{words}{command}\n{marked(name)}", markup_of(channel))


def _resolving(policy: Policy, state: LedgerState, act: Act, told: set[str]) -> Iterator[Draft]:
    """What resolves the incident's page, where no rule of the policy does."""
    paged = any(notice.incident == act.subject and notice.channel == PAGER for notice in state.notices)
    if paged and PAGER not in told:
        name = f"{act.name}/{PAGER}"
        yield Draft(
            kind="notice",
            phase=act.phase,
            id=name,
            data={
                "notice": PAGER,
                "outcome": RECOVERED,
                "channel": PAGER,
                "text": plain_text(policy, PAGER, act, name),
                "incident": act.subject,
                "state": act.state,
            },
        )
