"""A check of many targets as one JSON document, the same bytes for the same result."""

from __future__ import annotations

import json
from typing import Any

from checker.cli.formats import json_document
from checker.targets.model import AtRest, Checked, Judged, NotJudged, Target, counts
from checker.windows import iso

SCHEMA_VERSION = 1


def to_json(checked: Checked) -> str:
    """`document` as indented JSON that ends in a line break."""
    return json.dumps(document(checked), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def document(checked: Checked) -> dict[str, Any]:
    """The document that `schemas/check_all.schema.json` describes; targets by path, none of them the machine's."""
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": iso(checked.as_of),
        "outcome": checked.outcome.value,
        "exit_code": checked.exit_code,
        "counts": counts(checked.targets),
        "targets": [_target(target) for target in checked.targets],
    }


def _target(target: Target) -> dict[str, Any]:
    head = {"path": target.path, "exit_code": target.exit_code}
    match target:
        case Judged():
            return {**head, **json_document.document(target.result, target.policy)}
        case AtRest():
            names = {"target": target.target, "title": target.title}
            return {**head, **names, "stands_at": target.stands_at, "incident": target.incident}
        case NotJudged():
            return {**head, "error": target.error}
