"""Who is exposed, as the events tell it: each phase's share, and whether a phase that was left dies away. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from checker.policy.collecting import Exposure
from checker.policy.model import Phase
from checker.units import number

_PERCENTAGE = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]+)?)\s*%")
_FLOATING = 1e-9  # 0.4 lies 0.1 from 0.3, and floating point says 0.10000000000000003
_FIRST_TOLD, _LAST_TOLD = 3, 4  # counts in words: a day has 96, and its quiet windows are told as one


@dataclass(frozen=True, slots=True)
class Share:
    """The share of a window's events that carry `phase`; `wanted` is the policy's, None where it names none.

    Both are of 1.
    """

    phase: str
    observed: float
    wanted: float | None

    def is_off(self, rule: Exposure | None) -> bool:
        """Whether it lies further from what is wanted than the policy allows; never where the policy does not say."""
        if rule is None or self.wanted is None:
            return False
        return abs(self.observed - self.wanted) - rule.within > _FLOATING

    @property
    def told(self) -> str:
        """In words."""
        if self.wanted is None:
            return f"{number(100 * self.observed)} % of the events carry {self.phase}"
        share, wanted = number(100 * self.observed, [100 * self.wanted]), number(100 * self.wanted)
        return f"{share} % of the events carry {self.phase}, the policy says {wanted} %"


def audience_share(phase: Phase) -> float | None:
    """The share of 1 that the phase's audience begins with (`30 % of users`), None where it names no percentage."""
    return share_in(phase.audience)


def share_in(audience: str) -> float | None:
    """The share of 1 that the text begins with, None where it names no percentage."""
    match = _PERCENTAGE.match(audience)
    return float(match[1]) / 100 if match and float(match[1]) <= 100 else None


def share_of(phase: Phase, by_phase: Mapping[str, int]) -> Share | None:
    """The phase's share of a window's events, None where there are none."""
    events = sum(by_phase.values())
    return Share(phase.name, by_phase.get(phase.name, 0) / events, audience_share(phase)) if events else None


@dataclass(frozen=True, slots=True)
class DyingAway:
    """Events of the phase that was left at `since`, by window, oldest first."""

    phase: str
    since: datetime
    counts: tuple[tuple[datetime, int], ...]

    def still_there(self, rule: Exposure | None) -> datetime | None:
        """The newest window that should be quiet and is not; None where all are, or the policy does not say."""
        quiet_from = self.since + rule.gone_after if rule else None
        loud = [start for start, count in self.counts if count and quiet_from is not None and start >= quiet_from]
        return max(loud, default=None)

    @property
    def told(self) -> str:
        """In words: `C since its rollback: 412 → 31 → 0 events`, of many windows the first and the last."""
        runs = [(count, list(run)) for count, run in groupby(count for _, count in self.counts)]
        told = [f"{count:,}" for count, run in runs for _ in (run if count else run[:1])]
        if len(told) > _FIRST_TOLD + _LAST_TOLD:
            told = [*told[:_FIRST_TOLD], "…", *told[-_LAST_TOLD:]]
        return f"{self.phase} since its rollback: {' → '.join(told)} events"


def dying_away(
    phase: str, since: datetime, by_phase: Mapping[datetime, Mapping[str, int]], window: timedelta
) -> DyingAway:
    """How the events of `phase` died away in the windows that ended after `since`."""
    counts = tuple((start, found.get(phase, 0)) for start, found in sorted(by_phase.items()) if start + window > since)
    return DyingAway(phase, since, counts)
