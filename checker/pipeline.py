"""The stages in order: logs → judgements → gate → decision. The only module that knows the order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from checker import __version__
from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import Cache, CachePlace, open_cache
from checker.analyzer.decide import Case, Standing, decide
from checker.analyzer.due import changed_starts, is_what_if, phase_entry, undecided_starts
from checker.analyzer.earliest import earliest_pass
from checker.analyzer.explain import RowsBehind, rows_behind
from checker.analyzer.gate import GateRunner
from checker.analyzer.governed import Governed
from checker.analyzer.history import (
    History,
    Lens,
    ask_gate,
    covered,
    gate_lookback,
    last_break,
    load_history,
    open_gate,
    with_recorded,
)
from checker.analyzer.judge import JudgedWindow
from checker.analyzer.probe import try_halves
from checker.analyzer.provenance import provenance_of
from checker.analyzer.streak import new_release_at, streak_start
from checker.analyzer.telemetry import Mapper
from checker.engines.local import local_mapper
from checker.errors import GovernedFilesInvalid, UsageError
from checker.governance.approval_files import project_verifier
from checker.governance.signed_acts import CountedApprovals, advance_approvals
from checker.ledger.records import End, Record, read_ledger
from checker.ledger.state import LedgerState, fold
from checker.model import CheckResult, Decision, Notice, Status, Window
from checker.policy.model import COMPLETE, OFF, Policy
from checker.reporter.notice_tells import template_faults
from checker.reporter.render import notices_for
from checker.reporter.survey import Survey
from checker.windows import ceil_to_window, closed_at, floor_to_window, newest_closed, window_at

_PROVED: set[str] = set()  # what this process has found sound, for those that keep no cache


@dataclass(frozen=True, slots=True)
class Request:
    """What a command asks of the pipeline. Without `ledger` none is read, without `cache` none is kept."""

    phase: str
    as_of: datetime
    logs: Path
    ledger: Path | None = None
    events_of: str | None = None
    cache: CachePlace | None = None
    verify_logs: bool = False
    with_notices: bool = False
    run: Mapper = field(default_factory=local_mapper)


@dataclass(frozen=True, slots=True)
class Past:
    """The ledger up to some instant: its records, what they come to, and what was set aside."""

    records: tuple[Record, ...] = ()
    state: LedgerState = field(default_factory=LedgerState)
    torn: str | None = None
    end: End = field(default_factory=End)

    def until(self, instant: datetime) -> Past:
        """The same as it was at `instant`."""
        records = tuple(record for record in self.records if record.at <= instant)
        return self if len(records) == len(self.records) else Past(records, fold(records), self.torn, self.end)


def read_past(request: Request) -> Past:
    """The ledger as of the request's clock. Raises LedgerInvalid."""
    if request.ledger is None:
        return Past()
    ledger = read_ledger(request.ledger, request.as_of)
    return Past(ledger.records, fold(ledger.records), ledger.torn, ledger.end)


def check(governed: Governed, request: Request, past: Past) -> CheckResult:
    """Judge what is to be judged as of the request's clock, and decide. Writes nothing but the cache."""
    lens = lens_of(governed, request)
    policy = governed.policy
    newest = newest_closed(request.as_of, policy.window, policy.lateness)
    folder = LogFolder(request.logs)
    what_if = is_what_if(past.state, lens)
    entry = phase_entry(policy.window, folder, past.state, what_if, newest)
    lookback = gate_lookback(governed, request.phase)
    first = max(floor_to_window(newest.end - lookback, policy.window), min(entry, newest.start))
    undecided = [] if what_if else undecided_starts(past.state, entry, newest, policy.window)
    first = min([first, *undecided])
    if past.state.decided and not what_if:  # late events may have changed what was decided as far back as they reach
        first = min(first, max(entry, floor_to_window(newest.start - policy.max_late, policy.window)))
    with open_cache(request.cache) as cache:
        governed = proved(governed, lens.events_of, cache)
        history = load_history(governed, folder, cache, request.run, lens, first, newest.start, request.verify_logs)
    judged = list(history.judged.values())
    due = {newest.start, *undecided, *([] if what_if else changed_starts(history, past.state))}
    items = [item for item in judged if item.window.start in due]
    with open_gate(history, as_recorded(history, judged, past), past.records) as runner:
        decision = decide_at(history, runner, past, items, newest, entry, what_if, True)
    outcomes = [item.outcome for item in judged if item.window < decision.window]
    notices = _notices(governed, decision, outcomes) if request.with_notices else ()
    return CheckResult(decision, provenance_of(history), notices, tuple(covered(history, item) for item in items))


