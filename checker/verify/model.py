"""What a verification comes to: six steps, each with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from checker.analyzer.batches import LogFolder
from checker.analyzer.governed import Governed
from checker.model import Window
from checker.pipeline import Past, Request
from checker.windows import windows_between


class Result(StrEnum):
    """What became of a step. `not applicable` is no pass: nothing was there to look at."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was looked at: in words, and as values for JSON. A `fault` makes its step fail."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    is_fault: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the checklist. `missing` says what was not there, where nothing could be looked at."""

    name: str
    title: str
    evidence: tuple[Evidence, ...] = ()
    missing: str = ""

    @property
    def result(self) -> Result:
        """Failed by one fault; passed where something was looked at and nothing is missing."""
        if any(row.is_fault for row in self.evidence):
            return Result.FAILED
        return Result.NOT_APPLICABLE if self.missing or not self.evidence else Result.PASSED


@dataclass(frozen=True, slots=True)
class Look:
    """What a verification looks at: the closed windows from `first` to `newest`, and the folder of reports."""

    governed: Governed
    request: Request
    past: Past
    folder: LogFolder
    reports: Path
    first: datetime
    newest: Window

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows, oldest first."""
        return tuple(windows_between(self.first, self.newest.end, self.governed.policy.window))


MUST_PASS = ("logs", "dry_run", "dashboard")


def exit_code(steps: Iterable[Step]) -> int:
    """1 where a step failed; 3 where logs, verdict or dashboard could not be looked at; else 0."""
    results = {step.name: step.result for step in steps}
    if Result.FAILED in results.values():
        return 1
    return 0 if all(results.get(name) is Result.PASSED for name in MUST_PASS) else 3
