"""Where a rollout stands: as a value, as text, and as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from checker.analyzer.decide import missing_approval
from checker.cli.formats.json_document import SCHEMA_VERSION, decision_document
from checker.cli.formats.layout import Line, Span, paint, wrapped
from checker.cli.formats.wording import earliest_text
from checker.ledger.state import LedgerState
from checker.ledger.values import Incident, RecordedNotice, RollbackRecord
from checker.model import Decision
from checker.policy.model import Policy
from checker.reporter.facts import criterion_text
from checker.reporter.recovery_plan import progress
from checker.units import counted
from checker.watching import Watched
from checker.windows import iso, iso_or_none

NOTICES_SHOWN = 5
_LABEL_WIDTH = 18


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known at `as_of`. `decision` is the check's for the ledger's phase, None where that has no gate.

    `newest_batch` is the start of its window. `phases` count the events of the newest batches by phase; they are
    looked at only where the ledger names no phase. `torn` tells of a last line of the ledger that does not count.
    `watched` is what is watched beside the SLOs. `folder` is where batches were looked for; the document leaves it out.
    """

    as_of: datetime
    state: LedgerState
    decision: Decision | None = None
    newest_batch: datetime | None = None
    phases: Mapping[str, int] | None = None
    torn: str | None = None
    watched: Watched | None = None
    folder: str = ""


def render_status(standing: Standing, policy: Policy, *, colour: bool, width: int) -> str:
    """The standing as labelled lines."""
    return paint(_lines(standing, policy, width), colour=colour)


def _lines(standing: Standing, policy: Policy, width: int) -> Iterator[Line]:
    yield (Span(f"{policy.title} · {iso(standing.as_of)}", "bold"),)
    for label, text in _facts(standing, policy):
        yield from wrapped(text, width, label=f"{label:<{_LABEL_WIDTH}}")


def _facts(standing: Standing, policy: Policy) -> Iterator[tuple[str, str]]:
    state = standing.state
    yield "phase", _phase(standing, policy)
    if state.entered_at is not None:
        glass = ", entered WITHOUT ITS GATE" if state.entered_without_gate else ""
        yield "since", f"{iso(state.entered_at)} ({age(standing.as_of - state.entered_at)}){glass}"
    if standing.decision is not None:
        yield from _progress(standing.decision)
    if state.exists:
        yield "incident", _incident(state.open_incident)
        yield "rollback", _rollback(state)
        yield from _recovery(state.open_incident, policy)
        pause = state.paused_at(standing.as_of)
        until = f"until {iso(pause.until)}" if pause and pause.until else "until resumed"
        yield "pause", f"{until}, by {pause.by}: {pause.reason}" if pause else "none"
        if freeze := policy.freeze_at(standing.as_of):
            yield "freeze", freeze.told
        yield from _notices(state.notices)
    yield "newest batch", _newest(standing, policy)
    if standing.watched is not None:
        yield from _watched(standing.watched)
    if standing.torn is not None:
        yield "ledger", standing.torn


def _watched(watched: Watched) -> Iterator[tuple[str, str]]:
    if watched.share is not None:
        off = "⚠ " if watched.share.is_off(watched.rule) else ""
        yield "exposure", f"{off}{watched.share.told}"
    if watched.left is not None:
        loud = "⚠ " if watched.left.still_there(watched.rule) else ""
        yield "left", f"{loud}{watched.left.told}"
    if watched.shortfall is not None:
        yield "volume", f"⚠ {watched.shortfall.told}"


def _phase(standing: Standing, policy: Policy) -> str:
    phase = standing.state.phase
    if phase in policy.phase_names:
        found = policy.phase(phase)
        return f"{found.name} ({found.title}, {found.audience})"
    if phase is not None:
        return phase
    known = "there is no ledger" if not standing.state.exists else "the ledger has entered no phase yet"
    seen = ", ".join(f"{name} ({counted(count, 'event')})" for name, count in (standing.phases or {}).items())
    return f"not known: {known}; the newest logs hold {seen or 'none'}"


def _progress(decision: Decision) -> Iterator[tuple[str, str]]:
    gate = decision.gate
    yield "outcome", f"{decision.outcome.value}, window {iso(decision.window.start)}"
    if gate.error is not None:
        yield "gate", gate.error
    for row in gate.criteria:
        yield "gate", f"{'✓' if row.passed else '✗'} {criterion_text(row)}"
    earliest = earliest_text(decision)
    if earliest:
        yield "earliest advance", f"{earliest}, if every window is met from now"
    if decision.approvals_missing:
        yield "approvals missing", ", ".join(decision.approvals_missing)
    refused = tuple(f"{missing_approval(role, {})} (" for role in decision.approvals_missing)
    for reason in decision.reasons:
        if reason.startswith(refused):
            yield "approval refused", reason


def _incident(incident: Incident | None) -> str:
    if incident is None:
        return "none open"
    slos = ", ".join(sorted({slo for _, slo in incident.violations})) or incident.cause
    asked = "; its rollback is not recorded yet" if incident.rollback_required else ""
    return f"{incident.id} open since {iso(incident.opened_at)}: {slos}{asked}"


def _rollback(state: LedgerState) -> str:
    unknown = state.rollback_unknown
    if unknown is not None:
        return f"{_told(unknown)}: outcome unknown; look what was done, then record it with rollback --done"
    return _told(state.rollbacks[-1]) if state.rollbacks else "none"


