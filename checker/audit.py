"""Every recorded decision made again from today's logs: what late events, or batches that are gone, would change.

The ledger is taken as it stood before each check, and the clock as the check had it; only the logs are today's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import open_cache
from checker.analyzer.due import is_what_if, phase_entry
from checker.analyzer.gate import GateRunner
from checker.analyzer.governed import Governed
from checker.analyzer.history import History, covered, gate_lookback, load_history, open_gate
from checker.errors import CannotDecide
from checker.ledger.records import Record
from checker.ledger.state import LedgerState, states_before
from checker.model import Covered
from checker.pipeline import Past, Request, as_recorded, decide_at, lens_of, proved
from checker.windows import floor_to_window, newest_closed

SAME, INPUTS, DIFFERS, MISSING, OTHER_POLICY = "same", "inputs_changed", "differs", "batch_missing", "other_policy"


@dataclass(frozen=True, slots=True)
class Said:
    """What was decided of a window: its outcome, the decision, and the SLOs that it violates."""

    outcome: str
    decision: str
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One recorded decision and what it would be now; `now` is None where the two cannot be compared."""

    seq: int
    at: datetime
    phase: str
    window_start: datetime
    kind: str
    recorded: Said
    now: Said | None

    @property
    def is_changed(self) -> bool:
        """Whether another verdict would be recorded today."""
        return self.kind in (DIFFERS, MISSING)


def audit(
    governed: Governed, request: Request, past: Past, since: datetime | None, until: datetime | None
) -> list[Finding]:
    """A finding for each decision on a window that begins in `[since, until)`, in the ledger's order.

    Raises CannotDecide where the ledger holds none, and what loading logs raises.
    """
    chosen = [record for record in past.records if _is_chosen(record, since, until)]
    if not chosen:
        raise CannotDecide("the ledger holds no decision on a window of that span; there is nothing to audit")
    findings: list[Finding] = []
    for phase in dict.fromkeys(record.phase for record in chosen):
        own = [record for record in chosen if record.phase == phase]
        if phase in governed.policy.phase_names:
            findings += _audit_phase(governed, replace(request, phase=phase, events_of=None), past, own)
        else:
            findings += [_finding(record, OTHER_POLICY, None) for record in own]
    return sorted(findings, key=lambda finding: finding.seq)


def _is_chosen(record: Record, since: datetime | None, until: datetime | None) -> bool:
    start = record.window_start
    if record.kind != "decision" or start is None:
        return False
    return (since is None or start >= since) and (until is None or start < until)


def _audit_phase(governed: Governed, request: Request, past: Past, records: Sequence[Record]) -> Iterator[Finding]:
    """The decisions of one phase, over one loading of its windows."""
    policy = governed.policy
    starts = [record.window_start for record in records if record.window_start is not None]
    newest = newest_closed(request.as_of, policy.window, policy.lateness)
    first = floor_to_window(min(starts) + policy.window - gate_lookback(governed, request.phase), policy.window)
    folder, lens = LogFolder(request.logs), lens_of(governed, request)
    first = max(first, folder.batches[0].start - policy.window) if folder.batches else min(starts)
    with open_cache(request.cache) as cache:
        governed = proved(governed, lens.events_of, cache)
        last = max(newest.start, *starts)
        history = load_history(governed, folder, cache, request.run, lens, min(first, *starts), last)
    begun = _begun(past.records)
    checks = [list(group) for _, group in groupby(records, key=lambda record: begun[record.seq])]
    before = dict(states_before(past.records, {begun[check[0].seq] for check in checks}))
    with open_gate(history, as_recorded(history, list(history.judged.values()), past), past.records) as runner:
        for check in checks:
            yield from _audit_check(history, runner, folder, check, before[begun[check[0].seq]])


def _begun(records: Sequence[Record]) -> dict[int, int]:
    """For each record the number of the first one that was appended together with it."""
    begun: dict[int, int] = {}
    first: int | None = None
    for record in records:
        first = record.seq if first is None else first
        begun[record.seq] = first
        first = first if record.more else None
    return begun


def _audit_check(
    history: History, runner: GateRunner, folder: LogFolder, check: Sequence[Record], state: LedgerState
) -> Iterator[Finding]:
    """The decisions that one check recorded, which share its verdict."""
    governed, at = history.governed, check[0].at
    if any(record.data["judging_digest"] != governed.judging_digest for record in check):
        yield from (_finding(record, OTHER_POLICY, None) for record in check)
        return
    policy = governed.policy
    newest = newest_closed(at, policy.window, policy.lateness)
    seen = replace(history, lens=replace(history.lens, as_of=at))
    what_if = is_what_if(state, history.lens)
    entry = phase_entry(policy.window, folder, state, what_if, newest)
    due = sorted({record.window_start for record in check if record.window_start is not None})
    items = [history.judged[start] for start in due]
    then = Past(state=state)
    verdict = decide_at(seen, runner, then, items, newest, entry, what_if, True, ahead=False).verdict.value
    for record in check:
        if record.window_start is not None:
            now = covered(history, history.judged[record.window_start])
            yield _compared(history, record, now, verdict)


def _compared(history: History, record: Record, now: Covered, verdict: str) -> Finding:
    said = Said(now.outcome.value, verdict, tuple(sorted(now.violations)))
    is_same = said == _recorded(record)
    if is_same:
        return _finding(record, SAME if record.data["inputs_digest"] == now.inputs_digest else INPUTS, said)
    is_gone = not history.telemetry.has_batch(now.window.start) and record.data["outcome"] != "no_data"
    return _finding(record, MISSING if is_gone else DIFFERS, said)


def _recorded(record: Record) -> Said:
    data = record.data
    return Said(data["outcome"], data["decision"], tuple(sorted(data["violations"])))


def _finding(record: Record, kind: str, now: Said | None) -> Finding:
    if record.window_start is None:
        raise ValueError(f"decision {record.seq} names no window")
    return Finding(record.seq, record.at, record.phase, record.window_start, kind, _recorded(record), now)
