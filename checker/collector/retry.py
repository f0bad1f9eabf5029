"""When a source that failed is tried again. Values alone: the cycle reads sources, and keeps these on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from checker.windows import iso, parse_iso


@dataclass(frozen=True, slots=True)
class Failing:
    """A source that could not be read: first at `since`, last at `last`, and tried again `retries` times between.

    `is_exhausted` says that the last retry was used up; `is_told` that the collector said so.
    """

    source: str
    since: datetime
    last: datetime
    reason: str
    retries: int = 0
    is_exhausted: bool = False
    is_told: bool = False

    def next_at(self, pauses: Sequence[timedelta]) -> datetime | None:
        """When it is due to be tried again; None where it has been, often enough."""
        return None if self.is_exhausted or self.retries >= len(pauses) else self.last + pauses[self.retries]


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A source that could not be read after its last retry, at `at`: `attempts` is how often it was tried again."""

    source: str
    at: datetime
    attempts: int
    reason: str = ""

    @property
    def told(self) -> str:
        """In words."""
        return f"source {self.source} given up after {self.attempts} retries"


def failed_in_cycle(known: Failing | None, source: str, at: datetime, reason: str) -> Failing:
    """What is known after a cycle could not read it. One that is being tried again goes on being so."""
    if known is None or (known.is_exhausted and known.is_told):
        return Failing(source, at, at, reason)
    return replace(known, reason=reason)


def failed_again(known: Failing, at: datetime, reason: str, pauses: Sequence[timedelta]) -> Failing:
    """What is known after a retry could not read it either."""
    retries = known.retries + 1
    return replace(known, last=at, reason=reason, retries=retries, is_exhausted=retries >= len(pauses))


def failing_document(failing: Mapping[str, Failing]) -> dict[str, Any]:
    """As JSON, by source."""
    return {
        name: {
            "since": iso(item.since),
            "last": iso(item.last),
            "reason": item.reason,
            "retries": item.retries,
            "is_exhausted": item.is_exhausted,
            "is_told": item.is_told,
        }
        for name, item in sorted(failing.items())
    }


def failing_of(document: Mapping[str, Any]) -> dict[str, Failing]:
    """What `failing_document` gave. Raises ValueError, TypeError, KeyError for anything else."""
    return {
        name: Failing(name, parse_iso(row.pop("since")), parse_iso(row.pop("last")), **row)
        for name, row in document.items()
    }
