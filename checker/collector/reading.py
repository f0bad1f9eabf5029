"""All sources read side by side, each within its deadline: one that hangs has failed, and stops no other."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from checker.collector.gather import BlockSink, Closed, NotKept, ProbeSink
from checker.collector.sources.base import Ask, Position, Sink, Source, SourceFailed


@dataclass(frozen=True, slots=True)
class Reading:
    """A source with the position that it is to be read on from, and its deadline in seconds."""

    source: Source
    position: Position
    deadline_s: float


@dataclass(slots=True)
class Outcome:
    """What came of one read: the next position and what was handed over, or why it failed."""

    sink: BlockSink | None = None
    position: Position | None = None
    failure: str = ""

    @property
    def told(self) -> tuple[str, ...]:
        """What people should know of it."""
        return tuple(self.sink.told) if self.sink else ()


@dataclass(slots=True)
class Readers:
    """Reads sources in threads; remembers those that hang, which are not asked again before they come back."""

    _hanging: dict[str, threading.Thread] = field(default_factory=dict)

    def read(self, readings: Sequence[Reading], ask: Ask, folder: Path) -> dict[str, Outcome]:
        """What came of each source, by name; `folder` takes the lines. Raises OSError where they cannot be kept."""
        jobs = []
        for number, reading in enumerate(readings):
            sink = BlockSink(reading.source.name, f"{number:02d}", folder, ask)
            jobs.append((_Job(reading, ask, sink), sink))
        try:
            self._run([job for job, _ in jobs])
        except OSError:
            for _, sink in jobs:
                with suppress(OSError):  # of the same full disk
                    sink.flush()
            raise
        outcomes = {}
        for job, sink in jobs:
            sink.flush()
            outcomes[job.name] = Outcome(sink, job.position, job.failure)
        return outcomes

    def probe(self, reading: Reading, ask: Ask) -> str:
        """Why the source cannot be read, empty where it can."""
        job = _Job(reading, ask, ProbeSink())
        self._run([job])
        return job.failure

    def _run(self, jobs: Sequence[_Job]) -> None:
        threads: dict[str, threading.Thread] = {}
        for job in jobs:
            if (before := self._hanging.get(job.name)) and before.is_alive():
                job.failure = "still hangs in an earlier read; look at what it reads from"
                continue
            self._hanging.pop(job.name, None)
            threads[job.name] = threading.Thread(target=job.run, name=f"source {job.name}", daemon=True)
            threads[job.name].start()
        for job in jobs:
            if job.name in threads:
                self._wait(job, threads[job.name])
        if full := next((job.full for job in jobs if job.full), None):
            raise full

    def _wait(self, job: _Job, thread: threading.Thread) -> None:
        thread.join(job.reading.deadline_s)
        if thread.is_alive():
            job.give_up()
            self._hanging[job.name] = thread


class _Job:
    """One read. What the thread finds out after it was given up is thrown away."""

    def __init__(self, reading: Reading, ask: Ask, sink: Sink) -> None:
        self.reading, self.name = reading, reading.source.name
        self.position: Position | None = None
        self.failure = ""
        self.full: OSError | None = None
        self._ask, self._sink = ask, sink
        self._given_up = False

    def run(self) -> None:
        """Read. Raises nothing: whatever it stumbles over is the source's failure."""
        try:
            position: Position = self.reading.source.read(self.reading.position, self._ask, self._sink)
        except ProbeSink.Answered:
            position = {}
        except Closed:
            return
        except SourceFailed as fault:
            self._failed(str(fault), fault.position)
            return
        except NotKept as fault:
            self.full = fault.cause
            return
        except Exception as fault:
            self._failed(f"internal error: {type(fault).__name__}: {fault}")
            return
        if not self._given_up:
            self.position = position

    def give_up(self) -> None:
        """Wait no longer."""
        self._given_up = True
        if isinstance(self._sink, BlockSink):
            self._sink.close()
        self.position = None
        self.failure = f"did not answer within {self.reading.deadline_s:g} s"

    def _failed(self, reason: str, position: Position | None = None) -> None:
        if not self._given_up:
            self.failure, self.position = reason or "failed without a reason", position


def failures_of(outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Why sources failed, by name."""
    return {name: outcome.failure for name, outcome in outcomes.items() if outcome.failure}
