"""What decides where a line of telemetry goes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from checker.analyzer.event_schema import EventSchema
from checker.analyzer.fast_path import FastPath, compile_fast_path
from checker.windows import EPOCH

FORMAT = 6  # raised when the cached form of a batch or a measurement changes


@dataclass(frozen=True, slots=True)
class IngestRules:
    """What decides where a line goes. `digest` stands for all of it in cache keys.

    Windows lie on a grid that `origin` is a point of; it is the epoch but for the checks of a recovery.
    """

    schema: EventSchema
    fast_path: FastPath | None
    window: timedelta
    lateness: timedelta
    max_late: timedelta
    with_payload: bool
    digest: str
    origin: timedelta = timedelta(0)

    def from_origin(self, start: datetime) -> IngestRules:
        """The same rules on the grid of windows that has one starting at `start`."""
        origin = (start - EPOCH) % self.window
        return replace(self, origin=origin, digest=f"{self.digest} {origin}") if origin else self


def ingest_rules(
    schema: EventSchema, window: timedelta, lateness: timedelta, max_late: timedelta, with_payload: bool, engine: str
) -> IngestRules:
    """The rules with their digest, which also stands for DuckDB's version and the cache's format."""
    parts = [FORMAT, engine, schema.digest, str(window), str(lateness), str(max_late), with_payload]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return IngestRules(schema, compile_fast_path(schema), window, lateness, max_late, with_payload, digest)
