"""Every recorded decision made again from today's logs: what late events, or batches that are gone, would change.

The ledger is taken as it stood before each check, and the clock as the check had it; only the logs are today's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from types import TracebackType

from checker.analyzer.batch_index import ReleaseSeen
from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import open_cache
from checker.analyzer.decide import Case, Standing, decide
from checker.analyzer.due import phase_entry
from checker.analyzer.gate import GateRunner
from checker.analyzer.governed import Governed
from checker.analyzer.history import (
    History,
    ask_gate,
    covered,
    gate_lookback,
    load_history,
    open_gate,
    with_recorded,
)
from checker.analyzer.judge import JudgedWindow
from checker.analyzer.streak import new_release_at, streak_start
from checker.errors import CannotDecide
from checker.ledger.records import Record
from checker.ledger.state import LedgerState, states_before
from checker.ledger.values import DecidedWindow, RecordedViolation
from checker.model import Criterion, Decision, GateResult, Status, Verdict, Window
from checker.pipeline import Past, Request, lens_of, proved, standing_of
from checker.windows import floor_to_window, newest_closed, window_at

SAME, INPUTS, DIFFERS, MISSING, OTHER_POLICY = "same", "inputs_changed", "differs", "batch_missing", "other_policy"
_INSTANT = timedelta(microseconds=1)
_PASSING = GateResult("", "", (Criterion("assumed", None, None, True),))


@dataclass(frozen=True, slots=True)
class Said:
    """What was decided of a window: its outcome, the decision, and the SLOs that it violates."""

    outcome: str
    decision: str
    violations: tuple[str, ...]
    rollback_required: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One recorded decision and what it would be now; `now` is None where the two cannot be compared.

    `judging_digest` is the one that it was made under. `gone` are starts of the windows that it was measured from and
    that have no readable batch any more, though the ledger holds a verdict on them.
    """

    seq: int
    at: datetime
    phase: str
    window_start: datetime
    kind: str
    recorded: Said
    now: Said | None
    judging_digest: str = ""
    gone: tuple[datetime, ...] = ()

    @property
    def is_changed(self) -> bool:
        """Whether another verdict would be recorded today."""
        return self.now is not None and self.now != self.recorded


@dataclass(frozen=True, slots=True)
class _Check:
    """The decisions that one check recorded, oldest window first.

    `begun` is the number of the first record of its append; `shares_instant` says that the record before has its time.
    """

    begun: int
    at: datetime
    shares_instant: bool
    records: tuple[Record, ...]


def audit(
    governed: Governed, request: Request, past: Past, since: datetime | None, until: datetime | None
) -> list[Finding]:
    """A finding for each decision on a window that begins in `[since, until)`, in the ledger's order.

    Raises CannotDecide where the ledger holds none, and what loading logs raises.
    """
    chosen = {record.seq for record in past.records if _is_chosen(record, since, until)}
    if not chosen:
        raise CannotDecide("the ledger holds no decision on a window of that span; there is nothing to audit")
    findings: list[Finding] = []
    by_phase: dict[str, list[_Check]] = {}
    for check in _checks(past.records):
        own = [record for record in check.records if record.seq in chosen]
        if own and all(_is_comparable(governed, record) for record in check.records):
            by_phase.setdefault(own[0].phase, []).append(check)
        else:
            findings += [_finding(record, OTHER_POLICY) for record in own]
    for phase, checks in by_phase.items():
        with _Audit(governed, replace(request, phase=phase, events_of=None), past, checks) as seen:
            findings += [finding for finding in seen.findings() if finding.seq in chosen]
    return sorted(findings, key=lambda finding: finding.seq)


def _is_chosen(record: Record, since: datetime | None, until: datetime | None) -> bool:
    start = record.window_start
    if record.kind != "decision" or start is None:
        return False
    return (since is None or start >= since) and (until is None or start < until)


