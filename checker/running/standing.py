"""What the loop knows of itself, for /healthz, /metrics and people: one JSON file, written whole by the supervisor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from checker.running.process import Message
from checker.whole_file import write_whole
from checker.windows import iso_or_none, parse_iso

FILE = "standing.json"
_TIMES = ("begun_at", "written_at", "sealed", "judged", "verdict_at", "silent_since")


@dataclass(slots=True)
class Standing:
    """The loop as its supervisor sees it. Counts are since it began; `sealed` and `judged` are windows' starts.

    `lag_s` is the age of the oldest window that should have its batch and has none. `parts` are what runs, and how
    often each was started; `faults` are the newest of each kind.
    """

    target: str
    window_s: float
    begun_at: datetime
    written_at: datetime | None = None
    sealed: datetime | None = None
    judged: datetime | None = None
    verdict_at: datetime | None = None
    silent_since: datetime | None = None
    lag_s: float = 0.0
    latency_s: float | None = None
    cycles: int = 0
    slices: int = 0
    passes: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    outbox: int = 0
    governed_digest: str = ""
    policy_refused: str = ""
    last_pass: dict[str, Any] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def hear(self, name: str, message: Message, now: datetime) -> None:
        """Take in what a part said."""
        kind = message.get("kind")
        if kind == "sealed":
            self._sealed(message)
        elif kind == "slice":
            self.slices += 1
        elif kind == "fault":
            self.faults[name] = message["told"]
        elif kind == "judged":
            self._judged(message, now)

    def _sealed(self, message: Message) -> None:
        self.sealed = parse_iso(message["window"])
        self.latency_s = message["latency_s"]
        self.cycles += 1
        self.accepted += message["accepted"]
        self.duplicates += message["duplicates"]
        self.quarantined += message["quarantined"]
        self.failing = dict(message["failures"])
        self.faults.pop("collector", None)

    def _judged(self, message: Message, now: datetime) -> None:
        self.passes += 1
        self.outbox = message.get("outbox", self.outbox)
        self.faults.pop("pass", None)
        if message["faults"]:
            self.faults["pass"] = "; ".join(message["faults"])
        if "outcome" in message:
            self.last_pass = {key: value for key, value in message.items() if key not in ("kind", "told", "faults")}
            self.judged = parse_iso(message["window"])
        if message.get("is_verdict"):
            self.verdict_at = now

    @property
    def troubles(self) -> list[str]:
        """What is not as it should be, in words; empty for a healthy loop."""
        found = [f"{name}: {told}" for name, told in sorted(self.faults.items())]
        found += [f"source {name}: {why}" for name, why in sorted(self.failing.items())]
        if self.lag_s > 2 * self.window_s:
            found.append(f"the collector is {timedelta(seconds=round(self.lag_s))} behind")
        if self.policy_refused:
            found.append(f"the policy on the disk is refused: {self.policy_refused}")
        if self.silent_since is not None:
            found.append(f"no verdict since {iso_or_none(self.silent_since)}")
        return found

    @property
    def is_healthy(self) -> bool:
        """Whether it collects, and comes to verdicts; a source that fails, or a refused policy, is told and no more."""
        return self.lag_s <= 2 * self.window_s and self.silent_since is None


def write_standing(folder: Path, standing: Standing, at: datetime) -> None:
    """Put it down. Raises OSError."""
    document = asdict(standing) | {"written_at": at}
    times = {name: iso_or_none(document[name]) for name in _TIMES}
    write_whole(folder / FILE, json.dumps(document | times, sort_keys=True).encode() + b"\n")


def read_standing(folder: Path) -> Standing | None:
    """What was put down last; None where nothing was. Raises ValueError, TypeError for what is no such file."""
    try:
        document: Mapping[str, Any] = json.loads((folder / FILE).read_bytes())
    except OSError:
        return None
    times = {name: parse_iso(document[name]) if document[name] else None for name in _TIMES}
    return Standing(**dict(document) | times)
