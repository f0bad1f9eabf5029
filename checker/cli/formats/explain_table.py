"""Why a window came out as it did, for people at a terminal; every text from the logs escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from checker.analyzer.explain import RowsBehind
from checker.analyzer.quarantine import BatchAccount
from checker.cli.formats.explain_document import Explanation
from checker.cli.formats.layout import INDENT, Line, Span, ends, paint, wrapped
from checker.cli.formats.table import window_text
from checker.model import Decision, Judgement
from checker.policy.model import Policy, Slo
from checker.reporter.facts import criterion_text, threshold_of, why
from checker.units import margin_percent, plain, value_text
from checker.windows import iso, window_at

_MAX_CELL = 40
_DEEPER = INDENT * 2


def render_explanation(explanation: Explanation, policy: Policy, *, colour: bool, width: int) -> str:
    """The window, each explained SLO with the rows behind it, the last break and the gate, as text.

    Rows may be wider than `width`: they stay on one line each.
    """
    decision = explanation.decision
    lines = [*_head(decision, width)]
    for row in decision.judgements:
        if row.slo in explanation.rows:
            lines += [(), *_slo(row, policy.slos[row.slo], explanation, width)]
    lines += [(), *_streak(decision, policy, width), *_gate(decision, width), *_counts(decision, width)]
    return paint(lines, colour=colour)


def _head(decision: Decision, width: int) -> Iterator[Line]:
    place = f"{decision.title} · phase {decision.phase} · window {window_text(decision.window)} UTC"
    yield from ends(plain(place), decision.verdict.value.upper(), width, "bold")
    if decision.what_if:
        told = f"phase {decision.events_of}'s events by phase {decision.phase}'s thresholds"
        yield from wrapped(told, width, "cyan", "What-if: ")
    for reason in decision.reasons:
        yield from wrapped(reason, width, label="Why: ")


def _slo(row: Judgement, slo: Slo, explanation: Explanation, width: int) -> Iterator[Line]:
    yield from ends(plain(f"{INDENT}{slo.title}"), row.status.value, width, "bold")
    yield from _told(_measured(row, slo), width)
    yield from _told(f"{explanation.measures[row.slo]} (queries/{slo.query})", width)
    reason = row.reason or why(row)
    if reason:
        yield from _told(f"why: {reason}", width)
    if row.recorded:
        yield from _told("recorded in the ledger; today's logs say otherwise", width)
    if row.evidence:
        evidence = ", ".join(f"{key} {_cell(value)}" for key, value in row.evidence.items())
        yield from _told(f"evidence: {evidence}", width)
    for behind in explanation.rows[row.slo]:
        yield from _rows(behind, iso(row.window.start), width)


def _told(text: str, width: int) -> Iterator[Line]:
    return wrapped(text, width, label=INDENT)


def _measured(row: Judgement, slo: Slo) -> str:
    """`1.73 s from 480 samples; threshold ≤ 2.0 s, 13 % of it free; a warning past 1.6 s`."""
    threshold, margin = row.threshold, margin_percent(row.value, row.threshold)
    share = "" if margin is None else f", {margin} % of it free" if margin >= 0 else f", {-margin} % past it"
    side = "below" if threshold.comparison.sign == "≥" else "past"
    warning = "" if threshold.warn_limit is None else f"; a warning {side} {threshold.warn_limit:g} {slo.unit}"
    value = value_text(row.value, slo.unit, threshold)
    return f"{value} from {counted(row.samples, 'sample')}; threshold {threshold_of(slo, row)}{share}{warning}"


def counted(count: int, noun: str, nouns: str = "") -> str:
    """`1 sample`, `1,200 samples`; `nouns` is the plural where it takes more than an s."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"


def _rows(behind: RowsBehind, window_start: str, width: int) -> Iterator[Line]:
    what = f"{behind.cte} by {behind.by}"
    if behind.error is not None:
        yield from _told(f"{what}: cannot be shown: {behind.error}", width)
    elif not behind.rows:
        yield from _told(f"{what}: none", width)
    else:
        yield from _told(f"{what}: {len(behind.rows)} of {behind.total:,}", width)
        yield from grid(*_without_own_window(behind, window_start))


def _without_own_window(behind: RowsBehind, window_start: str) -> tuple[list[str], list[list[Any]]]:
    """Heads and cells, without the window's start where every row is of the window itself."""
    kept = [
        place
        for place, name in enumerate(behind.columns)
        if name != "window_start" or any(row[place] != window_start for row in behind.rows)
    ]
    return [behind.columns[place] for place in kept], [[row[place] for place in kept] for row in behind.rows]


def grid(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[Line]:
    """Rows under their heads, numbers to the right; what is wider than a cell may be ends in `…`."""
    cells = [list(map(_cell, row)) for row in (heads, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(isinstance(row[place], (int, float, type(None))) for row in rows) for place in range(len(heads))]
    for number, row in enumerate(cells):
        padded = (
            " " * (size - cell_len(cell)) + cell if right else cell + " " * (size - cell_len(cell))
            for cell, size, right in zip(row, widths, numeric, strict=True)
        )
        yield (Span(_DEEPER + INDENT + INDENT.join(padded), "" if number else "dim"),)


def _cell(value: Any) -> str:
    match value:
        case None:
            text = "–"
        case bool():
            text = "true" if value else "false"
        case float():
            text = f"{value:.6g}"
        case _:
            text = plain(str(value))
    return text if cell_len(text) <= _MAX_CELL else set_cell_size(text, _MAX_CELL - 1) + "…"


def _streak(decision: Decision, policy: Policy, width: int) -> Iterator[Line]:
    broken = decision.last_break
    if broken is None:
        yield from wrapped("none among the windows that count", width, label="Last break of the streak: ")
        return
    slo = policy.slos[broken.slo]
    told = [f"{window_text(broken.window)} UTC, {slo.title}: {broken.status.value}"]
    told += [_measured(broken, slo)] if broken.value is not None else []
    reason = broken.reason or why(broken)
    yield from wrapped("; ".join([*told, reason] if reason else told), width, label="Last break of the streak: ")
    command = f"phasegate explain --phase={decision.phase} --window={iso(broken.window.start)} --slo={broken.slo}"
    yield (Span(_DEEPER + plain(command), "dim"),)


def _gate(decision: Decision, width: int) -> Iterator[Line]:
    gate = decision.gate
    yield from wrapped(f"{'passed' if gate.passed else 'not passed'} (queries/{gate.query})", width, label="Gate: ")
    if gate.error is not None:
        yield from _told(gate.error, width)
    for row in gate.criteria:
        mark = "✓" if row.passed else "✗"
        since = f", since {iso(row.since)}" if row.since else ""
        yield from _told(f"{mark} {criterion_text(row)}{since}{f'; {row.reason}' if row.reason else ''}", width)


def _counts(decision: Decision, width: int) -> Iterator[Line]:
    counts = decision.inputs
    told = (
        f"{counted(counts.batches, 'batch', 'batches')}, {counted(counts.events, 'event')}, "
        f"{counted(counts.duplicates, 'duplicate')}, "
        f"{counts.too_late:,} too late, {counts.quarantined:,} quarantined"
    )
    yield from wrapped(told, width, label="Input: ")


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
    """`482 lines = 481 events + 0 duplicates + 0 too late + 1 quarantined (1 wrong_type)`."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(account.quarantined.items()))
    total = sum(account.quarantined.values())
    return (
        f"{account.lines:,} lines = {account.events:,} events + {account.duplicates:,} duplicates + "
        f"{account.too_late:,} too late + {total:,} quarantined{f' ({reasons})' if reasons else ''}"
    )