def _recovery(incident: Incident | None, policy: Policy) -> Iterator[tuple[str, str]]:
    if incident is None or incident.rolled_back_at is None:
        return
    recovery = progress(incident, policy.rollback.recovery_every, policy.rollback.recovery_for)
    newest = incident.recovery[-1] if incident.recovery else None
    due = iso_or_none(recovery.next_due)
    told = f"{recovery.met_in_a_row} of {recovery.needed} checks met in a row; the next is due {due}"
    yield "recovery", told + (f"; the newest was {newest.outcome}" if newest and not newest.met else "")


def _told(rollback: RollbackRecord) -> str:
    return f"{rollback.event} {iso(rollback.at)}, from {rollback.phase_from} to {rollback.phase_to}"


def _notices(notices: tuple[RecordedNotice, ...]) -> Iterator[tuple[str, str]]:
    for notice in reversed(notices[-NOTICES_SHOWN:]):
        yield "notice", f"{iso(notice.at)} {notice.notice} → {notice.channel}, {_delivery(notice)}"
    waiting = [notice for notice in notices if not notice.is_settled]
    if len(waiting) > 1:
        yield "outbox", f"{len(waiting)} notices are not delivered, the oldest of {iso(waiting[0].at)}"


def _delivery(notice: RecordedNotice) -> str:
    if notice.delivered_at:
        return "delivered"
    if notice.kept:
        return "kept in reports/notices, sent to nobody"
    return f"not delivered: {notice.failure}" if notice.failure else "not delivered yet"


def _newest(standing: Standing, policy: Policy) -> str:
    place = f" in {standing.folder}" if standing.folder else ""
    if standing.newest_batch is None:
        return f"none{place}"
    end = standing.newest_batch + policy.window
    return f"{iso(standing.newest_batch)}, ended {age(standing.as_of - end)} ago{place}"


def age(span: timedelta) -> str:
    """`2 d 3 h`, `1 h 5 min`, `41 s`: the two largest units."""
    seconds = max(0, int(span.total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count} {name}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts)) or "0 s"


def status_document(standing: Standing, policy: Policy) -> dict[str, Any]:
    """The standing as a JSON document; what is not known is null."""
    state, decision, newest = standing.state, standing.decision, standing.newest_batch
    pause = state.paused_at(standing.as_of)
    return {
        "schema_version": SCHEMA_VERSION,
        "target": policy.target,
        "as_of": iso(standing.as_of),
        "ledger": state.exists,
        "phase": state.phase,
        "since": iso_or_none(state.entered_at),
        "outcome": decision.outcome.value if decision else None,
        "window": iso_or_none(decision.window.start if decision else None),
        "gate": decision_document(decision, policy)["gate"] if decision else None,
        "approvals_missing": list(decision.approvals_missing) if decision else None,
        "incident": _incident_document(state.open_incident, policy),
        "rollback_active": bool(state.open_incident and state.open_incident.rollback_active),
        "rollback": _rollback_document(state.rollbacks[-1]) if state.rollbacks else None,
        "rollback_unknown": state.rollback_unknown is not None,
        "freeze": freeze.told if (freeze := policy.freeze_at(standing.as_of)) else None,
        "pause": {"by": pause.by, "reason": pause.reason, "until": iso_or_none(pause.until)} if pause else None,
        "notices": [_notice_document(notice) for notice in reversed(state.notices[-NOTICES_SHOWN:])],
        "newest_batch": iso_or_none(newest),
        "newest_batch_age_s": int((standing.as_of - newest - policy.window).total_seconds()) if newest else None,
        "phases_in_logs": None if standing.phases is None else dict(standing.phases),
        **_watched_document(standing.watched),
    }


def _watched_document(watched: Watched | None) -> dict[str, Any]:
    share, left = (watched.share, watched.left) if watched else (None, None)
    return {
        "exposure": {"phase": share.phase, "share": share.observed, "audience": share.wanted} if share else None,
        "left_phase": {"phase": left.phase, "events": {iso(start): count for start, count in left.counts}}
        if left
        else None,
        "volume_shortfall": {"events": watched.shortfall.observed, "expected": watched.shortfall.expected}
        if watched and watched.shortfall
        else None,
    }


def _incident_document(incident: Incident | None, policy: Policy) -> dict[str, Any] | None:
    if incident is None:
        return None
    recovery = progress(incident, policy.rollback.recovery_every, policy.rollback.recovery_for)
    return {
        "id": incident.id,
        "opened_at": iso(incident.opened_at),
        "phase": incident.phase,
        "cause": incident.cause,
        "slos": sorted({slo for _, slo in incident.violations}),
        "rollback_required": incident.rollback_required,
        "rolled_back_at": iso_or_none(incident.rolled_back_at),
        "recovery_checks_met": recovery.met_in_a_row,
    }


def _rollback_document(rollback: RollbackRecord) -> dict[str, Any]:
    return {
        "event": rollback.event,
        "at": iso(rollback.at),
        "from": rollback.phase_from,
        "to": rollback.phase_to,
        "reason": rollback.reason,
    }


def _notice_document(notice: RecordedNotice) -> dict[str, Any]:
    return {
        "id": notice.id,
        "notice": notice.notice,
        "at": iso(notice.at),
        "channel": notice.channel,
        "delivered_at": iso_or_none(notice.delivered_at),
        "kept": notice.kept,
        "failure": None if notice.is_settled else notice.failure,
    }
