"""What the page says, rounded and in words: plain texts, which the page's template escapes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from checker.analyzer.judge import JudgedWindow
from checker.model import Judgement, Status
from checker.policy.model import Policy, Slo
from checker.reporter.facts import criterion_text, is_streak, threshold_of, why
from checker.reporter.survey import Survey
from checker.units import counted, number, plain, shortened, value_text, with_unit
from checker.windows import parse_iso

STALE_AFTER = timedelta(minutes=30)
_ARROWS = {"rising": "↗ rising", "falling": "↘ falling", "steady": "→ steady", "unknown": "–"}
_LEGEND = (Status.OK, Status.WARN, Status.VIOLATION, Status.NO_DATA, Status.ERROR)
_FAR = 1_000  # percent: how much further a value is past its threshold is no longer of interest
_WORDS = {Status.NO_DATA: "no data"}


def page_words(survey: Survey, document: Mapping[str, Any]) -> dict[str, Any]:
    """Every text of the page, by the names that its template uses; none holds a character that acts."""
    words = {
        "title": survey.policy.title,
        "headline": f"{survey.policy.title}: {survey.decision.verdict.value}, {survey.decision.outcome.value}",
        "where": _where(survey, document),
        "as_of": document["as_of"],
        "stale_after_s": int(STALE_AFTER.total_seconds()),
        "verdict": survey.decision.verdict.value.upper(),
        "verdict_class": survey.decision.outcome.value,
        "outcome": _word(survey.decision.outcome),
        "newest": _span(survey.windows[-1]),
        "banner": _banner(survey, document),
        "cards": [_card(survey, card) for card in document["cards"]],
        "windows_head": f"The newest {counted(len(survey.windows), 'window')}",
        "legend": [{"cls": status.value, "word": _word(status)} for status in _LEGEND],
        "cells": [{"cls": item.outcome.value, "told": _cell(survey.policy, item)} for item in survey.windows],
        "gate_head": f"Gate to {document['next_phase']}",
        "gate_error": survey.decision.gate.error or "",
        "criteria": [*_criteria(survey)],
        "gate_lines": [*_gate_lines(survey, document)],
        "incidents": [_incident(row) for row in document["incidents"]],
        "acts": [*_acts(document)] or [{"text": "none", "is_urgent": False}],
        "footer": _footer(document),
    }
    return {name: _harmless(value) for name, value in words.items()}


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return plain(shortened(value, 1_000))
    if isinstance(value, dict):
        return {key: _harmless(item) for key, item in value.items()}
    return [_harmless(item) for item in value] if isinstance(value, list) else value


def _word(status: Status) -> str:
    return _WORDS.get(status, status.value)


def _minute(text: str | None) -> str:
    return f"{parse_iso(text):%Y-%m-%d %H:%M} UTC" if text else "–"


def _where(survey: Survey, document: Mapping[str, Any]) -> str:
    stands = document["phase"]
    if stands is None:
        place = f"phase {survey.phase}, as asked for; the ledger names none"
    elif stands == survey.phase:
        place = f"phase {stands} ({survey.decision.audience}) since {_minute(document['since'])}"
    else:
        place = f"{stands} since {_minute(document['since'])}; judged by phase {survey.phase}"
    glass = " · ENTERED WITHOUT ITS GATE" if survey.state.entered_without_gate else ""
    return f"{place}{glass} · as of {_minute(document['as_of'])}"


def _span(item: JudgedWindow) -> str:
    return f"the window {item.window.start:%Y-%m-%d %H:%M}–{item.window.end:%H:%M} UTC"


def _banner(survey: Survey, document: Mapping[str, Any]) -> dict[str, str] | None:
    """What nobody may miss: a rollback that is required, under way, or not yet recovered from."""
    incident, required = document["incident"], document["rollback_required"]
    if unknown := document["rollback_unknown"]:
        text = (
            f"{unknown['from']} → {unknown['to']}, begun {_minute(unknown['at'])}: whether it was made is not known."
            " Look what was done, then record it with rollback --done"
        )
        return {"head": "ROLLBACK: OUTCOME UNKNOWN", "text": text, "command": ""}
    if not document["rollback_active"] and not required:
        return None
    if required:
        to = document["rollback_to"] or "the phase before"
        why_so = next(iter(document["reasons"]), "") or (incident["id"] if incident else document["outcome"])
        text = f"Phase {survey.phase} must go back to {to}: {why_so}"
        return {"head": "ROLLBACK REQUIRED", "text": text, "command": document["command"] or ""}
    recovery = incident["recovery"]
    text = (
        f"{incident['id']}: rolled back {_minute(incident['rolled_back_at'])};"
        f" {recovery['met_in_a_row']} of {recovery['needed']} recovery checks met,"
        f" the next is due {_minute(recovery['next_due'])}"
    )
    return {"head": "ROLLBACK ACTIVE", "text": text, "command": ""}


def _card(survey: Survey, card: Mapping[str, Any]) -> dict[str, Any]:
    slo = survey.policy.slos[card["slo"]]
    row = next(row for row in survey.windows[-1].judgements if row.slo == slo.name)
    value, _, unit = value_text(row.value, slo.unit, row.threshold).partition(" ")
    return {
        "slo": slo.name,
        "title": slo.title,
        "status": _word(row.status),
        "status_class": row.status.value,
        "raw": "" if card["value"] is None else repr(card["value"]),
        "value": value,
        "unit": unit,
        "threshold": threshold_of(slo, row),
        "margin": _margin(card["margin_percent"]),
        "trend": _trend(slo, card["trend"]),
        "samples": f"{row.samples:,}",
        "reason": row.reason or why(row),
    }


def _margin(percent: int | None) -> str:
    if percent is None:
        return "–"
    return f"{percent} %".replace("-", "−") if percent > -_FAR else f"past −{_FAR:,} %"


def _trend(slo: Slo, trend: Mapping[str, Any]) -> str:
    change = trend["change"]
    if change is None or trend["direction"] == "steady":
        return _ARROWS[trend["direction"]]
    sign = "+" if change > 0 else "−"
    return f"{_ARROWS[trend['direction']]} {sign}{with_unit(number(abs(change)), slo.unit)}"


def _cell(policy: Policy, item: JudgedWindow) -> str:
    broken = [row for row in item.judgements if row.status is not Status.OK]
    told = "; ".join(_told(policy, row) for row in broken)
    return f"{item.window.start:%Y-%m-%d %H:%M} UTC: {_word(item.outcome)}{f' ({told})' if told else ''}"


def _told(policy: Policy, row: Judgement) -> str:
    slo = policy.slos[row.slo]
    value = value_text(row.value, slo.unit, row.threshold) if row.value is not None else _word(row.status)
    return f"{slo.title} {value}"


def _criteria(survey: Survey) -> Iterator[dict[str, Any]]:
    for row in survey.decision.gate.criteria:
        is_progress = is_streak(row) and row.observed is not None and bool(row.required)
        share = (row.observed or 0) / row.required if is_progress and row.required else 0
        yield {
            "sign": "✓" if row.passed else "✗",
            "text": criterion_text(row),
            "is_progress": is_progress,
            "percent": int(min(100, max(0, share * 100))),
        }


def _gate_lines(survey: Survey, document: Mapping[str, Any]) -> Iterator[str]:
    if document["gate"]["passed"]:
        yield "the gate has passed"
    elif earliest := document["gate"]["earliest_pass"]:
        yield f"earliest, if every window is met from now: {_minute(earliest)}"
    if pause := document["pause"]:
        yield f"paused {_until(pause['until'])}, by {pause['by']}: {pause['reason']}"
    if document["freeze"]:
        yield f"frozen {document['freeze']}"
    told = tuple(f"{row.criterion}: " for row in survey.decision.gate.criteria)
    yield from (reason for reason in document["reasons"] if not reason.startswith(told))


def _until(instant: str | None) -> str:
    return f"until {_minute(instant)}" if instant else "until resumed"


def _incident(row: Mapping[str, Any]) -> dict[str, str]:
    slos = ", ".join(sorted({violation["slo"] for violation in row["violations"]})) or row["cause"]
    if row["closed_at"] is None:
        text = f"{slos}; opened {_minute(row['opened_at'])}"
        return {"head": f"OPEN · {row['id']} · phase {row['phase']}", "text": text}
    by = f" by {row['closed_by']}" if row["closed_by"] else ""
    return {
        "head": f"{row['id']} · phase {row['phase']}",
        "text": f"{slos}; {row['outcome']}{by} {_minute(row['closed_at'])}: {row['closed_reason'] or ''}",
    }


def _acts(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in document["notices_waiting"]:
        why_not = f": {row['failure']}" if row["failure"] else ""
        text = f"NOT DELIVERED: {row['notice']} to {row['channel']}, of {_minute(row['at'])}{why_not}"
        yield {"text": text, "is_urgent": True}
    for row in document["rollbacks"]:
        way = f"{row['from']} → {row['to']}"
        text = f"rollback {row['event']} {_minute(row['at'])}: {way} by {row['by']}: {row['reason']}"
        yield {"text": text, "is_urgent": False}


def _footer(document: Mapping[str, Any]) -> str:
    made = document["provenance"]
    digests = f"governed files {made['governed_digest'][:12]} · judging {made['judging_digest'][:12]}"
    return f"{digests} · DuckDB {made['engine']}"
