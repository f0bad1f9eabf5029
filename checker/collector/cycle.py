"""One cycle of the collector: read the sources, sort the lines, seal the window. One process at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from checker.analyzer.ingest import cause_of
from checker.analyzer.rules import IngestRules
from checker.collector.compose import Sorted, Terms, sort_lines
from checker.collector.events import OwnEvents, Seal
from checker.collector.gather import Block, carried_block, in_order
from checker.collector.intake import Intake
from checker.collector.places import Places
from checker.collector.reading import Outcome, failures_of
from checker.collector.seal import (
    Scratch,
    copy_lines,
    copy_only,
    emptied,
    put_in_place,
    put_over,
    quarantined_line,
    scratch_file,
)
from checker.collector.sources.base import Ask, Position
from checker.collector.state import State, commit, forget_old, newest_state, put_pending
from checker.errors import CannotDecide
from checker.model import Window
from checker.windows import floor_to_window, stamp, window_at, windows_between

MAX_CAUGHT_UP = 40_000  # windows: more than a year of them says that a clock is wrong


@dataclass(frozen=True, slots=True)
class Sealed:
    """A window that was sealed, and what its batch says of itself. `failures` are by source, `told` is for people."""

    seal: Seal
    path: Path
    failures: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()


def left_out(failures: Mapping[str, str]) -> list[str]:
    """A line for people for each source that a window was sealed without."""
    return [f"source {name}: {why}; its lines come with a later batch" for name, why in failures.items()]


@dataclass(slots=True)
class Cycle:
    """Seals the windows of `rules.window`, one after the other, into the folder of `places`.

    `phases` are the policy's; `phase_at` gives the one that stands at an instant, None where nobody says; `now` is the
    clock. With `simulated_latency` every seal says that it took so long.
    """

    places: Places
    rules: IngestRules
    intake: Intake
    phases: Sequence[str]
    phase_at: Callable[[datetime], str | None]
    now: Callable[[], datetime]
    delay_limit: timedelta
    simulated_latency: timedelta | None = None

    def due(self, since: datetime | None = None) -> list[Window]:
        """Windows to be sealed now, oldest first: those since the last seal.

        Before the first seal it is the one that has just ended; where it ended before `since`, none: a collector that
        is begun in the middle of a window is not late for the one before. Raises CannotDecide.
        """
        length = self.rules.window
        newest = window_at(floor_to_window(self.now(), length) - length, length)
        state = newest_state(self.places)
        if state is None:
            is_early = since is not None and newest.end < since
            return [] if is_early or self.places.has_batch(newest.start) else [newest]
        first = state.window_start + length
        if (newest.start - first) // length > MAX_CAUGHT_UP:
            told = f"{stamp(state.window_start)} was sealed last; look at the clock, or move `collector/` away"
            raise CannotDecide(f"more than {MAX_CAUGHT_UP:,} windows are to be sealed: {told}")
        return list(windows_between(first, newest.end, length))

    def collect(
        self, window: Window, alongside: frozenset[str] = frozenset(), begin: Mapping[str, Position] | None = None
    ) -> Sealed:
        """Seal `window`, the first that is due, with what the sources give, from `begin` on where it is given.

        `alongside` names the SLOs whose companions are read as well. Raises CannotDecide, and OSError where the disk
        does not take it: nothing is sealed then, and the next cycle reads the same again.
        """
        if self.places.has_batch(window.start):
            raise CannotDecide(f"{stamp(window.start)}: has a batch already, which the collector did not seal")
        state = newest_state(self.places)
        if begin is not None:
            state = State(window.start, "", state.phase if state else self.phases[0], sources=begin)
        work = emptied(self.places.work)
        ask = self.ask(window, state)
        outcomes = self.intake.read(state.sources if state else {}, ask, work, alongside)
        sealed, positions = self._seal(window, state, ask, outcomes, work)
        self.intake.committed(positions)
        forget_old(self.places)
        emptied(self.places.work)
        return sealed

    def ask(self, window: Window, state: State | None) -> Ask:
        """What sources are asked for; an event that knows no phase gets the one that stands at the window's end."""
        now = self.now()
        phase = self.phase_at(window.end) or (state.phase if state else self.phases[0])
        return Ask(window, now, phase, now < window.end + self.rules.window)

    def _seal(
        self, window: Window, state: State | None, ask: Ask, outcomes: Mapping[str, Outcome], work: Path
    ) -> tuple[Sealed, Mapping[str, Position]]:
        """Put quarantine, carried lines, state and batch down, the batch last. Gives the positions that now hold."""
        blocks = self._blocks(state, outcomes)
        with scratch_file(work / "quarantine") as aside:
            found = self._sort(blocks, window, ask, aside)
        with scratch_file(work / "carried") as carried:
            for number, lines in sorted(found.carried.items()):
                copy_only(blocks[number], lines, carried)
        failures = failures_of(outcomes)
        with scratch_file(work / "batch") as batch:
            for number, block in enumerate(blocks):
                without = found.left_out.get(number, set()) | found.carried.get(number, set())
                copy_lines(block, without, batch)
            seal = self._said(window, ask, found, tuple(failures))
            batch.write(OwnEvents(self.rules.schema).closing(seal, self.delay_limit))
        positions = dict(state.sources if state else {})
        positions |= {name: outcome.position for name, outcome in outcomes.items() if outcome.position is not None}
        following = State(window.start, batch.digest, seal.phase, carried.lines > 0, positions, failures, self.now())
        pending = put_pending(self.places, following)
        if carried.lines:
            put_over(carried.path, self.places.carried(window.start))
        if aside.lines:
            put_over(aside.path, self.places.quarantine(window.start))
        else:
            self.places.quarantine(window.start).unlink(missing_ok=True)  # of a cycle that was cut off
        put_in_place(batch.path, self.places.batch(window.start))
        commit(pending)
        told = tuple(f"{name}: {line}" for name, outcome in outcomes.items() for line in outcome.told)
        return Sealed(seal, self.places.batch(window.start), failures, told), positions

    def _sort(self, blocks: Sequence[Block], window: Window, ask: Ask, aside: Scratch) -> Sorted:
        import duckdb

        terms = Terms(self.rules, window, ask.now)
        try:
            return sort_lines(blocks, terms, aside.path.parent, lambda *broken: aside.write(quarantined_line(*broken)))
        except (ValueError, EOFError, duckdb.Error) as fault:
            raise CannotDecide(f"{stamp(window.start)}: cannot be sealed: {cause_of(fault)}") from fault

    def _blocks(self, state: State | None, outcomes: Mapping[str, Outcome]) -> list[Block]:
        carried = [carried_block(self.places.carried(state.window_start))] if state and state.carried else []
        return [*carried, *in_order([o.sink for o in outcomes.values() if o.sink is not None and not o.failure])]

    def _said(self, window: Window, ask: Ask, found: Sorted, incomplete: Sequence[str]) -> Seal:
        latency = self.simulated_latency
        return Seal(
            window=window,
            phase=self.phase_at(window.end) or _most_seen(found.phases, self.phases) or ask.phase,
            latency=max(self.now() - window.end, timedelta(0)) if latency is None else latency,
            accepted=found.accepted,
            duplicates=found.duplicates,
            quarantined=found.quarantined,
            errors_retryable=found.errors_retryable,
            errors_fatal=found.errors_fatal,
            incomplete=incomplete,
            is_simulated=latency is not None,
        )


def _most_seen(seen: Mapping[str, int], phases: Sequence[str]) -> str | None:
    """The phase that most of the batch's lines carry, of those that the policy has; the later one of two."""
    known = [(seen[phase], phases.index(phase)) for phase in phases if seen.get(phase)]
    return phases[max(known)[1]] if known else None
