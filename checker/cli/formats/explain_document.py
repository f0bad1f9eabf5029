"""An explanation, or the account of a batch, as one JSON document; the same bytes for the same logs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from checker.analyzer.explain import RowsBehind
from checker.analyzer.quarantine import BatchAccount
from checker.cli.formats.json_document import SCHEMA_VERSION, decision_document
from checker.model import Decision, Judgement
from checker.policy.model import Policy
from checker.units import margin_percent
from checker.windows import iso


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision about one window, with the rows behind its values and what each query `measures`, by SLO.

    Only the SLOs of `rows` are explained. `phases` count the window's events by the phase they carry, the largest
    first. `missing` says which batch is not there; it may name a folder, and stays out of the document.
    """

    decision: Decision
    rows: Mapping[str, Sequence[RowsBehind]]
    measures: Mapping[str, str]
    phases: Mapping[str, int] = field(default_factory=dict)
    missing: str | None = None


def explanation_document(explanation: Explanation, policy: Policy) -> dict[str, Any]:
    """The decision as `check` tells it, each explained SLO with its margin (%), evidence and rows."""
    decision = explanation.decision
    document = decision_document(decision, policy)
    judgements = {row.slo: row for row in decision.judgements}
    document["slos"] = [
        told
        | {
            "measures": explanation.measures[told["slo"]],
            "margin_percent": _margin(judgements[told["slo"]], policy),
            "evidence": dict(judgements[told["slo"]].evidence),
            "rows": [_rows(behind) for behind in explanation.rows[told["slo"]]],
        }
        for told in document["slos"]
        if told["slo"] in explanation.rows
    ]
    document["phases"] = dict(explanation.phases)
    if decision.last_break is not None:
        broken = decision.last_break
        document["last_break"] |= {"reason": broken.reason, "evidence": dict(broken.evidence)}
    return document


def _margin(row: Judgement, policy: Policy) -> int | None:
    return margin_percent(row.value, row.threshold, policy.slos[row.slo].unit)


def _rows(behind: RowsBehind) -> dict[str, Any]:
    return {
        "kind": behind.kind,
        "of": behind.cte,
        "by": behind.by,
        "total": behind.total,
        "columns": list(behind.columns),
        "rows": [list(row) for row in behind.rows],
        "error": behind.error,
    }


def account_document(account: BatchAccount, policy: Policy) -> dict[str, Any]:
    """The lines of one batch: counts, and each quarantined line with its number, reason, detail and excerpt."""
    return {
        "schema_version": SCHEMA_VERSION,
        "target": policy.target,
        "batch": account.name,
        "window": {"start": iso(account.start), "end": iso(account.start + policy.window)},
        "input": {
            "lines": account.lines,
            "events": account.events,
            "of_other_windows": account.of_other_windows,
            "duplicates": account.duplicates,
            "too_late": account.too_late,
            "quarantined": sum(account.quarantined.values()),
            "quarantined_by_reason": dict(sorted(account.quarantined.items())),
        },
        "quarantined": [
            {"line": line.number, "reason": line.reason, "detail": line.detail, "excerpt": line.excerpt}
            for line in account.broken
        ],
    }


def to_text(document: Mapping[str, Any]) -> str:
    """A document as indented JSON that ends in a line break."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
