"""Step 3: the dashboard's document is there, is of now, and each of its values agrees with the raw logs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from checker.analyzer.ingest import cause_of
from checker.policy.model import CrossCheck
from checker.regular import open_regular
from checker.schemas import tool_schema, validate
from checker.units import NOT_MEASURED, counted, number
from checker.units import with_unit as in_unit
from checker.verify.model import Evidence, Look, Step
from checker.verify.raw import Reading, read_events
from checker.verify.recompute import agree, first_window, recomputed
from checker.windows import iso, newest_closed, parse_iso

TITLE = "dashboard there, of now, and equal to the logs"
DOCUMENT = "monitoring/dashboard.json"
MAX_BYTES = 16 << 20


def cards_step(look: Look) -> Step:
    """The step; not applicable where there are no logs, or no SLO of the policy says how it is recomputed."""
    if not look.folder.batches:
        return Step("dashboard", TITLE, missing="there are no logs to compare it with")
    try:
        document = _document(look.reports / DOCUMENT)
    except (OSError, ValueError) as fault:
        why = (fault.strerror if isinstance(fault, OSError) else "") or str(fault)
        told = f"{DOCUMENT}: {why}; write it with `phasegate dashboard`"
        return Step("dashboard", TITLE, (Evidence(told, is_fault=True),))
    evidence = [*_stale(look, document)]
    if not any(row.is_fault for row in evidence):
        evidence += _cards(look, document)
    checked = any("recomputed" in row.values for row in evidence)
    is_mute = not checked and not any(row.is_fault for row in evidence)
    missing = "no SLO of the policy has a cross_check: nothing was recomputed" if is_mute else ""
    return Step("dashboard", TITLE, tuple(evidence), missing)


def _document(path: Path) -> dict[str, Any]:
    """The dashboard's document. Raises OSError; ValueError where it is too large, no JSON or not as its schema says."""
    with open_regular(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES:,} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as fault:
        raise ValueError(f"is no JSON: {fault}") from fault
    faults = validate(document, tool_schema("dashboard"), at_most=1)
    if faults or not isinstance(document, dict):
        told = f"{'.'.join(map(str, faults[0].path))}: {faults[0].message}" if faults else "expected an object"
        raise ValueError(f"is not as its schema says: {told}")
    return document


def _stale(look: Look, document: Mapping[str, Any]) -> Iterator[Evidence]:
    """Whose it is and of when: a document of another rollout, phase or time is not compared."""
    policy, as_of = look.governed.policy, look.request.as_of
    at = parse_iso(document["as_of"])
    most = policy.window + policy.lateness
    values = {"as_of": document["as_of"], "judged_by": document["judged_by"], "target": document["target"]}
    faults = []
    if document["target"] != policy.target:
        faults.append(f"it is of {document['target']}, not of {policy.target}")
    if document["judged_by"] != look.request.phase:
        faults.append(f"it is judged by phase {document['judged_by']}, not by {look.request.phase}")
    if at > as_of:
        faults.append(f"it is later than the clock of this verification ({iso(as_of)})")
    elif as_of - at > most:
        faults.append(f"it is {_minutes(as_of, at)} min old; a window and its lateness are {most.seconds // 60} min")
    if parse_iso(document["newest_window"]["start"]) != newest_closed(at, policy.window, policy.lateness).start:
        faults.append("its newest window is not the one that was closed by then")
    told = "; ".join([f"of {document['as_of']}, phase {document['judged_by']}", *faults])
    yield Evidence(told, values | {"faults": faults}, is_fault=bool(faults))


def _minutes(later: datetime, earlier: datetime) -> int:
    return int((later - earlier).total_seconds() // 60)


def _cards(look: Look, document: Mapping[str, Any]) -> Iterator[Evidence]:
    cards = {card["slo"]: card for card in document["cards"]}
    for slo in look.governed.policy.slos.values():
        card = cards.get(slo.name)
        if card is None:
            yield Evidence(f"{slo.name}: the dashboard has no card of it", {"slo": slo.name}, is_fault=True)
        elif slo.cross_check is None:
            told = f"{slo.name}: not cross-checked: the policy gives it no cross_check"
            yield Evidence(told, {"slo": slo.name, "card": card["value"]})
        else:
            yield _compared(look, card, slo.cross_check, parse_iso(document["as_of"]))


def _compared(look: Look, card: Mapping[str, Any], check: CrossCheck, as_of: datetime) -> Evidence:
    policy, start = look.governed.policy, parse_iso(card["window"]["start"])
    within, name, value = policy.verification.agree_within, card["slo"], card["value"]
    first = first_window(check, start, policy.window)
    try:
        events = read_events(look.folder, reading_of(look, as_of), first, start, [check.field])
    except (OSError, EOFError, ValueError) as fault:
        why = f"{name}: the logs cannot be read: {cause_of(fault)}"
        return Evidence(why, {"slo": name, "card": value}, is_fault=True)
    batches = {batch.start for batch in look.folder.between(first, start)}
    found = recomputed(check, events, card["phase"], start, policy.window, batches)
    agrees = agree(value, found, within)
    apart = abs(value - found) / abs(found) if value is not None and found else None
    card_text, logs_text = (_shown(each, card["unit"]) for each in (value, found))
    far = "" if apart is None or agrees else f", {apart:.1%} apart"
    told = f"{name}: card {card_text}, logs {logs_text} ({counted(len(events), 'event')}): " + (
        "agree" if agrees else f"differ{far}; at most {within:.0%}"
    )
    values = {"slo": name, "card": value, "recomputed": found, "unit": card["unit"], "apart": apart, "agrees": agrees}
    return Evidence(told, values, is_fault=not agrees)


def _shown(value: float | None, unit: str) -> str:
    return NOT_MEASURED if value is None else in_unit(number(value), unit)


def reading_of(look: Look, as_of: datetime) -> Reading:
    """How raw lines are read, as of a clock."""
    policy, schema = look.governed.policy, look.governed.rules.schema
    return Reading(policy.window, policy.lateness, policy.max_late, schema.document, schema.dedup_key, as_of)
