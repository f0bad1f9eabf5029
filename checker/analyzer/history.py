"""A stretch of judged windows with all that gates and decisions ask of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from checker.analyzer.batch_index import ReleaseSeen
from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import Cache
from checker.analyzer.gate import INCIDENT_ALERT, GateAlert, GateLedgerRow, GateRunner, GateWindow, gate_runner
from checker.analyzer.governed import Governed
from checker.analyzer.judge import JudgedWindow, judge_window
from checker.analyzer.measure import Measured, measure
from checker.analyzer.telemetry import Mapper, Telemetry, load_telemetry
from checker.ledger.records import Record
from checker.ledger.values import RecordedViolation
from checker.model import Covered, GateResult, Judgement, OnViolation, Status, Window
from checker.windows import floor_to_window, windows_between

RETRY_EXHAUSTED = "collector.retry_exhausted"


@dataclass(frozen=True, slots=True)
class Lens:
    """Whose thresholds hold (`phase`) over whose events (`events_of`), and the clock."""

    phase: str
    events_of: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class History:
    """Judged windows in a row, oldest first, and the telemetry behind them.

    `alerts` and `releases_seen` are those of the phase's events, oldest first.
    """

    governed: Governed
    lens: Lens
    telemetry: Telemetry
    judged: Mapping[datetime, JudgedWindow]
    alerts: tuple[GateAlert, ...]
    releases_seen: tuple[ReleaseSeen, ...]

    def blocking_alerts(self, first: datetime, last: datetime) -> tuple[str, ...]:
        """Names of the alerts in windows from `first` to `last` that block a gate whatever its query counts."""
        names = {
            alert.name for alert in self.alerts if alert.name == RETRY_EXHAUSTED and first <= alert.window_start <= last
        }
        return tuple(sorted(names))

    def releases(self, newest: Window) -> tuple[ReleaseSeen, ...]:
        """Releases seen in the gate's lookback up to `newest` and one window before, whatever else was loaded."""
        length = self.governed.policy.window
        first = newest.end - gate_lookback(self.governed, self.lens.phase) - length
        return tuple(row for row in self.releases_seen if first <= row.window_start <= newest.start)


def gate_lookback(governed: Governed, phase: str) -> timedelta:
    """How far before the newest window's end the gate for leaving `phase` may read."""
    gate = governed.policy.gate_of(phase)
    return governed.queries[gate.query].lookback_length(governed.policy.window, gate.parameters)


def load_history(
    governed: Governed,
    folder: LogFolder,
    cache: Cache,
    run: Mapper,
    lens: Lens,
    first: datetime,
    last: datetime,
    verify_logs: bool = False,
) -> History:
    """Judge every window that starts in `[first, last]`; only what the cache does not know is read."""
    policy, rules = governed.policy, governed.rules
    reach = first - governed.lookback - policy.window
    telemetry = load_telemetry(folder, cache, rules, reach, last, lens.as_of, run, verify_logs)
    windows = list(windows_between(first, last + policy.window, policy.window))
    measured = measure(telemetry, governed.tasks, lens.events_of, windows, rules, cache, governed.allowance, run)
    judged = {window.start: _judge(governed, lens, telemetry, measured, window) for window in windows}
    return History(
        governed,
        lens,
        telemetry,
        judged,
        alerts=tuple(
            GateAlert(alert.at, alert.window_start, alert.name, alert.severity)
            for alert in telemetry.alerts()
            if alert.phase == lens.events_of
        ),
        releases_seen=telemetry.releases(lens.events_of),
    )


def _judge(governed: Governed, lens: Lens, telemetry: Telemetry, measured: Measured, window: Window) -> JudgedWindow:
    start = window.start
    count = measured.counts[start]
    own_copies = sum(batch.index.duplicates.get(start, 0) for batch in telemetry.touches(start))
    return judge_window(
        governed.policy,
        lens.phase,
        window,
        measured.measurements,
        telemetry.counts(start, count.events, own_copies + count.duplicates),
        telemetry.has_batch(start),
        _unreadable(governed, telemetry, start),
        _incomplete(governed, telemetry, start),
    )


def _unreadable(governed: Governed, telemetry: Telemetry, start: datetime) -> dict[str, str]:
    """By SLO, why a batch of the window or of the SLO's lookback could not be read: what it held is not known."""
    if not telemetry.unreadable:
        return {}
    return {
        task.slo: reason
        for task in governed.tasks
        for batch_start, reason in telemetry.unreadable.items()
        if start - task.lookback <= floor_to_window(batch_start, telemetry.window) <= start
    }


