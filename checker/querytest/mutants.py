"""Mutants of the governed files as frozen values, and what the fixtures made of each. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from checker.analyzer.queries import Query
from checker.policy.model import Policy
from checker.querytest.model import Case, CaseName, SloCase


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mutant differs: the file and line, and what stands there, as the query spells it or by its policy key."""

    file: str
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """The governed files with one thing changed: a query, or the policy.

    `told` is what was done; `hint` completes "a case that …". It may show in cases of `queries` in `phases`, and of
    `slo` if one is named; with `is_of_broken_lines` in those alone that expect some.
    """

    place: Place
    told: str
    hint: str
    queries: frozenset[str]
    phases: frozenset[str]
    slo: str | None
    change: Query | Policy
    is_of_broken_lines: bool = False

    def touches(self, case: Case) -> bool:
        """Whether the case could notice it."""
        if case.name.query not in self.queries or case.name.phase not in self.phases:
            return False
        if not isinstance(case, SloCase):
            return True
        has_broken = any(row.quarantined for row in case.rows)
        return self.slo in (None, case.slo) and (has_broken or not self.is_of_broken_lines)


class Fate(StrEnum):
    """What became of a mutant."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the fixtures made of a mutant; `case` is the one that stopped it, `message` what was said of it there."""

    mutant: Mutant
    fate: Fate
    case: CaseName | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class MutationReport:
    """What became of every mutant, in the order of their places. Those refused are not in the share."""

    outcomes: tuple[Outcome, ...]

    def of(self, fate: Fate) -> tuple[Outcome, ...]:
        """The outcomes with this fate."""
        return tuple(outcome for outcome in self.outcomes if outcome.fate is fate)

    @property
    def share(self) -> float | None:
        """The share of mutants caught, in percent; None where no mutant ran."""
        return share_of(self.outcomes)

    def reaches(self, percent: float) -> bool:
        """Whether at least `percent` of the mutants were caught; never where none ran."""
        return self.share is not None and self.share >= percent


def share_of(outcomes: Iterable[Outcome]) -> float | None:
    """The share caught of those that ran, in percent; None where none did."""
    ran = [outcome.fate for outcome in outcomes if outcome.fate is not Fate.REFUSED]
    return 100 * ran.count(Fate.CAUGHT) / len(ran) if ran else None
