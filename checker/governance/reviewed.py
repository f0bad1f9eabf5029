"""A review as a value: what changed, with which consequences, who must approve. What renderers are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from checker.governance.direction import Change, Direction
from checker.model import Comparison, Decision, Status, Verdict, Window


@dataclass(frozen=True, slots=True)
class Side:
    """A revision that is compared: its name as given (`origin/main`, `working tree`), commit and digests."""

    name: str
    commit: str | None
    governed_digest: str
    judging_digest: str


@dataclass(frozen=True, slots=True)
class RenderedDiff:
    """A notice's text before and after, for one phase and situation; `diff` is a unified diff."""

    notice: str
    phase: str
    situation: str
    diff: str


@dataclass(frozen=True, slots=True)
class Flip:
    """An SLO whose judgement of a window differs between base and head; values in `unit`."""

    phase: str
    window: Window
    slo: str
    unit: str
    before: Status
    after: Status
    value_before: float | None
    value_after: float | None
    limit_before: float | None
    limit_after: float | None


@dataclass(frozen=True, slots=True)
class VerdictFlip:
    """A window whose outcome or decision differs."""

    phase: str
    window: Window
    outcome_before: Status
    outcome_after: Status
    verdict_before: Verdict
    verdict_after: Verdict


@dataclass(frozen=True, slots=True)
class ValueChange:
    """The largest change of an SLO's value in any window, in `unit`; `windows` counts those whose value differs."""

    phase: str
    slo: str
    unit: str
    windows: int
    largest_at: Window
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Population:
    """How many rows of `events` a query's filters let in or kept out that they did not before; `why` where unknown."""

    query: str
    phase: str
    entered: int | None
    left: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class GatePass:
    """When a phase's gate first passed in the span, under base and under head; None where it did not."""

    phase: str
    before: datetime | None
    after: datetime | None


@dataclass(frozen=True, slots=True)
class Detection:
    """How one side met a past incident: the end of waiting for the first window that would have rolled back, if any."""

    caught_at: datetime | None
    late: timedelta | None


@dataclass(frozen=True, slots=True)
class IncidentOutcome:
    """A past incident, and how base and head meet it. `is_in_span` is False where the logs replayed do not cover it."""

    id: str
    title: str
    phase: str
    start: datetime
    end: datetime
    is_in_span: bool
    base: Detection
    head: Detection


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Rollbacks asked for outside every past incident, in runs of windows, under base and under head."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class PhaseReplay:
    """Both replays of a phase, a decision for each window, oldest first; `flips.beside` puts them beside each other.

    A side is empty where its policy has no such phase.
    """

    phase: str
    events_of: str
    base: tuple[Decision, ...]
    head: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Consequences:
    """What base and head decide over the same logs. `not_replayed` says by phase why it could not be replayed."""

    since: datetime
    until: datetime
    source: str
    events: int
    replays: tuple[PhaseReplay, ...]
    flips: tuple[Flip, ...]
    verdict_flips: tuple[VerdictFlip, ...]
    gates: tuple[GatePass, ...]
    values: tuple[ValueChange, ...]
    populations: tuple[Population, ...]
    incidents: tuple[IncidentOutcome, ...]
    false_alarms: FalseAlarms | None
    not_replayed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sight:
    """What an SLO can see in a phase: the smallest breach that it catches with the samples a window really has.

    `breach` and `pretends` are shares (0.05 is 5 %) of `of` ("saves past 1.8 s"); `samples` is the median of the
    windows that had any. None: nothing was measured, or it cannot be told, and `why` says so.
    """

    slo: str
    phase: str
    samples: int | None
    breach: float | None
    pretends: float | None
    of: str
    is_blind: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """How many windows come to which status with this limit."""

    limit: float
    counts: Mapping[Status, int]


@dataclass(frozen=True, slots=True)
class Sweep:
    """An SLO's outcomes over a range of limits, in one phase, with the values that head measures."""

    slo: str
    phase: str
    unit: str
    comparison: Comparison
    current: float
    points: tuple[SweepPoint, ...]


@dataclass(frozen=True, slots=True)
class Signed:
    """An approval that was found. `refused` says why it does not count; None where it does.

    `principals` are the names of policy/allowed_signers that its key stands for; empty where that is not known.
    """

    role: str
    name: str
    reason: str
    signed_at: datetime
    expires_at: datetime
    refused: str | None = None
    principals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Required:
    """What a rule asks for: `count` people of `role`, and why; `missing` are those still to come."""

    role: str
    count: int
    missing: int
    why: str


@dataclass(frozen=True, slots=True)
class Approvals:
    """Who must approve, who has, and whether that is enough. `digest` is what an approval is bound to."""

    digest: str
    required: tuple[Required, ...]
    present: tuple[Signed, ...]
    problems: tuple[str, ...]
    is_enough: bool


@dataclass(frozen=True, slots=True)
class Review:
    """A whole review. `not_looked_at` names what differs, or exists, and was not judged."""

    target: str
    title: str
    base: Side
    head: Side
    engine: str
    direction: Direction
    changes: tuple[Change, ...]
    templates: tuple[RenderedDiff, ...]
    consequences: Consequences | None
    sights: tuple[Sight, ...]
    sweeps: tuple[Sweep, ...]
    approvals: Approvals
    not_looked_at: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the change may be merged: it needs no approval, or has those it needs."""
        return not self.direction.needs_approval or self.approvals.is_enough
