"""Past incidents, and how two policies would have met them: caught or missed, how late, and false alarms. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from checker.governance.reviewed import Detection, FalseAlarms, IncidentOutcome, PhaseReplay
from checker.model import Decision, Verdict, Window
from checker.windows import closed_at, parse_iso

ANY = "any"


@dataclass(frozen=True, slots=True)
class PastIncident:
    """When something was truly wrong: in `[start, end)`, UTC. `phase` is `any` where it names none."""

    id: str
    title: str
    phase: str
    start: datetime
    end: datetime

    def struck(self, phase: str) -> bool:
        """Whether it is one of `phase`."""
        return self.phase in (ANY, phase)

    def overlaps(self, window: Window) -> bool:
        """Whether any instant of it lies in `window`."""
        return window.start < self.end and self.start < window.end


def past_incidents(document: Mapping[str, Any]) -> tuple[PastIncident, ...]:
    """The incidents that the sound `document` lists, the earliest first."""
    found = (
        PastIncident(row["id"], row["title"], row.get("phase", ANY), parse_iso(row["from"]), parse_iso(row["until"]))
        for row in document["incidents"]
    )
    return tuple(sorted(found, key=lambda incident: (incident.start, incident.id)))


def outcomes(
    incidents: Sequence[PastIncident], replays: Sequence[PhaseReplay], lateness: tuple[timedelta, timedelta]
) -> tuple[tuple[IncidentOutcome, ...], FalseAlarms]:
    """How base and head meet each incident, and how often each asks for a rollback besides.

    An incident is caught by the first window that overlaps it and rolls back, in a replay of its phase, when that
    window closes: so long after its end as base's `lateness`, or head's, says. A false alarm is a run of windows that
    roll back one after the other, none of which overlaps an incident of the phase or of the phase whose events were
    judged.
    """
    met = tuple(_outcome(incident, replays, lateness) for incident in incidents)
    before = sum(_false_alarms(incidents, replay, replay.base) for replay in replays)
    after = sum(_false_alarms(incidents, replay, replay.head) for replay in replays)
    return met, FalseAlarms(before, after)


def _outcome(
    incident: PastIncident, replays: Sequence[PhaseReplay], lateness: tuple[timedelta, timedelta]
) -> IncidentOutcome:
    there = [replay for replay in replays if incident.struck(replay.phase)]
    sides = [decisions for replay in there for decisions in (replay.base, replay.head)]
    return IncidentOutcome(
        incident.id,
        incident.title,
        incident.phase,
        incident.start,
        incident.end,
        any(_is_covered(incident, decisions) for decisions in sides),
        _detection(incident, [made for replay in there for made in replay.base], lateness[0]),
        _detection(incident, [made for replay in there for made in replay.head], lateness[1]),
    )


def _detection(incident: PastIncident, decisions: Sequence[Decision], lateness: timedelta) -> Detection:
    caught = [
        closed_at(made.window, lateness) for made in decisions if _rolls_back(made) if incident.overlaps(made.window)
    ]
    first = min(caught, default=None)
    return Detection(first, None if first is None else first - incident.start)


def _is_covered(incident: PastIncident, decisions: Sequence[Decision]) -> bool:
    """Whether windows without a gap hold the whole incident, and there were events in one of them at least."""
    reached = incident.start
    during = [made for made in decisions if incident.overlaps(made.window)]
    for made in during:
        if made.window.start <= reached:
            reached = max(reached, made.window.end)
    return reached >= incident.end and any(made.inputs.batches for made in during)


def _false_alarms(incidents: Sequence[PastIncident], replay: PhaseReplay, decisions: Sequence[Decision]) -> int:
    here = [item for item in incidents if item.struck(replay.phase) or item.struck(replay.events_of)]
    return sum(not any(item.overlaps(window) for item in here for window in run) for run in _runs(decisions))


def _runs(decisions: Sequence[Decision]) -> Iterator[list[Window]]:
    """Windows that roll back, those that follow each other without a gap together."""
    run: list[Window] = []
    for window in (made.window for made in decisions if _rolls_back(made)):
        if run and run[-1].end != window.start:
            yield run
            run = []
        run.append(window)
    if run:
        yield run


def _rolls_back(made: Decision) -> bool:
    return made.verdict is Verdict.ROLLBACK
