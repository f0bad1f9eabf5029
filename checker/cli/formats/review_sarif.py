"""A review as SARIF 2.1.0: a result for each change, and for each past incident that is no longer caught."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from checker import __version__
from checker.cli.formats.review_words import (
    ReviewOptions,
    bare,
    changed_text,
    gravest_first,
    minute,
    needs,
    no_longer_caught,
    place_text,
    totals,
)
from checker.governance.direction import Change, Place
from checker.governance.reviewed import IncidentOutcome, Review
from checker.units import plain, shortened

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_INCIDENT = "phasegate/past-incident"
_INCIDENT_MEANING = "A past incident that base would have rolled back and head would not."


def render_sarif(review: Review, _: ReviewOptions) -> str:
    """The log as indented JSON that ends in a line break; every text plain and none without end."""
    results = [*_lost(review), *(_result(change, review) for change in gravest_first(review.changes))]
    driver = {
        "name": "phasegate",
        "semanticVersion": __version__,
        "rules": [_rule(name) for name in sorted({result["ruleId"] for result in results})],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"phasegate/review/{quote(review.target, safe='', errors='replace')}"},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": [*_notifications(review)]}],
        "results": results,
        "properties": {
            "direction": review.direction.value,
            "passed": review.passed,
            "totals": [_said(bare(row)) for row in totals(review)],
        },
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _rule(name: str) -> dict[str, Any]:
    meaning = f"What differs in meaning between base and head, told by the rule {name.partition('/')[2]}."
    meaning = _INCIDENT_MEANING if name == _INCIDENT else meaning
    return {"id": name, "shortDescription": {"text": meaning}}


def _lost(review: Review) -> Iterator[dict[str, Any]]:
    """The incidents that head misses, at the gravest change: no line of theirs is in the project."""
    places = [change.place for change in gravest_first(review.changes)][:1]
    level = "warning" if review.passed else "error"
    for row in no_longer_caught(review):
        yield {
            "ruleId": _INCIDENT,
            "level": level,
            "message": {"text": _said(_incident(row))},
            "locations": [*map(_location, places)],
            "partialFingerprints": {"phasegate/v1": _fingerprint(row.id, _INCIDENT)},
        }


def _incident(row: IncidentOutcome) -> str:
    caught = f"base would have rolled back at {minute(row.base.caught_at)} UTC, head never does"
    return f"{row.id} ({row.title}; phase {row.phase}) is no longer caught: {caught}"


def _result(change: Change, review: Review) -> dict[str, Any]:
    rule = f"phasegate/{_said(change.rule)}"
    told = (f"{change.direction.value}: {change.subject}", changed_text(change), change.why, place_text(change.place))
    return {
        "ruleId": rule,
        "level": _level(change, review),
        "message": {"text": _said("; ".join(filter(None, told)))},
        "locations": [_location(change.place)],
        "partialFingerprints": {"phasegate/v1": _fingerprint(change.subject, rule)},
        "properties": {"direction": change.direction.value, "kind": _said(change.kind)},
    }


def _level(change: Change, review: Review) -> str:
    if not change.direction.needs_approval:
        return "note"
    return "error" if needs(review, change.direction) else "warning"


def _location(place: Place) -> dict[str, Any]:
    """The place as a URI from the project's root; what only base has is in no line of head."""
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(place.path, errors="replace")}}
    if place.line and place.side == "head":
        physical["region"] = {"startLine": place.line} | ({"startColumn": place.column} if place.column else {})
    return {"physicalLocation": physical}


def _fingerprint(subject: str, rule: str) -> str:
    return sha256(f"{rule}\n{subject}".encode("utf-8", "backslashreplace")).hexdigest()


def _notifications(review: Review) -> Iterator[dict[str, Any]]:
    for level, texts in (("warning", review.warnings), ("note", review.not_looked_at)):
        said = "" if level == "warning" else "not looked at: "
        yield from ({"level": level, "message": {"text": _said(said + text)}} for text in texts)


def _said(text: str) -> str:
    return plain(shortened(text))
