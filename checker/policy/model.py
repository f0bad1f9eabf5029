"""The policy as frozen values: what `policy.yaml` says once it has been found to be sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from checker.model import Comparison, OnViolation, Threshold

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
class Slo:
    """One objective: the query that measures it and what each phase requires, in `unit`."""

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

    `outcome` is ok, warn, violation, no_verdict or rollback. In the phases of `automatic` it is sent without being
    asked for. `after_windows` counts the windows in a row that must have the outcome first.
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
    """How a phase is left backwards: the operation's argument list, who runs it, and the recovery that follows."""

    command: tuple[str, ...]
    mode: str
    max_rollbacks: int
    max_rollbacks_within: timedelta
    recovery_every: timedelta
    recovery_for: timedelta


@dataclass(frozen=True, slots=True)
class Collector:
    """The collector's cycle, the delay that it must report, and the pauses between its retries."""

    cycle: timedelta
    delay_limit: timedelta
    retry: tuple[timedelta, ...]


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