def _checks(records: Sequence[Record]) -> Iterator[_Check]:
    """The decisions of each append, which are one check's."""
    before: Record | None = None
    append: list[Record] = []
    for record in records:
        append.append(record)
        if record.more:
            continue
        for _, rows in groupby((row for row in append if row.kind == "decision"), key=lambda row: row.phase):
            shares = before is not None and before.at == append[0].at
            yield _Check(append[0].seq, record.at, shares, tuple(rows))
        before, append = record, []


def _start(record: Record) -> datetime:
    return DecidedWindow.of(record).window_start


def _is_comparable(governed: Governed, record: Record) -> bool:
    """Whether the decision was made under the same judging digest, on a window that the policy has."""
    policy, decided = governed.policy, DecidedWindow.of(record)
    start = decided.window_start
    return (
        decided.judging_digest == governed.judging_digest
        and decided.phase in policy.phase_names
        and floor_to_window(start, policy.window) == start
        and decided.window_end == start + policy.window
    )


class _Audit:
    """The checks of one phase over one history, which is loaded once. Its gate is opened where one could pass."""

    def __init__(self, governed: Governed, request: Request, past: Past, checks: Sequence[_Check]) -> None:
        self._past, self._checks = past, checks
        self._folder = LogFolder(request.logs)
        self._history = _history(governed, request, checks, self._folder)
        self._bare = replace(self._history, alerts=(), releases_seen=())
        self._hidden = frozenset(_hidden(self._history, past.state.recorded_violations))
        self._releases: dict[datetime, list[ReleaseSeen]] = {}
        for row in self._history.releases_seen:
            self._releases.setdefault(row.window_start, []).append(row)
        self._open = ExitStack()
        self._runner: GateRunner | None = None
        self._shown: frozenset[RecordedViolation] = frozenset()

    def __enter__(self) -> _Audit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def findings(self) -> Iterator[Finding]:
        """Each decision of the checks beside what it comes to now; one state of the ledger is held at a time."""
        states = states_before(self._past.records, {check.begun for check in self._checks})
        for check, (_, state) in zip(self._checks, states, strict=True):
            decision = self._decide(check, state)
            yield from (self._compared(record, decision, state) for record in check.records)

    def _decide(self, check: _Check, state: LedgerState) -> Decision:
        history, policy = self._history, self._history.governed.policy
        newest = _newest(check, policy.window, policy.lateness)
        items = [history.judged[start] for start in sorted({newest.start, *map(_start, check.records)})]
        lens = replace(history.lens, as_of=check.at)
        entry = phase_entry(policy.window, self._folder, state, False, newest)
        bare = replace(self._bare, lens=lens)
        decision = decide(_case(bare, items, _PASSING, standing_of(bare, state, entry, newest)))
        if decision.verdict is not Verdict.ADVANCE:
            return decision  # gate and alerts only ever stand against an advance, and to ask them takes its time
        seen = replace(history, lens=lens, releases_seen=self._releases_before(newest))
        since = self._since(seen, state, entry, newest)
        # the check's own records bear its time, and were not there yet
        at = check.at if check.shares_instant else check.at - _INSTANT
        gate = ask_gate(self._runner_for(state), seen, newest, since, at)
        return decide(_case(seen, items, gate, standing_of(seen, state, since, newest)))

    def _since(self, seen: History, state: LedgerState, entry: datetime, newest: Window) -> datetime:
        governed = seen.governed
        release_at = new_release_at(seen.releases(newest), newest.end)
        changed_at = state.judging_digest_changed_at(governed.judging_digest)
        return streak_start(governed.policy.window, entry, release_at, changed_at)

    def _releases_before(self, newest: Window) -> tuple[ReleaseSeen, ...]:
        """Those that `History.releases` may ask for; to look through all of them for each check takes too long."""
        governed = self._history.governed
        length = governed.policy.window
        count = gate_lookback(governed, self._history.lens.phase) // length + 2
        rows = [row for step in range(count) for row in self._releases.get(newest.start - length * step, ())]
        return tuple(sorted(rows, key=lambda row: (row.first_at, row.release)))

    def _runner_for(self, state: LedgerState) -> GateRunner:
        """The gate over the windows with the violations that the ledger held by then, though the logs show them not."""
        shown = self._hidden & state.recorded_violations
        if self._runner is None or shown != self._shown:
            self._open.close()
            phase, changed = self._history.lens.phase, {row.window_start for row in shown}
            judged = [
                with_recorded(item, phase, shown) if item.window.start in changed else item
                for item in self._history.judged.values()
            ]
            self._runner = self._open.enter_context(open_gate(self._history, judged, self._past.records))
            self._shown = shown
        return self._runner

    def _compared(self, record: Record, decision: Decision, state: LedgerState) -> Finding:
        now = covered(self._history, self._history.judged[_start(record)])
        said = Said(
            now.outcome.value, decision.verdict.value, tuple(sorted(now.violations)), decision.rollback_required
        )
        is_other = now.inputs_digest != record.data["inputs_digest"]
        gone = tuple(self._gone(now.window, record, state)) if is_other else ()
        if said == _recorded(record):
            return replace(_finding(record, INPUTS if is_other else SAME), now=said, gone=gone)
        return replace(_finding(record, MISSING if gone else DIFFERS), now=said, gone=gone)

    def _gone(self, window: Window, record: Record, state: LedgerState) -> Iterator[datetime]:
        """Windows of what was measured that had a verdict by then, and have no readable batch now."""
        telemetry, start = self._history.telemetry, window.start - self._history.governed.lookback
        while start <= window.start:
            before = state.decided.get(start)
            outcome = record.data["outcome"] if start == window.start else before.outcome if before else "no_data"
            has_batch = telemetry.has_batch(start) and not telemetry.is_unreadable(start)
            if not has_batch and outcome not in (Status.NO_DATA, Status.ERROR):
                yield start
            start += telemetry.window


