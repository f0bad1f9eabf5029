"""Rules and arithmetic of thresholds: one per phase, none looser than an earlier one, each with its warning line."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from checker.model import Comparison
from checker.policy.cursor import Cursor, PhaseNames, phase_names, unknown
from checker.schemas import Fault, listed, nearest, shown

DEFAULT_WARN_AT = 0.8
_WARNING_KEY_OF = {Comparison.LTE: "warn_at", Comparison.GTE: "warn_below", Comparison.EQ: None}


def warn_limit_at(limit: float, share: float) -> float:
    """`limit` × `share` in decimal, so that the line is where the policy's digits put it (0.7 × 0.8 is 0.56)."""
    return float(Decimal(str(limit)) * Decimal(str(share)))


def threshold_faults(policy: Cursor) -> Iterator[Fault]:
    """What is wrong with the thresholds and warning lines of every SLO."""
    phases = phase_names(policy)
    may_be_looser = policy.at("allow_looser").value is not None
    for slo in policy.at("slos").entries.values():
        yield from per_phase_faults(slo.at("threshold"), phases)
        comparison = _comparison(slo)
        if comparison is None:
            continue
        if not may_be_looser:
            yield from _looser_faults(slo.at("threshold"), phases, comparison)
        yield from _warning_faults(slo, phases, comparison)


def _comparison(slo: Cursor) -> Comparison | None:
    text = slo.at("comparison").text
    return Comparison(text) if text in tuple(Comparison) else None


def per_phase_faults(mapping: Cursor, phases: PhaseNames) -> Iterator[Fault]:
    """A phase without a value, and a value for a phase that there is not."""
    if not mapping.entries:
        return
    for name in phases.names:
        if name not in mapping.entries:
            yield mapping.key_fault(f"no value for phase {name!r} (phases: {listed(phases.names)})")
    for name, entry in mapping.entries.items():
        if phases.all_known and name not in phases.names:
            yield entry.key_fault(unknown("phase", name, phases.names, nearest(name, phases.names)))


def _looser_faults(threshold: Cursor, phases: PhaseNames, comparison: Comparison) -> Iterator[Fault]:
    limits = [(name, threshold.at(name)) for name in phases.names if threshold.at(name).number is not None]
    for (before, earlier), (_, later) in pairwise(limits):
        if _is_looser(later.value, earlier.value, comparison):
            found = "differs from" if comparison is Comparison.EQ else "is looser than"
            yield later.fault(
                f"{shown(later.value)} {found} {shown(earlier.value)} in phase {before!r}; "
                "change it, or give the reason for it in 'allow_looser'"
            )


def _is_looser(later: float, earlier: float, comparison: Comparison) -> bool:
    match comparison:
        case Comparison.LTE:
            return later > earlier
        case Comparison.GTE:
            return later < earlier
        case Comparison.EQ:
            return later != earlier


def _warning_faults(slo: Cursor, phases: PhaseNames, comparison: Comparison) -> Iterator[Fault]:
    right = _WARNING_KEY_OF[comparison]
    for key in ("warn_at", "warn_below"):
        if key != right and key in slo.entries:
            instead = f"write '{right}'" if right else "remove it: an exact value has no warning"
            yield slo.at(key).key_fault(f"does not go with comparison '{comparison}'; {instead}")
    if comparison is Comparison.LTE:
        yield from _share_faults(slo, phases)
    if comparison is Comparison.GTE:
        yield from _warn_below_faults(slo, phases)


def _share_faults(slo: Cursor, phases: PhaseNames) -> Iterator[Fault]:
    share = slo.at("warn_at").number
    if share is not None and share == 1:
        return
    for name in phases.names:
        limit = slo.at("threshold", name)
        if limit.number is not None and limit.number < 0:
            yield limit.fault(f"a share of {shown(limit.value)} lies past it; write 'warn_at: 1' (no warning)")


def _warn_below_faults(slo: Cursor, phases: PhaseNames) -> Iterator[Fault]:
    warn_below = slo.at("warn_below")
    if "warn_below" not in slo.entries:
        yield slo.key_fault(
            "'warn_below' is missing; gte needs the value below which it warns (the threshold itself: no warning)"
        )
    yield from per_phase_faults(warn_below, phases)
    for name in phases.names:
        line = warn_below if warn_below.number is not None else warn_below.at(name)
        limit = slo.at("threshold", name).number
        if limit is not None and line.number is not None and line.number < limit:
            yield line.fault(
                f"{shown(line.value)} is below the threshold {shown(limit)} of phase {name!r}; warn earlier"
            )
