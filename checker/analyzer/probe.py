"""Runs governed queries over made-up relations, for what of their contract shows only when they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from checker.analyzer import made_up
from checker.analyzer.explain import KINDS, task_rows, with_whole_rows
from checker.analyzer.gate import COLUMNS, GateAlert, GateLedgerRow, GateWindow, gate_runner
from checker.analyzer.header import did_you_mean
from checker.analyzer.parser import Parser, parser
from checker.analyzer.queries import Query
from checker.analyzer.results import FIRST_COLUMNS, agree, measurements
from checker.analyzer.rules import IngestRules
from checker.analyzer.sandbox import Rows
from checker.analyzer.span_events import SloTask, Span
from checker.analyzer.spans import OpenSpan, open_span
from checker.child.allowance import Allowance
from checker.errors import Problem, QueryFailed
from checker.model import Measurement, Status, Window
from checker.policy.model import Gate, Policy
from checker.windows import iso, windows_between

SPAN_WINDOWS = 16
_SLO_TYPES = dict(zip(FIRST_COLUMNS, ("TIMESTAMP", "DOUBLE", "BIGINT"), strict=True))
_GATE_TYPES = dict(zip(COLUMNS, ("VARCHAR", "DOUBLE", "DOUBLE", "BOOLEAN", "TIMESTAMP", "VARCHAR"), strict=True))
_MIXED = (Status.OK, Status.OK, Status.WARN, Status.VIOLATION, Status.OK, Status.NO_DATA, Status.ERROR)


def slo_problems(tasks: Sequence[SloTask], rules: IngestRules, phase: str, allowance: Allowance) -> Iterator[Problem]:
    """What the tasks' queries break of their contract over no events, over made-up ones, and over these in halves."""
    if not tasks:
        return
    with open_span(_span(tasks, rules, phase, empty=True), rules, allowance) as opened:
        for task in tasks:
            yield from _problems(opened, task, "over windows without events")
    tasks = with_whole_rows(tasks)
    span = _span(tasks, rules, phase, empty=False)
    queries = [task.query for task in tasks]
    fill = made_up.event_filler(rules.schema, queries, (*span.before, *span.windows), phase)
    with open_span(span, rules, allowance, fill) as opened, parser(allowance) as reader:
        for task in tasks:
            found = list(_problems(opened, task, "over made-up events"))
            yield from found or _halves_problems(opened, task)
            yield from _header_problems(reader, opened, task)


@dataclass(frozen=True, slots=True)
class Halves:
    """What a span and its halves showed: queries that read what they must not, and paths of those that did not run."""

    problems: tuple[Problem, ...]
    untried: frozenset[str]


def try_halves(tasks: Sequence[SloTask], rules: IngestRules, phase: str, allowance: Allowance) -> Halves:
    """Measure made-up windows in a span and in its halves, and compare.

    A query that fails over made-up events is let be: it fails, or not, over the real ones.
    """
    span = _span(tasks, rules, phase, empty=False)
    queries = [task.query for task in tasks]
    fill = made_up.event_filler(rules.schema, queries, (*span.before, *span.windows), phase)
    with open_span(span, rules, allowance, fill) as opened:
        problems: list[Problem] = []
        untried: set[str] = set()
        for task in tasks:
            try:
                problems += _differences(opened, task)
            except QueryFailed:
                untried.add(task.query.path)
    return Halves(tuple(problems), frozenset(untried))