def _newest(check: _Check, window: timedelta, lateness: timedelta) -> Window:
    return max(newest_closed(check.at, window, lateness), window_at(_start(check.records[-1]), window))


def _history(governed: Governed, request: Request, checks: Sequence[_Check], folder: LogFolder) -> History:
    """The windows that the checks judged, with those that the gate may read before."""
    policy = governed.policy
    starts = [_start(record) for check in checks for record in check.records]
    last = max(_newest(check, policy.window, policy.lateness) for check in checks).start
    begun = floor_to_window(folder.batches[0].start, policy.window) if folder.batches else min(starts)
    lookback = gate_lookback(governed, request.phase)
    first = min(min(starts), max(begun, min(starts) + policy.window - lookback))
    with open_cache(request.cache) as cache:
        governed = proved(governed, request.phase, cache)
        lens = lens_of(governed, request)
        return load_history(governed, folder, cache, request.run, lens, first, last, request.verify_logs)


def _hidden(history: History, violations: Iterable[RecordedViolation]) -> Iterator[RecordedViolation]:
    """Violations of the phase that the ledger holds and the logs no longer show."""
    for row in violations:
        item = history.judged.get(row.window_start)
        if row.phase == history.lens.phase and item is not None and row.slo not in _violated(item):
            yield row


def _violated(item: JudgedWindow) -> set[str]:
    return {row.slo for row in item.judgements if row.status is Status.VIOLATION}


def _case(history: History, items: Sequence[JudgedWindow], gate: GateResult, standing: Standing) -> Case:
    lens = history.lens
    return Case(history.governed.policy, lens.phase, lens.phase, lens.as_of, tuple(items), gate, standing=standing)


def _recorded(record: Record) -> Said:
    data = record.data
    return Said(data["outcome"], data["decision"], tuple(sorted(data["violations"])), data["rollback_required"])


def _finding(record: Record, kind: str) -> Finding:
    start, digest = _start(record), record.data["judging_digest"]
    return Finding(record.seq, record.at, record.phase, start, kind, _recorded(record), None, digest)
