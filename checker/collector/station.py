"""The collector of one target as a whole: its batches, the slices of a recovery, its retries, and who may run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from checker.analyzer.governed import Governed
from checker.collector.cycle import Cycle, Sealed
from checker.collector.events import OwnEvents
from checker.collector.feedback import Feedback, feedback, standing_phase
from checker.collector.intake import Intake
from checker.collector.ledger_view import LedgerView
from checker.collector.places import Places
from checker.collector.retries import Retries
from checker.collector.retry import GivenUp
from checker.collector.sources.kinds import make_sources
from checker.collector.state import newest_state
from checker.errors import UsageError
from checker.ledger.append import locked
from checker.model import Window
from checker.windows import floor_to_window, windows_between

LOCK_WAIT_S = 10.0
RETRY_FAILURES = Path("monitoring") / "retry_failures.jsonl"  # below the folder of reports


@dataclass(frozen=True, slots=True)
class Setting:
    """What a collector is run with. `phase` is the one to go by where the ledger names none.

    `pretended` sources fail whenever they are read, and `simulated_latency` is what every seal says: for rehearsals.
    """

    logs: Path
    ledger: Path | None
    reports: Path
    now: Callable[[], datetime]
    environ: Mapping[str, str]
    phase: str | None = None
    simulated_latency: timedelta | None = None
    pretended: frozenset[str] = frozenset()


@dataclass(slots=True)
class Station:
    """The collector of `governed.policy`'s target; `lock` is held while it does anything."""

    governed: Governed
    setting: Setting
    places: Places = field(init=False)
    cycle: Cycle = field(init=False)
    retries: Retries = field(init=False)
    _ledger: LedgerView = field(init=False)

    def __post_init__(self) -> None:
        policy, rules = self.governed.policy, self.governed.rules
        names = [rule.name for rule in policy.collector.sources]
        if unknown := sorted(self.setting.pretended - set(names)):
            raise UsageError(f"there is no source {unknown[0]!r}; the policy has {', '.join(names) or 'none'}")
        self.places = Places(self.setting.logs)
        self._ledger = LedgerView(self.setting.ledger)
        sources = make_sources(policy.collector, policy.root, rules.window, self.places, self.setting.environ)
        self.cycle = Cycle(
            places=self.places,
            rules=rules,
            intake=Intake.of(policy.collector, sources, self.places, self.setting.pretended),
            phases=policy.phase_names,
            phase_at=self._phase_at,
            now=self.setting.now,
            delay_limit=policy.collector.delay_limit,
            simulated_latency=self.setting.simulated_latency,
        )
        self.retries = Retries(
            self.places,
            policy.collector.retry,
            OwnEvents(rules.schema),
            policy.target,
            self.setting.reports / RETRY_FAILURES,
        )

    @contextmanager
    def lock(self, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """The right to collect, which one process has at a time. Raises NotRecorded."""
        with locked(self.places.lock, f"another collector of {self.governed.policy.target} is at work", wait_s):
            yield

    def due(self, since: datetime | None = None) -> list[Window]:
        """The windows to be sealed now, oldest first; before the first seal none that ended before `since`.

        Raises CannotDecide.
        """
        return self.cycle.due(since)

    def collect(self, window: Window) -> Sealed:
        """Seal the first window that is due, and note which sources failed. Raises as `Cycle.collect` does."""
        sealed = self.cycle.collect(window, self.feedback().alongside)
        self.note_failures()
        return sealed

    def note_failures(self) -> None:
        """Have the failures of the newest seal noted, which one that was killed after it did not. Raises OSError."""
        self.retries.after_cycle(newest_state(self.places), list(self.cycle.intake.sources))

    def next_retry(self) -> datetime | None:
        """When a source is to be tried again, None where none is."""
        return self.retries.next_at()

    def try_again(self) -> list[GivenUp]:
        """Make the retries that are due; gives the sources that were tried for the last time. Raises OSError."""
        state, now = newest_state(self.places), self.setting.now()
        length = self.cycle.rules.window
        end = floor_to_window(now, length)
        ask = self.cycle.ask(Window(end - length, end), state)

        def probe(name: str) -> str:
            return self.cycle.intake.probe(name, state.sources.get(name, {}) if state else {}, ask)

        return self.retries.try_again(probe, self._phase_at(now) or ask.phase, self.setting.now)

    def slices(self) -> list[Window]:
        """The slices of a recovery that are to be sealed now, oldest first; none outside one. Raises CannotDecide."""
        asked = self.feedback()
        if asked.slices_from is None:
            return []
        state = newest_state(self._recovery(asked).places)
        first = max([asked.slices_from, *([state.window_start + asked.every] if state else [])])
        return list(windows_between(first, floor_to_window(self.setting.now(), asked.every), asked.every))

    def collect_slice(self, window: Window) -> Sealed:
        """Seal the first slice that is due. It has its own positions, which begin at those of the batches.

        Raises as `Cycle.collect` does.
        """
        asked = self.feedback()
        recovery = self._recovery(asked)
        own, batches = newest_state(recovery.places), newest_state(self.places)
        is_stale = own is None or own.window_start + asked.every < window.start
        return recovery.collect(window, asked.alongside, (batches.sources if batches else {}) if is_stale else None)

    def feedback(self) -> Feedback:
        """What the ledger asks of the collector now. Raises LedgerInvalid."""
        return feedback(self.governed.policy, self._ledger.state_at(self.setting.now()))

    def _recovery(self, asked: Feedback) -> Cycle:
        rules = replace(self.cycle.rules, window=asked.every)
        intake = replace(self.cycle.intake, commits=False)
        return replace(self.cycle, places=Places(self.places.recovery), rules=rules, intake=intake)

    def _phase_at(self, instant: datetime) -> str | None:
        return standing_phase(self.governed.policy, self._ledger.state_at(instant)) or self.setting.phase
