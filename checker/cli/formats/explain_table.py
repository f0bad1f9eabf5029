"""Why a window came out as it did, for people at a terminal; every text from the logs escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from checker.analyzer.explain import RowsBehind
from checker.analyzer.quarantine import BatchAccount
from checker.cli.formats.evidence import cell_text, evidence_table
from checker.cli.formats.explain_document import Explanation
from checker.cli.formats.layout import INDENT, Line, Span, ends, paint, wrapped
from checker.cli.formats.table import VERDICT_STYLES
from checker.cli.formats.wording import (
    RECORDED,
    STATUS_STYLES,
    break_found,
    earliest_text,
    head_lines,
    input_text,
    reason_of,
    reasons_text,
    titled,
    window_text,
)
from checker.model import Comparison, Decision, Judgement
from checker.policy.model import Policy, Slo
from checker.reporter.facts import criterion_text, is_streak, threshold_of
from checker.reporter.shell import command_line
from checker.units import counted, error_budget, limit_text, margin_percent, plain, value_text
from checker.windows import iso, window_at

_DEEPER = INDENT * 2


def render_explanation(
    explanation: Explanation, policy: Policy, *, colour: bool, width: int, source: tuple[str, ...] = ()
) -> str:
    """The window, each explained SLO with the rows behind it, the last break and the gate, as text.

    `source` are the options that made the call look where it looked: a command to look further repeats them. Only a
    command may be longer than `width`.
    """
    decision = explanation.decision
    lines = [*_head(explanation, policy, width)]
    for row in decision.judgements:
        if row.slo in explanation.rows:
            lines += [(), *_slo(row, policy.slos[row.slo], explanation, width)]
    lines += [(), *_streak(decision, policy, width, source), *_gate(decision, width)]
    lines += wrapped(input_text(decision.inputs), width, label="Input: ")
    return paint(lines, colour=colour)


def _head(explanation: Explanation, policy: Policy, width: int) -> Iterator[Line]:
    decision = explanation.decision
    yield from head_lines(decision, False, width, VERDICT_STYLES[decision.verdict])
    if decision.events_of not in explanation.phases:
        yield from _other_phases(decision, explanation.phases, width)
    told = tuple(f"{row.criterion}:" for row in decision.gate.criteria)  # the gate's own lines say it
    for reason in decision.reasons:
        if not reason.startswith(told):
            yield from wrapped(titled(reason, policy, decision), width, label="Why: ")
    if explanation.missing is not None:
        yield from wrapped(explanation.missing, width, "yellow", "No batch: ")


def _other_phases(decision: Decision, phases: Mapping[str, int], width: int) -> Iterator[Line]:
    """The window has events, of other phases: most likely a wrong `--phase`."""
    if not phases:
        return
    first, *others = phases
    carried = first if not others else ", ".join(f"{name} ({count:,})" for name, count in phases.items())
    what = f"the window's {counted(sum(phases.values()), 'event')} carry phase {carried}, none {decision.events_of}"
    yield from wrapped(f"{what}; --events-of={first} judges them", width, "yellow", "Why: ")


def _slo(row: Judgement, slo: Slo, explanation: Explanation, width: int) -> Iterator[Line]:
    yield from ends(plain(f"{INDENT}{slo.title}"), row.status.value, width, STATUS_STYLES[row.status])
    yield from _told(_measured(row, slo), width)
    yield from _told(f"{explanation.measures[row.slo]} (queries/{slo.query})", width)
    reason = reason_of(row)
    if reason:
        yield from _told(f"why: {reason}", width)
    if row.recorded:
        yield from _told(RECORDED, width)
    if row.evidence:
        evidence = ", ".join(f"{key} {cell_text(value)}" for key, value in row.evidence.items())
        yield from _told(f"evidence: {evidence}", width)
    rows = explanation.rows[row.slo]
    if not rows:
        told = "no rows to show: its query's header has neither a 'worst' nor a 'counts' line"
        yield from wrapped(told, width, "dim", INDENT)
    for behind in rows:
        yield from _rows(behind, iso(row.window.start), width)


def _told(text: str, width: int) -> Iterator[Line]:
    return wrapped(text, width, label=INDENT)


def _measured(row: Judgement, slo: Slo) -> str:
    """`1.73 s from 480 samples; threshold ≤ 2.0 s, 13 % of it free; a warning past 1.6 s`."""
    threshold = row.threshold
    side = "below" if threshold.comparison is Comparison.GTE else "past"
    warning = "" if threshold.warn_limit is None else f"; a warning {side} {limit_text(threshold.warn_limit, slo.unit)}"
    value = value_text(row.value, slo.unit, threshold)
    measured = f"{value} from {counted(row.samples, 'sample')}; threshold {threshold_of(slo, row)}"
    return f"{measured}{_margin(row, slo)}{warning}"


def _margin(row: Judgement, slo: Slo) -> str:
    margin = margin_percent(row.value, row.threshold, slo.unit)
    if margin is None:
        return ""
    if error_budget(row.threshold, slo.unit) is not None:
        return f", {margin} % of the error budget free" if margin >= 0 else f", error budget overspent by {-margin} %"
    return f", {margin} % of it free" if margin >= 0 else f", {-margin} % past it"


def _rows(behind: RowsBehind, window_start: str, width: int) -> Iterator[Line]:
    what = f"{behind.cte} by {behind.by}"
    if behind.error is not None:
        yield from _told(f"{what}: cannot be shown: {behind.error}", width)
    elif not behind.rows:
        yield from _told(f"{what}: none", width)
    else:
        yield from _told(f"{what}: {len(behind.rows)} of {behind.total:,}", width)
        asked = [part.split()[0] for part in behind.by.split(", ")]
        heads, rows = _without_own_window(behind, window_start)
        yield from evidence_table(heads, rows, [*asked, "rows"] if behind.kind == "counts" else asked, width)


def _without_own_window(behind: RowsBehind, window_start: str) -> tuple[list[str], list[list[Any]]]:
    """Heads and cells, without the window's start where every row is of the window itself."""
    kept = [
        place
        for place, name in enumerate(behind.columns)
        if name != "window_start" or any(row[place] != window_start for row in behind.rows)
    ]
    return [behind.columns[place] for place in kept], [[row[place] for place in kept] for row in behind.rows]


