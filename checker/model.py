"""Frozen values that the stages hand to each other. No behaviour beyond what a value knows of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """What a measurement came to when it met its threshold."""

    OK = "ok"
    WARN = "warn"
    NO_DATA = "no_data"
    ERROR = "error"
    VIOLATION = "violation"

    @property
    def severity(self) -> int:
        """0 for `ok` up to 4 for `violation`: the worst of a window is its outcome."""
        return _SEVERITY[self]

    @property
    def is_met(self) -> bool:
        """Whether the SLO is met: `ok` and `warn` are, nothing else is."""
        return self in (Status.OK, Status.WARN)


_SEVERITY = {status: rank for rank, status in enumerate(Status)}


class Comparison(StrEnum):
    """How a value is compared with its threshold."""

    LTE = "lte"
    GTE = "gte"
    EQ = "eq"

    @property
    def sign(self) -> str:
        """≤, ≥ or =."""
        return {"lte": "≤", "gte": "≥", "eq": "="}[self.value]


class Verdict(StrEnum):
    """The decision's word. `advance` means may: nothing advances by itself."""

    ADVANCE = "advance"
    HOLD = "hold"
    ROLLBACK = "rollback"


class OnViolation(StrEnum):
    """What a violation of an SLO leads to."""

    ROLLBACK = "rollback"
    HOLD = "hold"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Half-open span of time `[start, end)` in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a value must meet in one phase; `limit` and `warn_limit` are in the SLO's unit."""

    comparison: Comparison
    limit: float
    warn_limit: float | None = None

    def is_met_by(self, value: float) -> bool:
        """Whether `value` meets the limit; exactly at the limit is met, NaN never is."""
        match self.comparison:
            case Comparison.LTE:
                return value <= self.limit
            case Comparison.GTE:
                return value >= self.limit
            case Comparison.EQ:
                return value == self.limit

    def is_near(self, value: float) -> bool:
        """Whether `value` lies beyond the warning line; exactly on the line does not."""
        if self.warn_limit is None:
            return False
        if self.comparison is Comparison.GTE:
            return value < self.warn_limit
        return value > self.warn_limit

    def excess(self, value: float | None) -> float:
        """How far `value` lies from the limit, as a share of it; infinite where that cannot be said."""
        if value is None or self.limit == 0 or not math.isfinite(value):
            return math.inf
        return abs((value - self.limit) / self.limit)

    def judge(self, value: float | None, samples: int, min_samples: int) -> Status:
        """Judge one measurement, in the order of the contract: no data, not finite, violation, warning, ok."""
        if samples < min_samples or value is None:
            return Status.NO_DATA
        if not math.isfinite(value):
            return Status.ERROR
        if not self.is_met_by(value):
            return Status.VIOLATION
        return Status.WARN if self.is_near(value) else Status.OK


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an SLO query measured for one window, in the SLO's unit; `error` says why it could not."""

    slo: str
    window_start: datetime
    value: float | None
    samples: int
    evidence: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A measurement held against its threshold. `recorded` marks one that the ledger holds against today's logs."""

    slo: str
    window: Window
    value: float | None
    samples: int
    threshold: Threshold
    status: Status
    reason: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Criterion:
    """One row of a gate: what was observed, what is required, and whether it passed."""

    criterion: str
    observed: float | None
    required: float | None
    passed: bool
    since: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate query said. Passed only where it ran, returned rows, and every row passed."""

    name: str
    query: str
    criteria: tuple[Criterion, ...] = ()
    error: str | None = None
    earliest_pass: datetime | None = None

    @property
    def passed(self) -> bool:
        """Whether every criterion passed; a gate without a row does not pass."""
        return self.error is None and bool(self.criteria) and all(row.passed for row in self.criteria)


@dataclass(frozen=True, slots=True)
class InputCounts:
    """Where the lines of a window went. `lines` are those of the window's own batch.

    `batches` hold events of the window; `duplicates` are its dropped copies; `too_late` and `quarantined` lines
    arrived in its own batch.
    """

    batches: int = 0
    lines: int = 0
    events: int = 0
    duplicates: int = 0
    too_late: int = 0
    quarantined: int = 0
    quarantined_by_reason: Mapping[str, int] = field(default_factory=dict)

    @property
    def quarantined_share(self) -> float:
        """Broken lines as a share of the lines that came in, 0 where none came."""
        return self.quarantined / self.lines if self.lines else 0.0


@dataclass(frozen=True, slots=True)
class Notice:
    """A rendered message. `automatic` says whether it is sent without being asked for."""

    id: str
    channel: str
    text: str
    automatic: bool
    phase: str
    window: Window


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one check, with every judgement and gate criterion behind it.

    `window` is the one that decides: the worst of the judged ones, the newest of equals. `judgements` and `inputs` are
    of that window. `judged` are all windows that this decision covers, oldest first. `phase` lends the thresholds,
    `events_of` the events; they differ only in a what-if.
    """

    target: str
    title: str
    phase: str
    events_of: str
    audience: str
    as_of: datetime
    window: Window
    outcome: Status
    verdict: Verdict
    rollback_required: bool
    rollback_to: str | None
    command: tuple[str, ...] | None
    judgements: tuple[Judgement, ...]
    gate: GateResult
    inputs: InputCounts
    judged: tuple[Window, ...]
    next_phase: str
    reasons: tuple[str, ...] = ()
    approvals_missing: tuple[str, ...] = ()
    last_break: Judgement | None = None
    what_if: bool = False
    incident: str | None = None

    @property
    def violated(self) -> tuple[Judgement, ...]:
        """Judgements of the deciding window that are violations, the furthest past its threshold first."""
        rows = (row for row in self.judgements if row.status is Status.VIOLATION)
        return tuple(sorted(rows, key=lambda row: -row.threshold.excess(row.value)))


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a decision was made from: digests (SHA-256, hex) and DuckDB's version."""

    governed_digest: str
    judging_digest: str
    queries: Mapping[str, str]
    logs_digest: str
    engine: str


@dataclass(frozen=True, slots=True)
class Covered:
    """One window that a decision covers, as the ledger is to keep it.

    `violations` are the SLOs that it violates, whatever that leads to. `inputs_digest` stands for the batches that it
    was measured from. `exhausted` says that a source of the collector's was given up in it.
    """

    window: Window
    outcome: Status
    violations: tuple[str, ...]
    inputs_digest: str
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A decision with its provenance, the windows that it covers, oldest first, and the notices that it asks for."""

    decision: Decision
    provenance: Provenance
    notices: tuple[Notice, ...] = ()
    covered: tuple[Covered, ...] = ()
