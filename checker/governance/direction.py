"""Which way a change goes: words, their order, and what a change is. Values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Which way a change goes. `neutral` is proved, never guessed; what cannot be told is `unknown`."""

    NEUTRAL = "neutral"
    TIGHTENING = "tightening"
    LOOSENING = "loosening"
    UNKNOWN = "unknown"

    @property
    def severity(self) -> int:
        """0 for `neutral` up to 3 for `unknown`: the worst of a change's parts is the change's direction."""
        return _SEVERITY[self]

    @property
    def needs_approval(self) -> bool:
        """Whether people must approve it: `loosening` and `unknown` do."""
        return self in (Direction.LOOSENING, Direction.UNKNOWN)


_SEVERITY = {direction: rank for rank, direction in enumerate(Direction)}


def worst(directions: Iterable[Direction]) -> Direction:
    """The worst of `directions`; neutral where there is none."""
    return max(directions, key=lambda direction: direction.severity, default=Direction.NEUTRAL)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change stands: a file's path in the project, line and column from 1 (0: no line). `side` is its revision.

    `side` is `head`, or `base` for what head no longer has.
    """

    path: str
    line: int = 0
    column: int = 0
    side: str = "head"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs in meaning between base and head.

    `kind` is policy, query, template, event_schema, signers or engine. `subject` names the thing
    (`slos.save_latency_p95.threshold.C`, `queries/slo/failure_rate.sql`). `rule` is the stable id of the rule that told
    the direction (`threshold`, `query-tree`). `before` and `after` are worded with their units, None where the side has
    no such thing. `why` says in a sentence why it goes that way. `phases` are those that it concerns, in the order of
    the policy; empty means all of them. `notes` are the lines of a semantic diff; `diff` is a unified diff of
    normalised text.
    """

    kind: str
    subject: str
    rule: str
    direction: Direction
    before: str | None
    after: str | None
    why: str
    place: Place
    phases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    diff: str = ""
