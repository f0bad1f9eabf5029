"""What a scenario says: how the telemetry of each of its windows is. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from checker.errors import UsageError
from checker.model import Status
from checker.windows import floor_to_window, iso

WINDOW = timedelta(minutes=15)
_FIRST_START = datetime(1971, 1, 1, tzinfo=UTC)
_LAST_END = datetime(2900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Copy:
    """A second line of one save: it arrives some batches later, its `ts` moved by `shift_ms` within the window."""

    batches_later: int = 0
    shift_ms: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """How the telemetry of one window is.

    `p95_s` (completed saves) and `collector_latency_s` vary by ± `spread`, a share. `failures` of `(1, 25)` means that
    exactly one save in 25 fails, the saves being rounded up to a multiple of 25; None stands for the usual one in a
    thousand, rounded down. Each number in `late` makes one save arrive that many batches later. `broken` names kinds
    of broken lines, each made once, or in turn until there are `broken_share` × saves. `missing` has no batch,
    `silent` a batch without any save, `torn_seal` a last line that is cut.
    """

    p95_s: float = 1.2
    collector_latency_s: float = 41.0
    spread: float = 0.08
    saves_at_least: int = 0
    failures: tuple[int, int] | None = None
    drift_events: int = 0
    gc_events: int = 0
    late: tuple[int, ...] = ()
    copies: tuple[Copy, ...] = ()
    too_late: int = 0
    broken: tuple[str, ...] = ()
    broken_share: float = 0.0
    alert_severity: str | None = None
    exhausted_source: str | None = None
    release: str | None = None
    missing: bool = False
    silent: bool = False
    torn_seal: bool = False


@dataclass(frozen=True, slots=True)
class Episode:
    """`windows` windows in a row under one condition. A negative `first` counts from the end; -1 is the newest."""

    first: int
    windows: int
    condition: Condition

    @property
    def needed_windows(self) -> int:
        """How many windows there must be for the episode to lie within them."""
        return self.first + self.windows if self.first >= 0 else -self.first

    def holds(self, number: int, windows: int) -> bool:
        """Whether window `number` of `windows`, counted from 0, belongs to the episode."""
        first = self.first if self.first >= 0 else windows + self.first
        return first <= number < first + self.windows


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named course of telemetry. `outcome` is that of the newest window in phase B under the shipped policy.

    Windows outside every episode are under `base`; where episodes overlap, the later one counts. `saves` is the mean
    number of saves in a window over a day.
    """

    name: str
    summary: str
    outcome: Status
    episodes: tuple[Episode, ...] = ()
    base: Condition = Condition()
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    windows: int = 24
    saves: int = 44
    phase: str = "B"
    release: str = "1.4.2"

    @property
    def needed_windows(self) -> int:
        """How many windows a run must have at least, so that every episode lies within it."""
        return max((episode.needed_windows for episode in self.episodes), default=1)

    def condition_at(self, number: int, windows: int) -> Condition:
        """The condition of window `number`, counted from 0, in a run of `windows`."""
        for episode in reversed(self.episodes):
            if episode.holds(number, windows):
                return episode.condition
        return self.base


@dataclass(frozen=True, slots=True)
class Run:
    """One telling of a scenario: everything that its bytes depend on."""

    scenario: Scenario
    seed: int
    start: datetime
    windows: int
    saves: int
    phase: str

    @property
    def end(self) -> datetime:
        """End of the newest window."""
        return self.start + self.windows * WINDOW


def plan_run(
    scenario: Scenario,
    seed: int = 1,
    start: datetime | None = None,
    windows: int | None = None,
    saves: int | None = None,
    phase: str | None = None,
) -> Run:
    """A run of `scenario`, with the scenario's own values for what is None.

    Raises UsageError, with every fault, where the run makes no sense: a start between windows, too few windows.
    """
    run = Run(
        scenario=scenario,
        seed=seed,
        start=scenario.start if start is None else start,
        windows=scenario.windows if windows is None else windows,
        saves=scenario.saves if saves is None else saves,
        phase=scenario.phase if phase is None else phase,
    )
    faults = _faults(run)
    if faults:
        raise UsageError("\n".join(faults))
    return run


def _faults(run: Run) -> list[str]:
    faults = []
    floor = floor_to_window(run.start, WINDOW)
    if floor != run.start:
        faults.append(f"--start {iso(run.start)}: a window starts every 15 minutes; the nearest before is {iso(floor)}")
    if run.windows < run.scenario.needed_windows:
        needed = run.scenario.needed_windows
        faults.append(f"--windows {run.windows}: the scenario {run.scenario.name!r} needs at least {needed}")
    last_start = _LAST_END - max(run.windows, 1) * WINDOW
    if not _FIRST_START <= run.start <= last_start:
        faults.append(f"--start {iso(run.start)}: expected a time from {iso(_FIRST_START)} to {iso(last_start)}")
    if run.saves < 1:
        faults.append(
            f"--events-per-window {run.saves}: expected 1 or more; for a quiet window use the scenario 'no-data'"
        )
    if not run.phase.strip():
        faults.append("--phase: an event needs a phase; expected a name such as B")
    return faults
