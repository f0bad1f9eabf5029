"""An SLO's measured values, judged again under a range of limits. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import median

from checker.analyzer.judge import judge_window
from checker.governance.reviewed import Sweep, SweepPoint
from checker.model import Comparison, Decision, Judgement, Measurement, Status, Threshold
from checker.policy.model import Policy, Slo
from checker.policy.thresholds import warn_limit_at

_FEWEST = 5
_ROUND = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5))


def sweep(policy: Policy, slo: Slo, phase: str, decisions: Sequence[Decision], limits: Sequence[float]) -> Sweep:
    """How many windows of `decisions` come to which status under each of `limits`, in the SLO's unit.

    `decisions` are a replay's under `policy`, one a window, judged by `phase`. The analyzer itself judges the values
    again. A status that does not come from the value stays under every limit: an error, a window without a batch or
    with a part that has not come, a violation that the ledger holds.
    """
    rows = [(made, row) for made in decisions for row in made.judgements if row.slo == slo.name]
    current = slo.thresholds[phase]
    as_it_is = _under(policy, slo, phase, current)
    free = [(made, row) for made, row in rows if _again(as_it_is, made, row) == (row.status, row.reason)]
    fixed = Counter(row.status for _, row in rows)
    fixed.subtract(row.status for _, row in free)

    def point(limit: float) -> SweepPoint:
        other = _under(policy, slo, phase, _threshold(slo, phase, limit))
        found = Counter(_again(other, made, row)[0] for made, row in free)
        return SweepPoint(limit, {status: fixed[status] + found[status] for status in Status})

    return Sweep(slo.name, phase, slo.unit, slo.comparison, current.limit, tuple(map(point, limits)))


def _under(policy: Policy, slo: Slo, phase: str, threshold: Threshold) -> Policy:
    """The policy with this SLO alone, of which `phase` requires `threshold`."""
    return replace(policy, slos={slo.name: replace(slo, thresholds={phase: threshold})})


def _again(policy: Policy, made: Decision, row: Judgement) -> tuple[Status, str | None]:
    """What the analyzer makes of the row's value under `policy`, and why."""
    measured = {(row.slo, row.window.start): Measurement(row.slo, row.window.start, row.value, row.samples)}
    judged = judge_window(policy, made.phase, row.window, measured, made.inputs, has_batch=True)
    return judged.judgements[0].status, judged.judgements[0].reason


def _threshold(slo: Slo, phase: str, limit: float) -> Threshold:
    """The phase's threshold with another limit; of lte the warning line moves along, of gte it stays."""
    current = slo.thresholds[phase]
    if limit == current.limit:
        return current
    if slo.comparison is Comparison.LTE:
        share = _warn_share(slo)
        return Threshold(slo.comparison, limit, None if share is None else warn_limit_at(limit, share))
    return replace(current, limit=limit)


def _warn_share(slo: Slo) -> float | None:
    """The warning line as a share of the limit, the same in all phases; None where every limit is 0, or none warns."""
    for threshold in slo.thresholds.values():
        if threshold.limit and threshold.warn_limit is not None:
            return float(Decimal(str(threshold.warn_limit)) / Decimal(str(threshold.limit)))
    return None


def default_limits(slo: Slo, phase: str, decisions: Sequence[Decision], steps: int = 11) -> tuple[float, ...]:
    """At most `steps` round limits around the current one, which is among them, smallest first; the SLO's unit.

    They reach from the median of what was measured as far to the other side of the current limit, and nowhere past the
    best value, since every stricter limit is violated always. Of eq there is the current limit alone. Raises ValueError
    for fewer than 5 steps.
    """
    if steps < _FEWEST:
        raise ValueError(f"{steps} steps; at least {_FEWEST} are needed for a range")
    limit = slo.thresholds[phase].limit
    if slo.comparison is Comparison.EQ:
        return (limit,)
    values = [
        row.value
        for made in decisions
        for row in made.judgements
        if row.slo == slo.name and row.samples >= slo.min_samples and row.value is not None and math.isfinite(row.value)
    ]
    low, high = _range(slo.comparison, Decimal(str(limit)), [Decimal(str(value)) for value in values])
    found = {float(point) for point in _round_points(low, high, steps - 1)}
    return tuple(sorted({limit, *filter(math.isfinite, found)}))


def _range(comparison: Comparison, limit: Decimal, values: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    middle = median(values) if values else limit
    widest = max((abs(value - limit) for value in values), default=Decimal())
    reach = abs(middle - limit) or widest or abs(limit) / 2 or Decimal(1)
    low, high = limit - reach, limit + reach
    if values and comparison is Comparison.LTE:
        low = max(low, min(limit, *values))
    if values and comparison is Comparison.GTE:
        high = min(high, max(limit, *values))
    return low, high


def _round_points(low: Decimal, high: Decimal, most: int) -> list[Decimal]:
    """Multiples of the smallest of 1, 2, 2.5 or 5 × 10ⁿ that cover `low` to `high` with no more than `most`."""
    exponent = ((high - low) / most).adjusted()
    while True:
        for digits in _ROUND:
            step = digits.scaleb(exponent)
            first, last = math.floor(low / step), math.ceil(high / step)
            if last - first < most:
                return [number * step for number in range(first, last + 1)]
        exponent += 1