def _span(tasks: Sequence[SloTask], rules: IngestRules, phase: str, *, empty: bool) -> Span:
    steps = -(-max(task.lookback for task in tasks) // rules.window)
    first = made_up.FIRST + rules.window * steps
    before = tuple(windows_between(made_up.FIRST, first, rules.window))
    windows = tuple(windows_between(first, first + rules.window * SPAN_WINDOWS, rules.window))
    return Span(
        windows=windows,
        before=before,
        presence={w.start: not empty and made_up.has_batch(n) for n, w in enumerate((*before, *windows))},
        batches=(),
        shared=frozenset(),
        tasks=tuple(tasks),
        phase=phase,
        seal_limit=None,
    )


def _problems(opened: OpenSpan, task: SloTask, where: str) -> Iterator[Problem]:
    """A query that fails, columns that are not the agreed ones, windows without their one row."""
    shown = f"queries/{task.query.path}"
    try:
        result = opened.run(task, opened.span.windows)
        wrong = list(_type_problems(task.query, result, _SLO_TYPES))
        yield from wrong
        rows = [] if wrong else list(measurements(task.slo, result, opened.span.windows))
    except QueryFailed as fault:
        yield _failed(task.query, fault, where)
        return
    for row in rows:
        if row.error is not None:
            yield Problem(shown, 0, 0, f"{where}: window {iso(row.window_start)}: {row.error}")
            return


def _failed(query: Query, fault: QueryFailed, where: str) -> Problem:
    """A query that failed; one that cannot even be bound fails over whatever it is run."""
    unbound = str(fault).startswith(("Binder Error", "Catalog Error"))
    told = str(fault) if unbound else f"{where}: {fault}"
    return Problem(f"queries/{query.path}", fault.line, 0, told)


def _type_problems(query: Query, result: Rows, expected: Mapping[str, str]) -> Iterator[Problem]:
    line = query.header.line("returns")
    found = result.names[: len(expected)]
    if found != tuple(expected):
        told = f"returns {', '.join(result.names)}; the first columns must be {', '.join(expected)}"
        yield Problem(f"queries/{query.path}", line, 0, told)
        return
    for name, kind in zip(found, result.types, strict=False):
        if kind != expected[name]:
            told = f"returns {name} as {kind}; expected {expected[name]}, so write …::{expected[name].lower()}"
            yield Problem(f"queries/{query.path}", line, 0, told)


def _halves_problems(opened: OpenSpan, task: SloTask) -> Iterator[Problem]:
    try:
        yield from _differences(opened, task)
    except QueryFailed as fault:
        yield _failed(task.query, fault, "over half a span of made-up events")


def _differences(opened: OpenSpan, task: SloTask) -> Iterator[Problem]:
    """The first window whose measurement in the whole span is not the one in a half, with the declared lookback.

    Raises QueryFailed.
    """
    windows = opened.span.windows
    middle = len(windows) // 2
    whole = _measured(opened, task, windows)
    halves = _measured(opened, task, windows[:middle]) | _measured(opened, task, windows[middle:])
    for window in windows:
        one, other = whole[window], halves[window]
        if not agree(one, other):
            yield Problem(
                f"queries/{task.query.path}",
                task.query.header.line("lookback"),
                0,
                f"header: lookback: reads more than the window and its lookback ({task.query.header.get('lookback')}): "
                f"over made-up events the window {iso(window.start)} measures {_told(one)} in the whole span and "
                f"{_told(other)} in a half; declare the lookback it needs, or read less",
            )
            return


def _told(row: Measurement) -> str:
    return f"{row.value} ({row.samples} samples)"


def _measured(opened: OpenSpan, task: SloTask, windows: Sequence[Window]) -> dict[Window, Measurement]:
    rows = list(measurements(task.slo, opened.run(task, windows), windows))
    return dict(zip(windows, rows, strict=True))


def _header_problems(reader: Parser, opened: OpenSpan, task: SloTask) -> Iterator[Problem]:
    """`worst` and `counts` lines that name what is not there."""
    header, shown = task.query.header, f"queries/{task.query.path}"
    ctes = reader.mentions(task.query.sql).ctes
    asked = {kind: rows for kind in KINDS if (rows := header.rows(kind))}
    for kind, (cte, _) in asked.items():
        if cte not in ctes:
            told = f"header: {kind}: there is no CTE '{cte}'{did_you_mean(cte, ctes)}"
            yield Problem(shown, header.line(kind), 0, told)
    for behind in task_rows(reader, opened, task, opened.span.windows[-1]):
        if behind.error is not None and behind.cte in ctes:
            yield Problem(shown, header.line(behind.kind), 0, f"header: {behind.kind}: {behind.error}")


def gate_problems(policy: Policy, queries: Mapping[str, Query], allowance: Allowance) -> Iterator[Problem]:
    """What the gates' queries break of their contract over nothing, over a mixed history and over one all met."""
    for gate in policy.gates.values():
        phase = next((item.name for item in policy.phases if item.gate == gate.name), None)
        query = queries.get(gate.query)
        if query is not None and phase is not None:
            yield from _gate_problems(policy, gate, query, phase, allowance)


def _gate_problems(policy: Policy, gate: Gate, query: Query, phase: str, allowance: Allowance) -> Iterator[Problem]:
    count = -(-query.lookback_length(policy.window, gate.parameters) // policy.window) + 2
    histories: dict[str, tuple[int, Sequence[Status]]] = {
        "over no windows": (0, ()),
        "over a made-up history": (count, _MIXED),
        "over windows that are all met": (count, (Status.OK,)),
    }
    for where, (windows, statuses) in histories.items():
        history = _made_up_history(policy, phase, windows, statuses)
        end = made_up.FIRST + policy.window * windows
        try:
            with gate_runner(gate, query, phase, *history, allowance) as runner:
                result = runner.rows(made_up.FIRST, made_up.FIRST, end, end)
        except QueryFailed as fault:
            yield _failed(query, fault, where)
            continue
        yield from _type_problems(query, result, _GATE_TYPES)
        if not result.rows and where != "over no windows":
            told = f"{where}: returns no row, so the gate can never pass; return one row per criterion"
            yield Problem(f"queries/{query.path}", 0, 0, told)


def _made_up_history(
    policy: Policy, phase: str, count: int, statuses: Sequence[Status]
) -> tuple[list[GateWindow], list[GateAlert], list[GateLedgerRow]]:
    windows = made_up.gate_windows(policy, phase, count, statuses)
    is_mixed = len(statuses) > 1
    alerts = made_up.alerts(windows) if is_mixed else []
    records = made_up.records(windows, phase) if is_mixed else []
    return windows, alerts, records
