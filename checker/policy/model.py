"""The policy as frozen values: what `policy.yaml` says once it has been found to be sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from checker.model import Comparison, OnViolation, Threshold
from checker.policy.collecting import Collector
from checker.policy.governing import Governance

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
OFF = "off"
COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of exposure. `approvers` are the roles that decide the move out of it."""

    name: str
    title: str
    audience: str
    duty: str
    approvers: tuple[str, ...]
    gate: str


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """How an SLO's value is come to a second time; see `cross_check` of the policy's schema.

    `how` is quantile, largest, smallest, mean (of `field`), share (of `events` in `among`) or count_per_window (over
    `over`, else the window alone). The result times `scale` is in the SLO's unit.
    """

    how: str
    events: frozenset[str]
    field: str = ""
    level: float = 0.0
    among: frozenset[str] = frozenset()
    over: timedelta | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Companion:
    """Events that should not be, whose two fields should lie no further apart than `limit_field` of `limit_event`."""

    event: str
    between: tuple[str, str]
    limit_event: str
    limit_field: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` looks at: how far back, and how far two values may lie apart, as a share."""

    span: timedelta = timedelta(hours=2)
    agree_within: float = 0.05


@dataclass(frozen=True, slots=True)
class Slo:
    """One objective: the query that measures it and what each phase requires, in `unit`.

    `cross_check` and `companion` are for `verify` alone.
    """

    name: str
    title: str
    query: str
    unit: str
    comparison: Comparison
    thresholds: Mapping[str, Threshold]
    min_samples: int
    no_data_is_violation: bool
    on_violation: OnViolation
    note: str
    cross_check: CrossCheck | None = None
    companion: Companion | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """The success condition for leaving a phase: a query and its parameters."""

    name: str
    title: str
    query: str
    parameters: Mapping[str, int | float | str | bool]


@dataclass(frozen=True, slots=True)
class NoticeRule:
    """Which outcome, in which phases, is worded by which template and sent to which channel.

    `outcome` is ok, warn, violation, no_verdict, rollback or recovered. In the phases of `automatic` it is sent without
    being asked for. `after_windows` counts the windows in a row that must have the outcome first.
    """

    id: str
    channel: str
    outcome: str
    phases: tuple[str, ...]
    automatic: tuple[str, ...]
    repeat: str
    after_windows: int
    template: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """How a phase is left backwards: the operation's argument list, who runs it, and the recovery that follows.

    An attempt that takes longer than `deadline` is stopped; after a failing exit it is made again, `tries` in all.
    """

    command: tuple[str, ...]
    mode: str
    max_rollbacks: int
    max_rollbacks_within: timedelta
    recovery_every: timedelta
    recovery_for: timedelta
    deadline: timedelta = timedelta(minutes=5)
    tries: int = 4


@dataclass(frozen=True, slots=True)
class Freeze:
    """When nothing advances: from `start` up to `end`, or on `days` of every week (0 for Monday, UTC)."""

    reason: str
    start: datetime | None = None
    end: datetime | None = None
    days: frozenset[int] = frozenset()

    def holds_at(self, instant: datetime) -> bool:
        """Whether `instant` (UTC) lies in it."""
        if self.start is None or self.end is None:
            return instant.weekday() in self.days
        return self.start <= instant < self.end

    @property
    def told(self) -> str:
        """`until 2027-01-04 06:00 UTC: end of the year`, `on Sat, Sun: …`."""
        if self.end is not None:
            return f"until {self.end:%Y-%m-%d %H:%M} UTC: {self.reason}"
        return f"on {', '.join(WEEKDAYS[day] for day in sorted(self.days))} (UTC): {self.reason}"


MAX_ROLLBACK_DEADLINE = timedelta(hours=1)
MAX_SOURCE_DEADLINE = timedelta(minutes=5)
MAX_QUERY_DEADLINE = timedelta(minutes=2)
MAX_MEASURING_DEADLINE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """What measuring may take: one query's time, the time of all queries of one command, one query's memory (MiB).

    The caps are part of the code and of the schema, because a stranger may write the policy.
    """

    query_deadline: timedelta = timedelta(seconds=30)
    measuring_deadline: timedelta = timedelta(minutes=10)
    query_memory_mb: int = 256


@dataclass(frozen=True, slots=True)
class Policy:
    """A sound policy. `path` is the file, `root` the project (the parent of the file's folder)."""

    path: Path
    root: Path
    target: str
    title: str
    window: timedelta
    lateness: timedelta
    max_late: timedelta
    max_quarantined: float
    event_schema: str
    phases: tuple[Phase, ...]
    slos: Mapping[str, Slo]
    gates: Mapping[str, Gate]
    notices: Mapping[str, NoticeRule]
    rollback: Rollback
    collector: Collector
    allow_looser: str | None
    limits: Limits = Limits()
    freezes: tuple[Freeze, ...] = ()
    redact: tuple[str, ...] = ()
    verification: Verification = Verification()
    governance: Governance = field(default_factory=Governance)

    def freeze_at(self, instant: datetime) -> Freeze | None:
        """The first freeze that holds at `instant` (UTC), None where none does."""
        return next((freeze for freeze in self.freezes if freeze.holds_at(instant)), None)

    @property
    def phase_names(self) -> tuple[str, ...]:
        """Names of the phases, in the order of exposure."""
        return tuple(phase.name for phase in self.phases)

    def phase(self, name: str) -> Phase:
        """The phase called `name`; KeyError where there is none."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise KeyError(name)

    def gate_of(self, phase: str) -> Gate:
        """The gate for leaving `phase`."""
        return self.gates[self.phase(phase).gate]

    def phase_before(self, name: str) -> str:
        """The phase before `name`; `off` before the first."""
        position = self.phase_names.index(name)
        return self.phase_names[position - 1] if position else OFF

    def phase_after(self, name: str) -> str:
        """The phase after `name`; `complete` after the last."""
        position = self.phase_names.index(name) + 1
        return self.phase_names[position] if position < len(self.phases) else COMPLETE

    @property
    def queries_root(self) -> Path:
        """The folder that query paths are relative to."""
        return self.root / "queries"

    @property
    def templates_root(self) -> Path:
        """The folder that template paths are relative to."""
        return self.path.parent / "templates"
