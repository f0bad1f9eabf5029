"""Who is exposed, as the events tell it: each phase's share, and whether a phase that was left dies away. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from checker.policy.collecting import Exposure
from checker.policy.model import Phase

_PERCENTAGE = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]+)?)\s*%")


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
        return rule is not None and self.wanted is not None and abs(self.observed - self.wanted) > rule.within

    @property
    def told(self) -> str:
        """In words."""
        wanted = "" if self.wanted is None else f", the policy says {100 * self.wanted:g} %"
        return f"{100 * self.observed:.3g} % of the events carry {self.phase}{wanted}"


def audience_share(phase: Phase) -> float | None:
    """The share of 1 that the phase's audience begins with (`30 % of users`), None where it names no percentage."""
    match = _PERCENTAGE.match(phase.audience)
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
        """In words: `C since its rollback: 412 → 31 → 0 events`."""
        return f"{self.phase} since its rollback: {' → '.join(f'{count:,}' for _, count in self.counts)} events"


def dying_away(
    phase: str, since: datetime, by_phase: Mapping[datetime, Mapping[str, int]], window: timedelta
) -> DyingAway:
    """How the events of `phase` died away in the windows that ended after `since`."""
    counts = tuple((start, found.get(phase, 0)) for start, found in sorted(by_phase.items()) if start + window > since)
    return DyingAway(phase, since, counts)
