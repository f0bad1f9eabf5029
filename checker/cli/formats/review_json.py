"""A review as one JSON document, unrounded; the same bytes for the same review."""

from __future__ import annotations

import json
import re
from typing import Any

from checker.cli.formats.json_document import SCHEMA_VERSION
from checker.cli.formats.review_json_replay import consequences_document
from checker.cli.formats.review_words import ReviewOptions
from checker.governance.direction import Change
from checker.governance.reviewed import Approvals, Review, Side, Sight, Sweep
from checker.model import Status
from checker.units import finite
from checker.windows import iso

_HALF_PAIRS = re.compile("[\ud800-\udfff]")


def render_json(review: Review, _: ReviewOptions) -> str:
    """`document` as indented JSON that ends in a line break; half of a pair, which readers refuse, is U+FFFD."""
    text = json.dumps(document(review), indent=2, ensure_ascii=False, allow_nan=False)
    return _HALF_PAIRS.sub("\ufffd", text) + "\n"


def document(review: Review) -> dict[str, Any]:
    """The document that `schemas/review.schema.json` describes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "target": review.target,
        "title": review.title,
        "base": _side(review.base),
        "head": _side(review.head),
        "engine": review.engine,
        "direction": review.direction.value,
        "needs_approval": review.direction.needs_approval,
        "passed": review.passed,
        "changes": [_change(row) for row in review.changes],
        "templates": [
            {"notice": row.notice, "phase": row.phase, "situation": row.situation, "diff": row.diff}
            for row in review.templates
        ],
        "consequences": None if review.consequences is None else consequences_document(review.consequences),
        "sights": [_sight(row) for row in review.sights],
        "sweeps": [_sweep(row) for row in review.sweeps],
        "approvals": _approvals(review.approvals),
        "not_looked_at": list(review.not_looked_at),
        "warnings": list(review.warnings),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "commit": side.commit,
        "governed_digest": side.governed_digest,
        "judging_digest": side.judging_digest,
    }


def _change(change: Change) -> dict[str, Any]:
    place = change.place
    return {
        "kind": change.kind,
        "subject": change.subject,
        "rule": change.rule,
        "direction": change.direction.value,
        "before": change.before,
        "after": change.after,
        "why": change.why,
        "place": {"path": place.path, "line": place.line, "column": place.column, "side": place.side},
        "phases": list(change.phases),
        "notes": list(change.notes),
        "diff": change.diff,
    }


def _sight(row: Sight) -> dict[str, Any]:
    return {
        "slo": row.slo,
        "phase": row.phase,
        "samples": row.samples,
        "breach": finite(row.breach),
        "pretends": finite(row.pretends),
        "of": row.of,
        "is_blind": row.is_blind,
        "why": row.why,
    }


def _sweep(row: Sweep) -> dict[str, Any]:
    return {
        "slo": row.slo,
        "phase": row.phase,
        "unit": row.unit,
        "comparison": row.comparison.value,
        "current": finite(row.current),
        "points": [
            {"limit": finite(point.limit), "counts": {status.value: point.counts.get(status, 0) for status in Status}}
            for point in row.points
        ],
    }


def _approvals(approvals: Approvals) -> dict[str, Any]:
    return {
        "digest": approvals.digest,
        "is_enough": approvals.is_enough,
        "required": [
            {"role": row.role, "count": row.count, "missing": row.missing, "why": row.why} for row in approvals.required
        ],
        "present": [
            {
                "role": row.role,
                "principals": list(row.principals),
                "name": row.name,
                "reason": row.reason,
                "signed_at": iso(row.signed_at),
                "expires_at": iso(row.expires_at),
                "refused": row.refused,
            }
            for row in approvals.present
        ],
        "problems": list(approvals.problems),
    }
