"""Whether a gate can see anything: the smallest breach that an SLO catches with the samples a window has. Pure.

A P95 pretends to catch 5 % of slow saves. Of twelve saves two must be slow before it is surely past its limit, and only
where a third of all saves are slow are there two among twelve nearly always.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median_low

from checker.governance.binomial import smallest_share
from checker.governance.reviewed import Sight
from checker.model import Comparison, Threshold
from checker.policy.model import CrossCheck, Policy, Slo
from checker.units import counted, limit_text, number

_EXACT = "a value that must be met exactly is hardly ever met"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A threshold, and the number of samples that a window has to be judged by."""

    check: CrossCheck
    threshold: Threshold
    unit: str
    size: int

    @property
    def names(self) -> str:
        """The events that are looked at."""
        return " or ".join(sorted(self.check.events))

    @property
    def above(self) -> str:
        """What lies above the limit."""
        return f"{self.names} past {limit_text(self.threshold.limit, self.unit)}"

    @property
    def below(self) -> str:
        """What lies below the limit."""
        return f"{self.names} below {limit_text(self.threshold.limit, self.unit)}"


@dataclass(frozen=True, slots=True)
class _Reading:
    """How many samples of a kind (`of`) it takes to be past a threshold; None where no number of them tells.

    `pretends` is the share of them that the threshold lets pass, 0 where it lets none pass.
    """

    of: str
    needed: int | None = None
    pretends: float | None = None
    why: str = ""


def sights(
    policy: Policy, samples: Mapping[tuple[str, str], Sequence[int]], confidence: float, blind_past: float
) -> tuple[Sight, ...]:
    """What every SLO sees in every phase, in the policy's order of both.

    `samples` are those of each window, by (phase, SLO). A breach is caught where a window shows it with `confidence`
    (above 0, below 1); an SLO is blind where that takes more than `blind_past` times what its threshold pretends, or
    where the samples never suffice for a violation.
    """
    return tuple(
        _sight(slo, phase, [count for count in samples.get((phase, slo.name), ()) if count > 0], confidence, blind_past)
        for slo in policy.slos.values()
        for phase in policy.phase_names
    )


def _sight(slo: Slo, phase: str, samples: Sequence[int], confidence: float, blind_past: float) -> Sight:
    size = median_low(samples) if samples else None
    if slo.cross_check is None:
        why = "the policy does not say what the value is made of; give the SLO a 'cross_check'"
        return Sight(slo.name, phase, size, None, None, "", False, why)
    reading = _READERS[slo.cross_check.how](_Asked(slo.cross_check, slo.thresholds[phase], slo.unit, size or 1))
    breach, is_blind, why = None, False, "no window had a sample"
    if size is not None:
        breach, is_blind, why = _seen(slo, size, reading, confidence, blind_past)
    return Sight(slo.name, phase, size, breach, reading.pretends, reading.of, is_blind, why)


def _seen(
    slo: Slo, size: int, reading: _Reading, confidence: float, blind_past: float
) -> tuple[float | None, bool, str]:
    """The breach that windows of `size` samples catch, whether that is blind, and why."""
    if size < slo.min_samples:
        why = f"a window has {counted(size, 'sample')}, {slo.min_samples:,} are needed for a verdict"
        return None, not slo.no_data_is_violation, why
    if reading.needed is None:
        return None, False, reading.why
    if reading.needed > size:
        return None, True, "nothing lies past this threshold"
    breach = smallest_share(reading.needed, size, confidence)
    if not reading.pretends:  # of nothing there is no multiple, and whatever a window holds is seen
        return breach, False, "a single one in a window is seen"
    return breach, breach > blind_past * reading.pretends, f"takes {reading.needed:,} of {size:,}"


def _share(asked: _Asked) -> _Reading:
    """The smallest count with count ÷ size × scale past the limit, in the policy's decimals; for gte of the others."""
    comparison, allowed = asked.threshold.comparison, _share_of(asked.threshold, asked.check)
    names = f"events that are {asked.names}"
    if comparison is Comparison.EQ and allowed not in (0, 1):
        return _Reading(names, why=_EXACT)
    is_upward = comparison is Comparison.LTE or (comparison is Comparison.EQ and allowed == 0)
    room = allowed if is_upward else 1 - allowed
    of = names if is_upward else f"events that are not {asked.names}"
    return _Reading(of, max(0, math.floor(room * asked.size) + 1), min(max(float(room), 0.0), 1.0))


def _share_of(threshold: Threshold, check: CrossCheck) -> Fraction:
    return Fraction(str(threshold.limit)) / Fraction(str(check.scale))


def _quantile(asked: _Asked) -> _Reading:
    """How many values must lie past the limit for the quantile to be surely past it, however little they are.

    With linear interpolation (type 7 of Hyndman and Fan, The American Statistician 50, 1996; NumPy's default,
    `quantile_cont`) it lies between the sorted values floor(h) and ceil(h), counted from 0, for h = (size - 1) × level:
    it is past the limit where both are.
    """
    place = (asked.size - 1) * asked.check.level  # in floating point, as DuckDB and NumPy have it
    match asked.threshold.comparison:
        case Comparison.LTE:
            return _Reading(asked.above, asked.size - math.floor(place), float(1 - Fraction(str(asked.check.level))))
        case Comparison.GTE:
            return _Reading(asked.below, math.ceil(place) + 1, asked.check.level)
        case Comparison.EQ:
            return _Reading(asked.names, why=_EXACT)


def _largest(asked: _Asked) -> _Reading:
    """One above is enough; for a largest value below its limit all must be."""
    if asked.threshold.comparison is Comparison.GTE:
        return _Reading(asked.below, asked.size, 1.0)
    return _Reading(asked.above, 1, 0.0)


def _smallest(asked: _Asked) -> _Reading:
    """One below is enough; for a smallest value above its limit all must be."""
    if asked.threshold.comparison is Comparison.LTE:
        return _Reading(asked.above, asked.size, 1.0)
    return _Reading(asked.below, 1, 0.0)


def _mean(asked: _Asked) -> _Reading:
    return _Reading(asked.names, why="a mean is moved by how far values lie, not by how many do")


def _count(asked: _Asked) -> _Reading:
    """How many events are a violation: they are counted, not drawn from others, so that they are a share of nothing.

    The samples are the windows of a span that have a batch; their mean × scale meets a limit of lte up to
    limit × size ÷ scale events.
    """
    most = _share_of(asked.threshold, asked.check) * asked.size
    match asked.threshold.comparison:
        case Comparison.LTE:
            events = f"{math.floor(most) + 1:,} or more"
        case Comparison.GTE:
            events = f"fewer than {math.ceil(most):,}"
        case Comparison.EQ:
            events = f"any number but {number(float(most))}"
    why = f"each one is counted, none is missed: a violation is {events} in {counted(asked.size, 'window')}"
    return _Reading(asked.names, why=why)


_READERS: dict[str, Callable[[_Asked], _Reading]] = {
    "share": _share,
    "quantile": _quantile,
    "largest": _largest,
    "smallest": _smallest,
    "mean": _mean,
    "count_per_window": _count,
}
