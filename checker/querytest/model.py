"""Query tests as frozen values: cases with what they feed a query, what they expect, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from checker.analyzer.gate import GateAlert, GateLedgerRow, GateWindow
from checker.model import Status, Window

ANYTHING = object()  # what a row does not speak of


@dataclass(frozen=True, slots=True)
class ExpectedRow:
    """What is expected of one window, by the line that says so; `value`, `samples` and `decision` may be ANYTHING."""

    line: int
    label: str
    window: Window
    status: Status
    value: object
    samples: object
    quarantined: int
    decision: object


@dataclass(frozen=True, slots=True)
class ExpectedCriterion:
    """What is expected of one row of a gate; `since` and `reason` may be ANYTHING."""

    line: int
    criterion: str
    observed: object
    required: object
    passed: bool
    since: object
    reason: object


@dataclass(frozen=True, slots=True)
class CaseName:
    """Which case: the query's path below `queries/`, the case's name and phase, the file and line that hold it."""

    query: str
    name: str
    phase: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class SloCase:
    """A case of an SLO query: the bytes of each batch by its window's start, and the rows expected."""

    name: CaseName
    slo: str
    batches: Mapping[datetime, bytes]
    rows: tuple[ExpectedRow, ...]


@dataclass(frozen=True, slots=True)
class GateCase:
    """A case of a gate query: a history that ends at `until`, and the criteria expected."""

    name: CaseName
    windows: tuple[GateWindow, ...]
    alerts: tuple[GateAlert, ...]
    ledger: tuple[GateLedgerRow, ...]
    since: datetime
    until: datetime
    criteria: tuple[ExpectedCriterion, ...]
    passed: bool


Case = SloCase | GateCase


@dataclass(frozen=True, slots=True)
class Failure:
    """What is not as a case expects it, and the line that expects it."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case that was run, and what was not as expected."""

    case: CaseName
    failures: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of a project, and its queries that have none, both in the order of the queries' paths."""

    cases: tuple[Case, ...]
    untested: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a suite."""

    results: tuple[CaseResult, ...]
    untested: tuple[str, ...]

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """The cases that failed."""
        return tuple(result for result in self.results if not result.passed)
