"""The collector's own lines: how late a batch was sealed and what it holds, and what went wrong on the way. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from checker.analyzer.event_schema import EventSchema
from checker.analyzer.ingest import SEAL_EVENT
from checker.analyzer.lines import line_checker
from checker.errors import CannotDecide
from checker.model import Window
from checker.windows import iso

DELAYED, EXHAUSTED = "collector.delayed", "collector.retry_exhausted"


@dataclass(frozen=True, slots=True)
class Seal:
    """What a batch says of itself. `latency` is from the window's end to the seal; `incomplete` are sources."""

    window: Window
    phase: str
    latency: timedelta
    accepted: int
    duplicates: int
    quarantined: int
    errors_retryable: int
    errors_fatal: int
    incomplete: Sequence[str] = ()
    is_simulated: bool = False

    @property
    def at(self) -> datetime:
        """When it was sealed."""
        return self.window.end + self.latency


class OwnEvents:
    """Writes the collector's own events as lines that the event schema accepts."""

    def __init__(self, schema: EventSchema) -> None:
        self._check = line_checker(schema)
        self._known = schema.document.get("properties", {})

    def closing(self, seal: Seal, delay_limit: timedelta) -> bytes:
        """The last lines of a batch: that it was delayed, where it was, and its seal. Raises CannotDecide."""
        fields: dict[str, Any] = {
            "latency_ms": _ms(seal.latency),
            "batch_start": iso(seal.window.start),
            "accepted": seal.accepted,
            "duplicates": seal.duplicates,
            "quarantined": seal.quarantined,
            "errors_retryable": seal.errors_retryable,
            "errors_fatal": seal.errors_fatal,
        }
        if seal.incomplete:
            fields["incomplete"] = list(seal.incomplete)
        if seal.is_simulated and "simulated" in self._known:
            fields["simulated"] = True
        delay = {"delay_ms": _ms(seal.latency), "batch_start": iso(seal.window.start)}
        delayed = self.line(DELAYED, seal.at, seal.phase, delay) if seal.latency > delay_limit else b""
        return delayed + self.line(SEAL_EVENT, seal.at, seal.phase, fields)

    def exhausted(self, source: str, attempts: int, at: datetime, phase: str) -> bytes:
        """That a source was tried again for the last time. Raises CannotDecide."""
        return self.line(EXHAUSTED, at, phase, {"source": source, "attempts": attempts})

    def line(self, event: str, at: datetime, phase: str, fields: Mapping[str, Any]) -> bytes:
        """One event with its newline. Raises CannotDecide where the event schema refuses it."""
        version = self._known.get("schema_version", {}).get("const", 1)
        document = {"schema_version": version, "ts": iso(at), "event": event, "phase": phase, **fields}
        content = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        if fault := self._check(content, True):
            told = f"{fault.reason}: {fault.detail}"
            raise CannotDecide(f"the event schema refuses the collector's own {event} ({told}); describe it there")
        return content + b"\n"


def _ms(span: timedelta) -> int:
    return round(span / timedelta(milliseconds=1))
