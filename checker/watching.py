"""What is watched beside the SLOs: a window's volume, the share of the phase that is exposed, one that was left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import open_cache
from checker.analyzer.exposure import DyingAway, Share, dying_away, share_of
from checker.analyzer.governed import Governed
from checker.analyzer.telemetry import Telemetry, load_telemetry
from checker.analyzer.volume import HOUR, Shortfall, shortfall
from checker.ledger.state import LedgerState
from checker.ledger.values import RollbackRecord
from checker.model import Window
from checker.pipeline import Past, Request
from checker.policy.collecting import Exposure
from checker.policy.model import Policy
from checker.windows import floor_to_window, newest_closed, windows_between

WATCHED_AFTER_ROLLBACK = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Watched:
    """What was found of the newest closed `window`, by the policy's `rule` for exposure.

    `share` is that of the phase that stands, `left` how the phase of the last day's rollback dies away; nothing is said
    of a window that a source is still missing in. A shortfall that goes on `was_short` before.
    """

    window: Window
    rule: Exposure | None = None
    shortfall: Shortfall | None = None
    share: Share | None = None
    left: DyingAway | None = None
    was_short: bool = False


def watch(governed: Governed, request: Request, past: Past) -> Watched:
    """Look at the newest closed window, as of the request's clock. Raises CannotDecide."""
    policy = governed.policy
    newest = newest_closed(request.as_of, policy.window, policy.lateness)
    rollback = _last_rollback(past.state, newest)
    with open_cache(request.cache) as cache:
        telemetry = load_telemetry(
            LogFolder(request.logs),
            cache,
            governed.rules,
            _reach(policy, newest, rollback),
            newest.start,
            request.as_of,
            request.run,
        )
    left = _left(policy, telemetry, newest, rollback) if rollback else None
    if telemetry.missing_sources(newest.start):
        return Watched(newest, policy.collector.exposure, left=left)
    phase = past.state.phase
    return Watched(
        window=newest,
        rule=policy.collector.exposure,
        shortfall=_shortfall(policy, telemetry, newest.start),
        share=share_of(policy.phase(phase), telemetry.events_by_phase(newest.start))
        if phase in policy.phase_names and phase is not None
        else None,
        left=left,
        was_short=_shortfall(policy, telemetry, newest.start - policy.window) is not None,
    )


def _last_rollback(state: LedgerState, newest: Window) -> RollbackRecord | None:
    """The rollback of the last day, unless the phase that it left was entered again."""
    ended = state.rollbacks_ended
    if not ended or ended[-1].at < newest.end - WATCHED_AFTER_ROLLBACK or state.phase == ended[-1].phase_from:
        return None
    return ended[-1]


def _reach(policy: Policy, newest: Window, rollback: RollbackRecord | None) -> datetime:
    """The start of the earliest window that is looked at."""
    volume = policy.collector.volume
    starts = [newest.start - HOUR]
    starts += [newest.start - volume.before - 2 * HOUR] if volume else []
    starts += [rollback.at - policy.window] if rollback else []
    return floor_to_window(min(starts), policy.window)


def _shortfall(policy: Policy, telemetry: Telemetry, start: datetime) -> Shortfall | None:
    rule = policy.collector.volume
    if rule is None:
        return None
    events = {each: telemetry.events_by_phase(each).total() for each in telemetry.batches}
    return shortfall(events, start, policy.window, rule)


def _left(policy: Policy, telemetry: Telemetry, newest: Window, rollback: RollbackRecord) -> DyingAway:
    first = floor_to_window(rollback.at, policy.window)
    reach = [each.start for each in windows_between(first, newest.end, policy.window)]
    counts = {start: telemetry.events_by_phase(start) for start in reach if telemetry.has_batch(start)}
    return dying_away(rollback.phase_from, rollback.at, counts, policy.window)