def judging_phase(policy: Policy, state: LedgerState, otherwise: str) -> str:
    """The phase whose thresholds judge now: the ledger's; the first in `off`, the last once `complete`; `otherwise`."""
    edges = {OFF: policy.phase_names[0], COMPLETE: policy.phase_names[-1]}
    return otherwise if state.phase is None else edges.get(state.phase, state.phase)


def survey(governed: Governed, request: Request, past: Past, windows: int = 288) -> Survey:
    """Where the rollout stands, with the newest `windows` closed windows (or those since the first batch).

    The request's phase is the one whose thresholds judge where the ledger names none. Raises as `check` does.
    """
    stands_at, policy = past.state.phase, governed.policy
    phase = {None: request.phase, OFF: policy.phase_names[0], COMPLETE: policy.phase_names[-1]}.get(
        stands_at, stands_at
    )
    result = check(governed, replace(request, phase=phase or request.phase, events_of=None), past)
    request = replace(request, phase=result.decision.phase, events_of=None)
    newest = newest_closed(request.as_of, policy.window, policy.lateness)
    folder = LogFolder(request.logs)
    begun = folder.batches[0].start if folder.batches else newest.start
    first = min(newest.start, max(newest.start - policy.window * (windows - 1), floor_to_window(begun, policy.window)))
    with open_cache(request.cache) as cache:
        governed = proved(governed, request.phase, cache)
        history = load_history(governed, folder, cache, request.run, lens_of(governed, request), first, newest.start)
    return Survey(
        policy=policy,
        phase=request.phase,
        stands_at=stands_at,
        as_of=request.as_of,
        windows=tuple(as_recorded(history, list(history.judged.values()), past)),
        decision=result.decision,
        state=past.state,
        provenance=result.provenance,
    )


def windows_around(
    governed: Governed, request: Request, past: Past, window: Window, before: int = 4, after: int = 8
) -> tuple[tuple[JudgedWindow, ...], Mapping[str, Sequence[RowsBehind]]]:
    """The closed windows around `window`, judged by the request's phase, and by SLO the rows behind it.

    Raises as `check` does.
    """
    policy = governed.policy
    newest = newest_closed(request.as_of, policy.window, policy.lateness)
    last = max(window.start, min(newest.start, window.start + policy.window * after))
    with open_cache(request.cache) as cache:
        governed = proved(governed, request.phase, cache)
        first = window.start - policy.window * before
        folder = LogFolder(request.logs)
        history = load_history(governed, folder, cache, request.run, lens_of(governed, request), first, last)
        rows = rows_behind(history, window)
    return tuple(as_recorded(history, list(history.judged.values()), past)), rows


def replay(governed: Governed, request: Request, past: Past, since: datetime, until: datetime) -> Iterator[Decision]:
    """The check at every window that starts in `[since, until)` and is closed, oldest first, as the logs are now."""
    lens = lens_of(governed, request)
    policy = governed.policy
    newest = newest_closed(request.as_of, policy.window, policy.lateness)
    start = ceil_to_window(since, policy.window)
    last = min(newest.start, ceil_to_window(until, policy.window) - policy.window)
    if last < start:
        return
    folder = LogFolder(request.logs)
    begun = phase_entry(policy.window, folder, LedgerState(), True, window_at(start, policy.window))
    first = min(start, max(begun, start + policy.window - gate_lookback(governed, request.phase)))
    with open_cache(request.cache) as cache:
        governed = proved(governed, lens.events_of, cache)
        history = load_history(governed, folder, cache, request.run, lens, first, last, request.verify_logs)
    judged = list(history.judged.values())
    with open_gate(history, as_recorded(history, judged, past), past.records) as runner:
        for item in judged:
            if item.window.start < start:
                continue
            at = closed_at(item.window, policy.lateness)
            then = past.until(at)
            what_if = is_what_if(then.state, lens)
            entry = phase_entry(policy.window, folder, then.state, what_if, item.window)
            seen = replace(history, lens=replace(lens, as_of=at))
            yield decide_at(seen, runner, then, [item], item.window, entry, what_if, False)


def lens_of(governed: Governed, request: Request) -> Lens:
    """Whose thresholds hold over whose events, and the clock. Raises UsageError for a phase that there is not."""
    names = governed.policy.phase_names
    for name in (request.phase, request.events_of or request.phase):
        if name not in names:
            raise UsageError(f"there is no phase {name!r}; the policy has {', '.join(names)}")
    return Lens(request.phase, request.events_of or request.phase, request.as_of)