def _incomplete(governed: Governed, telemetry: Telemetry, start: datetime) -> dict[str, str]:
    """By SLO, which sources' lines of the window or of the SLO's lookback are still to come."""
    found: dict[str, str] = {}
    for task in governed.tasks:
        reach = windows_between(start - task.lookback, start + telemetry.window, telemetry.window)
        missing = {source for window in reach for source in telemetry.missing_sources(window.start)}
        if missing:
            names = ", ".join(sorted(missing))
            found[task.slo] = f"sealed without {names}, whose lines come with a later batch"
    return found


def covered(history: History, item: JudgedWindow) -> Covered:
    """The window as the ledger is to keep it."""
    start = item.window.start
    return Covered(
        window=item.window,
        outcome=item.outcome,
        violations=tuple(row.slo for row in item.judgements if row.status is Status.VIOLATION),
        inputs_digest=history.telemetry.inputs_digest(start, history.governed.lookback),
        exhausted=bool(history.blocking_alerts(start, start)),
    )


def with_recorded(judged: JudgedWindow, phase: str, violations: frozenset[RecordedViolation]) -> JudgedWindow:
    """The window with the violations that the ledger holds for it, even where today's logs no longer show them."""
    slos = {row.slo for row in violations if row.window_start == judged.window.start and row.phase == phase}
    if not slos:
        return judged
    judgements = tuple(
        replace(row, status=Status.VIOLATION, recorded=True, reason="recorded in the ledger")
        if row.slo in slos and row.status is not Status.VIOLATION
        else row
        for row in judged.judgements
    )
    return replace(judged, judgements=judgements, outcome=Status.VIOLATION)


def last_break(
    history: History, since: datetime, newest: Window, violations: frozenset[RecordedViolation]
) -> Judgement | None:
    """The worst judgement of the newest window from `since` to `newest` that does not meet every SLO.

    `violations` are those that the ledger holds.
    """
    start = newest.start
    while start >= since and start in history.judged:
        item = with_recorded(history.judged[start], history.lens.phase, violations)
        start -= history.governed.policy.window
        broken = [row for row in _counted(history, item) if not row.status.is_met]
        if broken:
            return max(broken, key=lambda row: row.status.severity)
    return None


def _counted(history: History, item: JudgedWindow) -> Iterator[Judgement]:
    """Judgements that a gate sees; an SLO that is only observed is not among them."""
    slos = history.governed.policy.slos
    return (row for row in item.judgements if slos[row.slo].on_violation is not OnViolation.OBSERVE)


@contextmanager
def open_gate(history: History, judged: Sequence[JudgedWindow], records: Sequence[Record]) -> Iterator[GateRunner]:
    """The phase's gate over `judged` (oldest first), followed by met windows for asking when it can pass."""
    policy, phase = history.governed.policy, history.lens.phase
    windows = [
        GateWindow(
            item.window,
            history.telemetry.has_batch(item.window.start),
            item.inputs.events,
            tuple(_counted(history, item)),
        )
        for item in judged
    ]
    steps = -(-gate_lookback(history.governed, phase) // policy.window) + 1
    alerts = [*history.alerts, *_incident_alerts(records, policy.window)]
    ledger = [
        GateLedgerRow(row.seq, row.at, row.kind, row.phase, row.window_start, row.id, row.data) for row in records
    ]
    future = list(_met_windows(windows[-1], steps))
    query = history.governed.gate_query(phase)
    with gate_runner(
        policy.gate_of(phase),
        query,
        history.lens.events_of,
        [*windows, *future],
        alerts,
        ledger,
        history.governed.allowance,
    ) as runner:
        yield runner


def _incident_alerts(records: Sequence[Record], length: timedelta) -> Iterator[GateAlert]:
    for record in records:
        if record.kind == "incident" and record.data["event"] == "opened":
            yield GateAlert(record.at, floor_to_window(record.at, length), INCIDENT_ALERT, "critical")


def _met_windows(newest: GateWindow, count: int) -> Iterator[GateWindow]:
    """Windows after `newest` in which every SLO is met, as far as anybody can know them."""
    length = newest.window.end - newest.window.start
    judgements = tuple(replace(row, status=Status.OK) for row in newest.judgements)
    for step in range(1, count + 1):
        window = Window(newest.window.start + length * step, newest.window.end + length * step)
        yield GateWindow(window, True, newest.events, tuple(replace(row, window=window) for row in judgements))


def ask_gate(runner: GateRunner, history: History, newest: Window, since: datetime, at: datetime) -> GateResult:
    """The gate as it stands with `newest` as the newest window."""
    first = newest.end - gate_lookback(history.governed, history.lens.phase)
    return runner.ask(first, since, newest.end, at)
