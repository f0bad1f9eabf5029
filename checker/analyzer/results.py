"""What an SLO query returned, held against its contract: one row a window, the agreed columns first. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from checker.analyzer.sandbox import Rows
from checker.errors import QueryFailed, QueryStopped
from checker.model import Measurement, Window
from checker.windows import iso

FIRST_COLUMNS = ("window_start", "value", "samples")
MAX_EVIDENCE_CHARACTERS = 4_096  # of one window: kept for every window, in memory and in the cache
_MAX_SAMPLES = (1 << 63) - 1


def measurements(slo: str, result: Rows, windows: Sequence[Window]) -> Iterator[Measurement]:
    """A measurement of each of `windows`; one without a row carries an error. Raises QueryFailed."""
    if result.names[:3] != FIRST_COLUMNS:
        raise QueryFailed(f"returns {', '.join(result.names)}; the first columns must be {', '.join(FIRST_COLUMNS)}")
    rows: dict[datetime, tuple[Any, ...]] = {}
    for row in result.rows:
        if not isinstance(row[0], datetime):
            raise QueryFailed(f"window_start is {result.types[0]}, expected TIMESTAMP")
        start = row[0].replace(tzinfo=UTC)
        if start in rows:
            raise QueryFailed(f"returns the window {iso(start)} twice; group by window_start")
        rows[start] = row
    for window in windows:
        if window.start not in rows:
            yield Measurement(
                slo, window.start, None, 0, error="returns no row for the window; start from windows and left join"
            )
        else:
            yield _measurement(slo, window.start, result, rows[window.start])


def _measurement(slo: str, start: datetime, result: Rows, row: tuple[Any, ...]) -> Measurement:
    value, samples = row[1], 0 if row[2] is None else row[2]
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, type(None))):
        raise QueryFailed(f"value is {result.types[1]}, expected DOUBLE")
    if isinstance(samples, bool) or not isinstance(samples, int):
        raise QueryFailed(f"samples is {result.types[2]}, expected BIGINT")
    if not 0 <= samples <= _MAX_SAMPLES:
        raise QueryFailed(f"samples is {str(samples)[:40]}, expected a number of events")
    value = None if value is None else float(value)
    evidence = dict(zip(result.names[3:], map(json_value, row[3:]), strict=True))
    size = sum(len(str(item)) for pair in evidence.items() for item in pair)
    if size > MAX_EVIDENCE_CHARACTERS:
        raise QueryStopped(f"returns {size:,} characters of evidence for a window; at most {MAX_EVIDENCE_CHARACTERS:,}")
    return Measurement(slo, start, value, samples, evidence)


def agree(one: Measurement, other: Measurement) -> bool:
    """Whether two measurements are the same, but for the order in which doubles were summed."""
    if one.value is None or other.value is None or one.samples != other.samples:
        return (one.value, one.samples) == (other.value, other.samples)
    both_nan = math.isnan(one.value) and math.isnan(other.value)
    return both_nan or math.isclose(one.value, other.value, rel_tol=1e-9, abs_tol=1e-12)


def json_value(value: Any) -> Any:
    """A value of a row as JSON can hold it: times in ISO 8601, a number that is not finite as text."""
    if isinstance(value, datetime):
        return iso(value.replace(tzinfo=UTC))
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if isinstance(value, (int, str, bool, type(None))) else str(value)