def as_recorded(history: History, judged: Sequence[JudgedWindow], past: Past) -> list[JudgedWindow]:
    """The windows with the violations that the ledger holds against them."""
    violations = past.state.recorded_violations
    return [with_recorded(item, history.lens.phase, violations) for item in judged] if violations else list(judged)


def decide_at(
    history: History,
    runner: GateRunner,
    past: Past,
    due: Sequence[JudgedWindow],
    newest: Window,
    entry: datetime,
    what_if: bool,
    is_check: bool,
) -> Decision:
    """Ask the gate with `newest` as the newest window, and decide over the windows that are `due`.

    What `is_check` holds a change of what judges against the streak, and asks when the gate can pass.
    """
    governed, lens = history.governed, history.lens
    length = governed.policy.window
    release_at = new_release_at(history.releases(newest), newest.end)
    changed_at = past.state.judging_digest_changed_at(governed.judging_digest) if is_check and not what_if else None
    since = streak_start(length, entry, release_at, changed_at)
    at = lens.as_of
    gate = ask_gate(runner, history, newest, since, at)
    if is_check:
        gate = replace(gate, earliest_pass=earliest_pass(runner, history, newest, since, gate))
    return decide(
        Case(
            policy=governed.policy,
            phase=lens.phase,
            events_of=lens.events_of,
            as_of=at,
            judged=tuple(due),
            gate=gate,
            last_break=last_break(history, since, newest, past.state.recorded_violations),
            standing=standing_of(history, LedgerState() if what_if else past.state, since, newest),
            what_if=what_if,
        )
    )


def standing_of(history: History, state: LedgerState, since: datetime, newest: Window) -> Standing:
    """What the ledger, and alerts in the gate's span, hold against or for a decision made now."""
    as_of, rollback = history.lens.as_of, history.governed.policy.rollback
    approvals = approvals_that_count(history.governed, state, as_of)
    incident, ended, pause = state.open_incident, state.rollbacks_ended, state.paused_at(as_of)
    first = max(since, newest.end - gate_lookback(history.governed, history.lens.phase))
    return Standing(
        incident=incident.id if incident else None,
        incident_rolled_back=bool(incident and incident.rollback_recorded),
        incident_requires_rollback=bool(incident and incident.rollback_required),
        rollback_unknown=state.rollback_unknown.id if state.rollback_unknown else None,
        answered_until=state.answered_until,
        rollbacks=sum(item.at > as_of - rollback.max_rollbacks_within for item in ended),
        approvals=approvals.roles,
        approvals_refused=approvals.refused,
        blocking_alerts=history.blocking_alerts(min(first, newest.start), newest.start),
        paused=pause.reason if pause else None,
    )


def approvals_that_count(governed: Governed, state: LedgerState, as_of: datetime) -> CountedApprovals:
    """Roles that approved the advance out of the current phase, in a signed phase with a signature that holds.

    The project's allowed_signers is read where there is a signature to look at.
    """
    policy = governed.policy
    return advance_approvals(policy, state, governed.judging_digest, project_verifier(policy, as_of), as_of)


def _notices(governed: Governed, decision: Decision, outcomes: Sequence[Status]) -> tuple[Notice, ...]:
    return notices_for(governed.policy, decision, outcomes, governed.templates)


def proved(governed: Governed, phase: str, cache: Cache) -> Governed:
    """The governed files once they were tried. Raises GovernedFilesInvalid for what shows only then.

    A faulty template must not be found out in an incident; and a query that reads further back than it declares would
    measure one thing in a span and another in a window of its own. That these very files, under this version, were
    found sound is remembered. A query that cannot be tried over made-up events is measured a window at a time, as one
    that depends on the order of rows is.
    """
    key = f"{__version__} {governed.engine} {governed.governed_digest} {phase}"
    if cache.get("proofs", [key]) or key in _PROVED:
        return governed
    problems = template_faults(governed.policy, governed.templates)
    halves = try_halves(governed.tasks, governed.rules, phase, governed.allowance)
    if problems or halves.problems:
        raise GovernedFilesInvalid([*problems, *halves.problems])
    if halves.untried:
        alone = {path: replace(governed.queries[path], ordered=True) for path in halves.untried}
        return replace(governed, queries={**governed.queries, **alone})
    _PROVED.add(key)
    cache.put("proofs", {key: "sound"})
    return governed
