"""The verdict for people at a terminal: what was measured, what follows from it, what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.cells import cell_len

from checker.cli.formats.layout import INDENT, Line, Span, columns, ends, paint, wrapped
from checker.cli.formats.notices import notice_lines
from checker.model import CheckResult, Criterion, Decision, InputCounts, Judgement, Status, Verdict, Window
from checker.policy.model import COMPLETE, Policy
from checker.reporter.facts import criterion_text, threshold_of, why
from checker.reporter.shell import command_line
from checker.units import NOT_MEASURED, margin_percent, plain, value_text
from checker.windows import iso

NONE = "–"
_HEADS = ("SLO", "value", "threshold", "margin", "status")
_MARGIN = frozenset({_HEADS.index("margin")})
_LEAST_VALUE_WIDTH = 7
_LEAST_WIDTH = 60
_STATUS_STYLES = {
    Status.OK: "green",
    Status.WARN: "yellow",
    Status.NO_DATA: "magenta",
    Status.ERROR: "magenta",
    Status.VIOLATION: "bold red",
}
_VERDICT_STYLES = {Verdict.ADVANCE: "bold green", Verdict.HOLD: "bold yellow", Verdict.ROLLBACK: "bold red"}


def render_table(result: CheckResult, policy: Policy, *, colour: bool, width: int) -> str:
    """The verdict as text of at most `width` columns, 60 at least, that ends in a line break.

    Only a command to run and the text of a notice may be longer: they stay in one piece, so that they can be copied.
    """
    width = max(width, _LEAST_WIDTH)
    decision = result.decision
    blocks = (
        _head(decision, width),
        _slos(decision, policy, width),
        _why(decision, policy, width),
        _rollback(decision, width),
        _gate(decision, policy, width),
        _input(decision.inputs, width),
        notice_lines(result.notices, width),
    )
    return paint(_joined(blocks), colour=colour)


def _joined(blocks: tuple[Iterator[Line], ...]) -> Iterator[Line]:
    """The blocks that have a line, with an empty one between them."""
    written = [lines for lines in map(list, blocks) if lines]
    for position, lines in enumerate(written):
        if position:
            yield ()
        yield from lines


def _head(decision: Decision, width: int) -> Iterator[Line]:
    place = (
        f"{decision.title} · phase {decision.phase} ({decision.audience}) · window {window_text(decision.window)} UTC"
    )
    yield from ends(plain(place), decision.verdict.value.upper(), width, _VERDICT_STYLES[decision.verdict])
    if decision.what_if:
        yield from wrapped(_what_if(decision), width, "cyan")
    if len(decision.judged) > 1:
        first, last = decision.judged[0].start, decision.judged[-1].start
        span = f"{first:%Y-%m-%d %H:%M} to {_time(last, first)}"
        yield from wrapped(f"The worst of {len(decision.judged)} windows judged ({span})", width, "dim")
    if decision.incident is not None:
        yield from wrapped(f"Incident open: {decision.incident}", width, "bold red")


def _what_if(decision: Decision) -> str:
    events = f"phase {decision.events_of}'s events by " if decision.events_of != decision.phase else ""
    return f"What-if: {events}phase {decision.phase}'s thresholds; nothing is recorded"


def window_text(window: Window) -> str:
    """`2026-01-02 11:45–12:00`; with the date of its end where it is a day long or longer."""
    end_form = "%H:%M" if window.end - window.start < timedelta(days=1) else "%Y-%m-%d %H:%M"
    return f"{window.start:%Y-%m-%d %H:%M}–{window.end.strftime(end_form)}"


def _slos(decision: Decision, policy: Policy, width: int) -> Iterator[Line]:
    rows = [_HEADS, *(_slo_row(row, policy) for row in decision.judgements)]
    styles = [("dim",) * len(_HEADS), *(_slo_styles(row.status) for row in decision.judgements)]
    yield from columns(rows, styles, width, right=_MARGIN, least=_LEAST_VALUE_WIDTH)


def _slo_styles(status: Status) -> tuple[str, ...]:
    style = _STATUS_STYLES[status]
    return ("", "" if status is Status.OK else style, "", "", style)


def _slo_row(row: Judgement, policy: Policy) -> tuple[str, ...]:
    slo = policy.slos[row.slo]
    margin = margin_percent(row.value, row.threshold)
    return (
        slo.title,
        value_text(row.value, slo.unit, row.threshold),
        threshold_of(slo, row),
        NONE if margin is None else f"{margin} %".replace("-", "−"),
        row.status.value,
    )


def _why(decision: Decision, policy: Policy, width: int) -> Iterator[Line]:
    """Why an SLO could not be judged, and what else stands behind the decision."""
    for reason, titles in _reasons(decision, policy).items():
        yield from wrapped(f"{', '.join(titles)}: {reason}", width)
    told = _told_elsewhere(decision)
    for reason in decision.reasons:
        if not reason.startswith(told):
            yield from wrapped(reason, width, label="Why: ")
    if decision.outcome in (Status.NO_DATA, Status.ERROR):
        yield from wrapped("No verdict: nothing advances and nothing is rolled back. Look into it with", width, "bold")
        yield _command(("phasegate", "explain", f"--phase={decision.phase}", f"--window={iso(decision.window.start)}"))


def _told_elsewhere(decision: Decision) -> tuple[str, ...]:
    """How reasons begin that the gate's lines, the approvals' line and the statuses tell already, in better words."""
    gate = decision.gate
    criteria = (f"{row.criterion}:" for row in gate.criteria)
    approvals = (f"approval of {role}" for role in decision.approvals_missing)
    return (*criteria, *approvals, f"gate {gate.name}:", f"the window's outcome is {decision.outcome.value}")


def _reasons(decision: Decision, policy: Policy) -> dict[str, list[str]]:
    """Each reason with the titles of the SLOs that share it."""
    titles: dict[str, list[str]] = {}
    for row in decision.judgements:
        reason = _reason(row)
        if reason:
            titles.setdefault(reason, []).append(policy.slos[row.slo].title)
    return titles


def _reason(row: Judgement) -> str:
    recorded = "recorded in the ledger; today's logs say otherwise" if row.recorded else ""
    return " · ".join(filter(None, (row.reason or why(row), recorded)))


def _rollback(decision: Decision, width: int) -> Iterator[Line]:
    if not decision.rollback_required:
        return
    step = f"phase {decision.phase} → {decision.rollback_to}"
    yield from wrapped(f"Rollback required: {step}. Run", width, "bold red")
    if decision.command:
        yield _command(decision.command)


def _command(arguments: tuple[str, ...]) -> Line:
    return (Span(INDENT * 2), Span(command_line(arguments), "bold"))


def _gate(decision: Decision, policy: Policy, width: int) -> Iterator[Line]:
    gate = decision.gate
    aim = "completion" if decision.next_phase == COMPLETE else f"phase {plain(decision.next_phase)}"
    label = f"Gate to {aim}: "
    if gate.error is not None:
        yield from wrapped(f"could not be evaluated: {gate.error}", width, "magenta", label)
    elif not gate.criteria:
        yield from wrapped("not passed, its query returned no row", width, "", label)
    for position, row in enumerate(gate.criteria):
        broken = _last_break(decision, policy) if position == 0 else ""
        shown_label = label if position == 0 else " " * cell_len(label)
        yield from _criterion(row, broken, shown_label, width)
    yield from _next_step(decision, width)


def _criterion(row: Criterion, broken: str, label: str, width: int) -> Iterator[Line]:
    """The criterion and what broke its streak: on one line where that fits, else on two."""
    text = criterion_text(row) + (" ✓" if row.passed else "")
    style = "green" if row.passed else ""
    together = " · ".join(filter(None, (text, broken)))
    if cell_len(INDENT + label + plain(together)) <= width:
        yield from wrapped(together, width, style, label)
        return
    yield from wrapped(text, width, style, label)
    if broken:
        yield from wrapped(broken, width, "", " " * cell_len(label))


def _last_break(decision: Decision, policy: Policy) -> str:
    row = decision.last_break
    if row is None:
        return ""
    slo = policy.slos[row.slo]
    value = value_text(row.value, slo.unit, row.threshold)
    found = row.status.value if value == NOT_MEASURED else value
    return f"last break {_time(row.window.start, decision.window.start)} ({slo.title}, {found})"


def _time(instant: datetime, beside: datetime) -> str:
    """`01:30`, with its date where that is not the date of `beside`."""
    return f"{instant:%H:%M}" if instant.date() == beside.date() else f"{instant:%Y-%m-%d %H:%M}"


def _next_step(decision: Decision, width: int) -> Iterator[Line]:
    if decision.approvals_missing and decision.gate.passed:
        yield from wrapped(", ".join(decision.approvals_missing), width, "yellow", "Approvals missing: ")
    if decision.gate.earliest_pass is not None and not decision.gate.passed and not decision.rollback_required:
        yield from wrapped(f"Earliest advance: {decision.gate.earliest_pass:%Y-%m-%d %H:%M} UTC", width)
    if decision.verdict is Verdict.ADVANCE:
        yield from wrapped("May advance; nothing advances by itself. Run", width, "bold green")
        yield _command(("phasegate", "advance", f"--target={decision.target}", f"--phase={decision.phase}"))


def _input(counts: InputCounts, width: int) -> Iterator[Line]:
    odd = (("duplicates", counts.duplicates), ("too late", counts.too_late), ("quarantined", counts.quarantined))
    if not any(count for _, count in odd):
        return
    parts = [f"{counts.events:,} events", *(f"{count:,} {word}" for word, count in odd if count)]
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.quarantined_by_reason.items()))
    yield from wrapped(" · ".join(parts) + (f" ({reasons})" if reasons else ""), width, "dim", "Input: ")
