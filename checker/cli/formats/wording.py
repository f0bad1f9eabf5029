"""Words that the verdict and its explanation share, so that they never tell two stories. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from checker.cli.formats.layout import Line, ends, wrapped
from checker.model import Decision, GateResult, InputCounts, Judgement, Status, Window
from checker.policy.model import COMPLETE, Policy, Slo
from checker.reporter.facts import criterion_text, threshold_of, why
from checker.units import counted, plain, value_text

RECORDED = "recorded in the ledger; today's logs say otherwise"
_SHORT_REASON = 24
STATUS_STYLES = {
    Status.OK: "green",
    Status.WARN: "yellow",
    Status.NO_DATA: "magenta",
    Status.ERROR: "magenta",
    Status.VIOLATION: "bold red",
}


def head_lines(decision: Decision, audience: bool, width: int, style: str) -> Iterator[Line]:
    """Target, phase, window and, at the right edge, the decision; a what-if says whose events they are."""
    shown = f" ({decision.audience})" if audience else ""
    window = f"window {window_text(decision.window)} UTC"
    title, verdict = f"{decision.title} · phase {decision.phase}", decision.verdict.value.upper()
    if not decision.what_if and decision.events_of == decision.phase:
        yield from ends(plain(f"{title}{shown} · {window}"), verdict, width, style)
        return
    events = f" · events of phase {decision.events_of}" if decision.events_of != decision.phase else shown
    yield from ends(plain(f"{title}{events} · what-if"), verdict, width, style)
    yield from wrapped(f"{window} · nothing is recorded", width, "cyan")


def window_text(window: Window) -> str:
    """`2026-01-02 11:45–12:00`; with the date of its end where it is a day long or longer."""
    end_form = "%H:%M" if window.end - window.start < timedelta(days=1) else "%Y-%m-%d %H:%M"
    return f"{window.start:%Y-%m-%d %H:%M}–{window.end.strftime(end_form)}"


def time_beside(instant: datetime, beside: datetime) -> str:
    """`01:30`, with its date where that is not the date of `beside`."""
    return f"{instant:%H:%M}" if instant.date() == beside.date() else f"{instant:%Y-%m-%d %H:%M}"


def summary_text(decision: Decision) -> str:
    """`AutoSave · phase B (30 %) · window 2026-01-02 11:45–12:00 UTC`, and whose events they are in a what-if."""
    window = f"window {window_text(decision.window)} UTC"
    if decision.what_if or decision.events_of != decision.phase:
        return f"{decision.title} · phase {decision.phase} · events of phase {decision.events_of} · what-if · {window}"
    return f"{decision.title} · phase {decision.phase} ({decision.audience}) · {window}"


def judged_text(row: Judgement, slo: Slo) -> str:
    """`2.31 s, threshold ≤ 2.0 s, 1,200 samples`, and why where the value does not say it."""
    measured = value_text(row.value, slo.unit, row.threshold)
    text = f"{measured}, threshold {threshold_of(slo, row)}, {counted(row.samples, 'sample')}"
    reasons = (reason_of(row), RECORDED if row.recorded else "")
    return "; ".join(filter(None, (text, *reasons)))


def gate_aim(decision: Decision) -> str:
    """`Gate to phase C`, `Gate to completion` after the last phase."""
    return "Gate to completion" if decision.next_phase == COMPLETE else f"Gate to phase {decision.next_phase}"


def gate_trouble(gate: GateResult) -> str:
    """Why a gate has no criteria to tell: its query failed, or returned no row; empty where it has some."""
    if gate.error is not None:
        return f"could not be evaluated: {gate.error}"
    return "" if gate.criteria else "not passed, its query returned no row"


def reason_of(row: Judgement) -> str:
    """Why an SLO came out as it did, as far as its value does not say it; empty where it does."""
    return (row.reason or why(row)).removeprefix("the window has ")


def break_found(row: Judgement, slo: Slo) -> str:
    """What broke a streak: the value of a violation, else the reason, or the status where that is long."""
    if row.status is Status.VIOLATION and row.value is not None:
        return value_text(row.value, slo.unit, row.threshold)
    reason = reason_of(row)
    return reason if 0 < len(reason) <= _SHORT_REASON else row.status.value


def titled(reason: str, policy: Policy, decision: Decision) -> str:
    """A reason with titles for the names of SLOs, and a gate's criterion in words."""
    for row in decision.gate.criteria:
        if reason.startswith(f"{row.criterion}:"):
            return criterion_text(row)
    return re.sub(r"\w+", lambda name: policy.slos[name[0]].title if name[0] in policy.slos else name[0], reason)


def earliest_text(decision: Decision) -> str:
    """`2026-01-03 01:50 UTC`; empty where nothing can advance, or it may already."""
    gate = decision.gate
    if gate.earliest_pass is None or gate.passed or decision.rollback_required:
        return ""
    return f"{gate.earliest_pass:%Y-%m-%d %H:%M} UTC"


def input_text(counts: InputCounts) -> str:
    """What is the window's, over all batches, and what is its own batch's: `481 events of the window · batch: …`."""
    events = f"{counted(counts.events, 'event')} of the window"
    if counts.batches > 1:
        events += f" from {counts.batches:,} batches"
    if counts.duplicates:
        events += f", {counted(counts.duplicates, 'duplicate')}"
    if not counts.lines:
        return f"{events} · {'no line of its own batch' if counts.batches else 'no batch that could be read'}"
    odd = [f"{counts.too_late:,} too late"] if counts.too_late else []
    if counts.quarantined:
        odd.append(f"{counts.quarantined:,} quarantined ({reasons_text(counts.quarantined_by_reason)})")
    return f"{events} · " + ", ".join([f"batch: {counted(counts.lines, 'line')}", *odd])


def reasons_text(reasons: Mapping[str, int]) -> str:
    """`not_json` where there is one reason, else each with its count: `7 not_json, 2 torn`."""
    if len(reasons) == 1:
        return next(iter(reasons))
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
