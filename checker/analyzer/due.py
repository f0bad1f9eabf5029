"""Which windows a check has to judge, and since when the phase counts."""

from __future__ import annotations

from datetime import datetime, timedelta

from checker.analyzer.batches import LogFolder
from checker.analyzer.history import History, Lens
from checker.ledger.state import LedgerState
from checker.model import Window
from checker.policy.model import COMPLETE, OFF
from checker.windows import ceil_to_window, windows_between


def is_what_if(state: LedgerState, lens: Lens) -> bool:
    """Whether this is no verdict on the rollout: another phase is the current one, or lends its events."""
    return lens.events_of != lens.phase or state.phase not in (None, lens.phase)


def phase_entry(length: timedelta, folder: LogFolder, state: LedgerState, what_if: bool, newest: Window) -> datetime:
    """When the phase was entered: as the ledger says, else with the first batch, else with the newest window."""
    if state.entered_at is not None and not what_if:
        return ceil_to_window(state.entered_at, length)
    first = folder.batches[0].start if folder.batches else newest.start
    return min(first, newest.start)


def undecided_starts(state: LedgerState, entry: datetime, newest: Window, length: timedelta) -> list[datetime]:
    """Closed windows since the phase's entry that no recorded decision covers; none where there is no ledger.

    Where the ledger has entered no phase, they are those since the first that it decided: what lay there before it was
    begun is nobody's to decide.
    """
    if not state.exists or state.phase in (OFF, COMPLETE):
        return []
    if state.phase is None:
        entry = max(entry, min(state.decided, default=newest.end))
    return [window.start for window in windows_between(entry, newest.end, length) if window.start not in state.decided]


def changed_starts(history: History, state: LedgerState) -> list[datetime]:
    """Decided windows whose inputs are no longer those that were decided on: late events came."""
    lookback = history.governed.lookback
    return [
        start
        for start in history.judged
        if start in state.decided
        and state.decided[start].phase == history.lens.phase
        and state.decided[start].inputs_digest != history.telemetry.inputs_digest(start, lookback)
    ]
