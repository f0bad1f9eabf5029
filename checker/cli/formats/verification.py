"""A verification for people, and as one JSON document."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from checker.cli.formats.layout import Line, Span, ends, paint, wrapped
from checker.verify.model import Evidence, Result, Step, exit_code
from checker.windows import iso

SCHEMA_VERSION = 1


def to_text(steps: Sequence[Step], width: int) -> str:
    """Each step with its result at the right edge and its evidence below; what is a fault is marked."""
    return paint(_lines(steps, width), colour=False)


def _lines(steps: Sequence[Step], width: int) -> Iterator[Line]:
    for place, step in enumerate(steps, 1):
        yield from ends(f"{place}. {step.title}", step.result.value, width, "")
        for row in step.evidence:
            yield from _evidence(row, width)
        if step.missing:
            yield from wrapped(step.missing, width, label=" - ")
    yield (Span(""),)
    counts = Counter(step.result for step in steps)
    told = ", ".join(f"{counts[result]} {result.value}" for result in Result if counts[result])
    yield from wrapped(f"{len(steps)} steps: {told}", width)


def _evidence(row: Evidence, width: int) -> Iterator[Line]:
    mark = "! " if row.is_fault else "  "
    depth = len(row.text) - len(row.text.lstrip(" "))
    yield from wrapped(row.text.strip(" "), width, label=f" {mark}{' ' * depth}")


def to_json(steps: Sequence[Step], target: str, phase: str, as_of: datetime) -> str:
    """The steps with their evidence as values; the same bytes for the same steps."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "target": target,
        "phase": phase,
        "as_of": iso(as_of),
        "exit_code": exit_code(steps),
        "steps": [
            {
                "step": place,
                "name": step.name,
                "title": step.title,
                "result": step.result.value,
                "missing": step.missing or None,
                "evidence": [
                    {"text": row.text, "is_fault": row.is_fault, **_finite(dict(row.values))} for row in step.evidence
                ],
            }
            for place, step in enumerate(steps, 1)
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """The value with null for what JSON has no number for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
