"""What the ledger gets when a source is given up: an incident and its notices, at once. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from checker.ledger.append import Draft
from checker.ledger.values import Incident
from checker.model import Decision
from checker.policy.model import NoticeRule
from checker.reporter.acts import Act, plain_text
from checker.reporter.incidents import RETRY, VIOLATION, incident_id
from checker.reporter.record import Books, notice_draft
from checker.reporter.render import TemplateFault


def given_up_drafts(
    books: Books, about: Decision | None, phase: str, window_start: datetime, at: datetime, reason: str
) -> tuple[Draft, ...]:
    """The drafts for a window in which a source was given up; none where an incident knows of it already.

    The notices are worded with a decision `about` now; where none could be made, without a template.
    """
    state = books.state
    if any(window_start in incident.exhausted for incident in state.incidents):
        return ()
    known = state.open_incident
    name = known.id if known else incident_id(state, window_start)
    data = {"event": "added" if known else "opened", "cause": RETRY, "slos": None}
    draft = Draft("incident", phase, data, window_start=window_start, id=name)
    if known is not None:
        return (draft,)
    opened = Incident(name, at, phase, window_start, RETRY, frozenset(), exhausted=frozenset([window_start]))
    return (draft, *_notices(books, about, opened, reason))


def _notices(books: Books, about: Decision | None, opened: Incident, reason: str) -> Iterator[Draft]:
    for rule in books.policy.notices.values():
        if rule.outcome == VIOLATION and opened.phase in rule.automatic:
            yield _worded(books, about, rule, opened) or _plain(books, rule, opened, reason)


def _worded(books: Books, about: Decision | None, rule: NoticeRule, opened: Incident) -> Draft | None:
    if about is None:
        return None
    try:
        return notice_draft(books, about, rule, opened)
    except TemplateFault:
        return None


def _plain(books: Books, rule: NoticeRule, opened: Incident, reason: str) -> Draft:
    name = f"{opened.id}/{rule.id}"
    act = Act(rule.outcome, "opened", opened.id, opened.phase, "phasegate", reason, opened.id)
    return Draft(
        kind="notice",
        phase=opened.phase,
        window_start=opened.window_start,
        id=name,
        data={
            "notice": rule.id,
            "outcome": rule.outcome,
            "channel": rule.channel,
            "text": plain_text(books.policy, rule.channel, act, name),
            "incident": opened.id,
            "state": None,
        },
    )