def _streak(decision: Decision, policy: Policy, width: int, source: tuple[str, ...]) -> Iterator[Line]:
    broken = decision.last_break
    if broken is None:
        yield from wrapped("none among the windows that count", width, label="Last break of the streak: ")
        return
    slo = policy.slos[broken.slo]
    told = f"{window_text(broken.window)} UTC ({slo.title}, {break_found(broken, slo)})"
    yield from wrapped(told, width, label="Last break of the streak: ")
    if broken.window == decision.window:
        return
    window, name = f"--window={iso(broken.window.start)}", f"--slo={broken.slo}"
    command = command_line(("phasegate", "explain", f"--phase={decision.phase}", window, name, *source))
    yield (Span(_DEEPER + command, "dim"),)


def _gate(decision: Decision, width: int) -> Iterator[Line]:
    gate = decision.gate
    yield from wrapped(f"{'passed' if gate.passed else 'not passed'} (queries/{gate.query})", width, label="Gate: ")
    if gate.error is not None:
        yield from _told(gate.error, width)
    for row in gate.criteria:
        mark = "✓" if row.passed else "✗"
        since = f", since {iso(row.since)}" if row.since else ""
        # the line above tells the break in the check's words; a query's may name another SLO of the same window
        reason = "" if is_streak(row) and decision.last_break is not None else row.reason
        yield from _told(f"{mark} {criterion_text(row)}{since}{f'; {reason}' if reason else ''}", width)
    earliest = earliest_text(decision)
    if earliest:
        yield from _told(f"earliest advance, if every window is met from now: {earliest}", width)


def render_account(account: BatchAccount, policy: Policy, *, colour: bool, width: int) -> str:
    """Where a batch's lines went, and each quarantined line: its number, reason and detail, then how it begins."""
    window = window_at(account.start, policy.window)
    title = f"{policy.title} · {account.name} · window {window_text(window)} UTC"
    lines: list[Line] = [(Span(plain(title), "bold"),), *wrapped(account_text(account), width)]
    for line in account.broken:
        lines += [(), *wrapped(f"{line.reason}: {line.detail}", width, label=f"line {line.number}: ")]
        lines.append((Span(_DEEPER + line.excerpt, "dim"),))
    return paint(lines, colour=colour)


def account_text(account: BatchAccount) -> str:
    """`484 lines = 483 events (2 of other windows) + 0 duplicates + 0 too late + 1 quarantined (wrong_type)`."""
    reasons = f" ({reasons_text(account.quarantined)})" if account.quarantined else ""
    other = f" ({account.of_other_windows:,} of other windows)" if account.of_other_windows else ""
    return (
        f"{counted(account.lines, 'line')} = {counted(account.events, 'event')}{other} + "
        f"{counted(account.duplicates, 'duplicate')} + {account.too_late:,} too late + "
        f"{sum(account.quarantined.values()):,} quarantined{reasons}"
    )
