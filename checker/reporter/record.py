"""What the ledger gets of a check: a decision for each window it covers, the incident, and the notices due. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from checker.analyzer.history import RETRY_EXHAUSTED
from checker.ledger.append import Draft
from checker.ledger.state import LedgerState
from checker.ledger.values import Incident
from checker.model import CheckResult, Covered, Decision, Status, Verdict
from checker.policy.model import NoticeRule, Policy
from checker.reporter.facts import facts
from checker.reporter.incidents import RETRY, VIOLATION, incident_drafts
from checker.reporter.render import has_come, notice_id, notice_text
from checker.windows import iso

_OF_WINDOWS = ("ok", "warn", "violation", "no_verdict")


@dataclass(frozen=True, slots=True)
class Books:
    """What a check is held against: the policy, its templates by name, and what the ledger comes to.

    `wanted` are ids of notices that are asked for although they are not sent by themselves in the phase.
    """

    policy: Policy
    sources: Mapping[str, str]
    state: LedgerState
    wanted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A check as it is recorded: its decision with the incident that it opened, and the drafts of one append."""

    decision: Decision
    drafts: tuple[Draft, ...]


def recorded(books: Books, result: CheckResult) -> Recorded:
    """The drafts that a check asks for; none where the ledger holds all of it. Raises TemplateFault.

    A decision comes after the incident and the notices that it leads to, so that no reader of a part of them takes a
    window for decided of which people were not told.
    """
    news = [window for window in result.covered if _is_new(books.state, result, window)]
    incidents, opened = incident_drafts(books.policy, books.state, result.decision, news)
    incident = opened or books.state.open_incident
    decision = replace(result.decision, incident=opened.id) if opened else result.decision
    notices = list(_notice_drafts(books, decision, news, opened or _turned(books.state.open_incident, incidents)))
    decisions = [_decision_draft(result, window, incident, incidents) for window in news]
    return Recorded(decision, (*incidents, *notices, *decisions))


def _is_new(state: LedgerState, result: CheckResult, window: Covered) -> bool:
    """Whether the ledger does not say the same of the window already; one that rolled back has its decision.

    A window that was over before the phase was entered is another phase's.
    """
    known, decision = state.decided.get(window.window.start), result.decision
    if state.entered_at is not None and window.window.end <= state.entered_at:
        return False
    if known is None:
        return True
    found = (
        decision.phase,
        window.outcome.value,
        frozenset(window.violations),
        window.inputs_digest,
        result.provenance.judging_digest,
    )
    is_same = found == (known.phase, known.outcome, known.violations, known.inputs_digest, known.judging_digest)
    return not is_same or known.decision not in (decision.verdict.value, Verdict.ROLLBACK.value)


def _decision_draft(
    result: CheckResult, window: Covered, incident: Incident | None, incidents: Sequence[Draft]
) -> Draft:
    decision = result.decision
    concerns = incident is not None and any(draft.window_start == window.window.start for draft in incidents)
    return Draft(
        kind="decision",
        phase=decision.phase,
        window_start=window.window.start,
        data={
            "outcome": window.outcome.value,
            "decision": decision.verdict.value,
            "rollback_required": decision.rollback_required,
            "judging_digest": result.provenance.judging_digest,
            "governed_digest": result.provenance.governed_digest,
            "engine": result.provenance.engine,
            "inputs_digest": window.inputs_digest,
            "violations": sorted(window.violations),
            "window_end": iso(window.window.end),
            "incident": incident.id if incident and concerns else None,
        },
    )


def _turned(known: Incident | None, drafts: Sequence[Draft]) -> Incident | None:
    """The open incident where it asks for a rollback from now on: that is as new as one that opens."""
    is_violated = any(draft.data["cause"] == VIOLATION for draft in drafts)
    if known is None or known.rollback_required or known.rollback_recorded or not is_violated:
        return None
    return replace(known, cause=VIOLATION)


def _notice_drafts(
    books: Books, decision: Decision, news: Sequence[Covered], opened: Incident | None
) -> Iterator[Draft]:
    before = _told_before(books.state, decision, news)
    now = [*before, *(window.outcome for window in news if window.window <= decision.window)]
    told = _last_told(books.state, decision.phase)
    for rule in books.policy.notices.values():
        if decision.phase not in rule.phases or not _may_send(rule, decision, books.wanted):
            continue
        asked = rule.id in books.wanted and has_come(rule, [*before, decision.outcome])
        if asked or (news and _is_due(rule, before, now, opened, told)):
            draft = notice_draft(books, decision, rule, opened)
            yield from () if draft.id in books.state.notice_ids else (draft,)


def _told_before(state: LedgerState, decision: Decision, news: Sequence[Covered]) -> list[Status]:
    """Outcomes, oldest first, of the phase's windows that were decided before those that are new."""
    first = min([window.window.start for window in news if window.window.start not in state.decided], default=None)
    until = min(decision.window.start, first) if first else decision.window.start
    known = [
        window
        for start, window in state.decided.items()
        if start < until and window.phase == decision.phase and _is_of_this_stay(state, window.at)
    ]
    return [Status(window.outcome) for window in sorted(known, key=lambda window: window.window_start)]


def _last_told(state: LedgerState, phase: str) -> str | None:
    """The outcome that people were told last since the phase was entered."""
    told = [
        notice.outcome
        for notice in state.notices
        if notice.phase == phase and notice.outcome in _OF_WINDOWS and _is_of_this_stay(state, notice.at)
    ]
    return told[-1] if told else None


def _is_of_this_stay(state: LedgerState, at: datetime) -> bool:
    return state.entered_at is None or at >= state.entered_at


def _may_send(rule: NoticeRule, decision: Decision, wanted: frozenset[str]) -> bool:
    return decision.phase in rule.automatic or rule.id in wanted


def _is_due(
    rule: NoticeRule, before: Sequence[Status], now: Sequence[Status], opened: Incident | None, told: str | None
) -> bool:
    """Whether the rule's notice is to be sent now: on a change, once per window where it asks for that.

    A change is one against the windows decided before, or against what people were told last: the window that decides
    is the worst of several at times, and the newest of them is not told then.
    """
    if rule.outcome == "rollback":
        return opened is not None and opened.rollback_required
    if rule.outcome == VIOLATION and opened is not None:
        return True
    is_change = not has_come(rule, before) or told not in (None, rule.outcome)
    return has_come(rule, now) and (is_change or rule.repeat == "every_window")


def notice_draft(books: Books, decision: Decision, rule: NoticeRule, opened: Incident | None) -> Draft:
    """The rule's notice about a decision, or about the incident that was `opened` with it. Raises TemplateFault."""
    name = notice_id(decision, rule)
    if opened is not None and name in books.state.notice_ids:
        name = f"{name}/{opened.id}"
    metric = RETRY_EXHAUSTED if opened is not None and opened.cause == RETRY else ""
    said = facts(books.policy, decision, metric=metric)
    said["notice_id"] = name
    about = opened or books.state.open_incident
    return Draft(
        kind="notice",
        phase=decision.phase,
        window_start=decision.window.start,
        id=name,
        data={
            "notice": rule.id,
            "outcome": rule.outcome,
            "channel": rule.channel,
            "text": notice_text(books.policy, rule, books.sources[rule.template], said),
            "incident": about.id if about else None,
            "state": "proposed" if rule.outcome == "rollback" else None,
        },
    )
