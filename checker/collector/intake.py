"""What the sources give in one cycle: each read on from where it was left, or the reason why it could not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from checker.collector.places import Places
from checker.collector.reading import Outcome, Readers, Reading
from checker.collector.sources.base import Ask, Position, Source
from checker.collector.sources.files import FilesSource
from checker.policy.collecting import Collector, FilesRule, SourceRule
from checker.policy.source_rules import OWN_SOURCE

PRETENDED = "pretended to fail, for a rehearsal"
OWN_DEADLINE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Intake:
    """The sources of one target, in the policy's order, after what the collector itself has to say.

    Sources named in `pretended` fail whenever they are read. One that `commits` lets go what was sealed.
    """

    sources: Mapping[str, Source]
    rules: Mapping[str, SourceRule]
    pretended: frozenset[str] = frozenset()
    readers: Readers = field(default_factory=Readers)
    commits: bool = True

    @classmethod
    def of(
        cls, collector: Collector, sources: Sequence[Source], places: Places, pretended: frozenset[str] = frozenset()
    ) -> Intake:
        """The intake of the policy's `sources`."""
        own = FilesRule(OWN_SOURCE, OWN_DEADLINE, paths=(places.said.name,), optional=True)
        named = {OWN_SOURCE: FilesSource(own, places.own), **{source.name: source for source in sources}}
        return cls(named, {OWN_SOURCE: own, **{rule.name: rule for rule in collector.sources}}, pretended)

    def read(
        self, positions: Mapping[str, Position], ask: Ask, folder: Path, alongside: frozenset[str]
    ) -> dict[str, Outcome]:
        """What each source gave, by name; one that goes with an SLO is skipped where that is not in `alongside`.

        Raises OSError where `folder` does not take the lines.
        """
        outcomes: dict[str, Outcome] = {}
        readings = []
        for name, source in self.sources.items():
            wanted, position = self.rules[name].alongside, positions.get(name, {})
            if name in self.pretended:
                outcomes[name] = Outcome(failure=PRETENDED)
            elif wanted is not None and wanted not in alongside:
                outcomes[name] = Outcome(position=source.skip(position))
            else:
                readings.append(self._reading(name, position))
        outcomes |= self.readers.read(readings, ask, folder)
        return {name: outcomes[name] for name in self.sources}

    def probe(self, name: str, position: Position, ask: Ask) -> str:
        """Why the source cannot be read now, empty where it can. Nothing of it is kept."""
        return PRETENDED if name in self.pretended else self.readers.probe(self._reading(name, position), ask)

    def committed(self, positions: Mapping[str, Position]) -> None:
        """What was read up to `positions` is sealed for good."""
        for name, source in self.sources.items():
            if self.commits and name in positions:
                source.committed(positions[name])

    def _reading(self, name: str, position: Position) -> Reading:
        return Reading(self.sources[name], position, self.rules[name].deadline.total_seconds())
