"""The verdict for people at a terminal: what was measured, what follows from it, what to do next."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from checker.analyzer.decide import missing_approval
from checker.cli.formats.layout import INDENT, Line, Span, columns, paint, wrapped
from checker.cli.formats.notices import notice_lines
from checker.cli.formats.wording import (
    RECORDED,
    STATUS_STYLES,
    break_found,
    earliest_text,
    gate_aim,
    gate_trouble,
    head_lines,
    input_text,
    reason_of,
    time_beside,
    titled,
)
from checker.model import CheckResult, Criterion, Decision, Judgement, Status, Verdict
from checker.policy.model import Policy
from checker.reporter.facts import criterion_text, threshold_of
from checker.reporter.shell import command_line
from checker.units import margin_percent, plain, shortened, value_text
from checker.windows import iso

NONE = "–"
_HEADS = ("SLO", "value", "threshold", "margin", "status")
_MARGIN = frozenset({_HEADS.index("margin")})
_LEAST_VALUE_WIDTH = 7
_LEAST_WIDTH = 60
_LONGEST_LABEL = 40
VERDICT_STYLES = {Verdict.ADVANCE: "bold green", Verdict.HOLD: "bold yellow", Verdict.ROLLBACK: "bold red"}


def render_table(result: CheckResult, policy: Policy, *, colour: bool, width: int, source: tuple[str, ...] = ()) -> str:
    """The verdict as text of at most `width` columns, 60 at least, that ends in a line break.

    `source` are the options that made the call look where it looked: a command to look further repeats them. Only a
    command to run and the text of a notice may be longer: they stay in one piece, so that they can be copied.
    """
    width = max(width, _LEAST_WIDTH)
    decision = result.decision
    blocks = (
        _head(decision, width),
        _slos(decision, policy, width),
        _why(decision, policy, width, source),
        _rollback(decision, width),
        _gate(decision, policy, width),
        wrapped(input_text(decision.inputs), width, "dim", "Input: "),
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
    yield from head_lines(decision, True, width, VERDICT_STYLES[decision.verdict])
    if len(decision.judged) > 1:
        first, last = decision.judged[0].start, decision.judged[-1].start
        span = f"{first:%Y-%m-%d %H:%M} to {time_beside(last, first)}"
        yield from wrapped(f"The worst of {len(decision.judged)} windows judged ({span})", width, "dim")
    if decision.incident is not None:
        yield from wrapped(f"Incident open: {decision.incident}", width, "bold red")


def _slos(decision: Decision, policy: Policy, width: int) -> Iterator[Line]:
    rows = [_HEADS, *(_slo_row(row, policy) for row in decision.judgements)]
    styles = [("dim",) * len(_HEADS), *(_slo_styles(row.status) for row in decision.judgements)]
    yield from columns(rows, styles, width, right=_MARGIN, least=_LEAST_VALUE_WIDTH)


def _slo_styles(status: Status) -> tuple[str, ...]:
    style = STATUS_STYLES[status]
    return ("", "" if status is Status.OK else style, "", "", style)


def _slo_row(row: Judgement, policy: Policy) -> tuple[str, ...]:
    slo = policy.slos[row.slo]
    margin = margin_percent(row.value, row.threshold, slo.unit)
    return (
        slo.title,
        value_text(row.value, slo.unit, row.threshold),
        threshold_of(slo, row),
        NONE if margin is None else f"{margin} %".replace("-", "−"),
        row.status.value,
    )


def _why(decision: Decision, policy: Policy, width: int, source: tuple[str, ...]) -> Iterator[Line]:
    """Why an SLO could not be judged, and what else stands behind the decision."""
    for reason, titles in _reasons(decision, policy).items():
        yield from wrapped(f"{', '.join(titles)}: {reason}", width)
    told = _told_elsewhere(decision)
    approvals = {missing_approval(role, {}) for role in decision.approvals_missing}
    for reason in decision.reasons:
        if not reason.startswith(told) and reason not in approvals:
            yield from wrapped(titled(reason, policy, decision), width, label="Why: ")
    if decision.outcome in (Status.NO_DATA, Status.ERROR):
        yield from wrapped("No verdict: nothing advances and nothing is rolled back. Look into it with", width, "bold")
        window = f"--window={iso(decision.window.start)}"
        yield _command(("phasegate", "explain", f"--phase={decision.phase}", window, *source))


def _told_elsewhere(decision: Decision) -> tuple[str, ...]:
    """How reasons begin that the gate's lines and the statuses tell already, in better words."""
    gate = decision.gate
    criteria = (f"{row.criterion}:" for row in gate.criteria)
    return (*criteria, f"gate {gate.name}:", f"the window's outcome is {decision.outcome.value}")


def _reasons(decision: Decision, policy: Policy) -> dict[str, list[str]]:
    """Each reason with the titles of the SLOs that share it."""
    titles: dict[str, list[str]] = {}
    for row in decision.judgements:
        reason = _reason(row)
        if reason:
            titles.setdefault(reason, []).append(policy.slos[row.slo].title)
    return titles


def _reason(row: Judgement) -> str:
    return " · ".join(filter(None, (reason_of(row), RECORDED if row.recorded else "")))


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
    label = f"{plain(shortened(gate_aim(decision), _LONGEST_LABEL))}: "
    trouble = gate_trouble(gate)
    if trouble:
        yield from wrapped(trouble, width, "magenta" if gate.error is not None else "", label)
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
    when = time_beside(row.window.start, decision.window.start)
    return f"last break {when} ({slo.title}, {break_found(row, slo)})"


def _next_step(decision: Decision, width: int) -> Iterator[Line]:
    if decision.approvals_missing and decision.gate.passed:
        yield from wrapped(", ".join(decision.approvals_missing), width, "yellow", "Approvals missing: ")
    earliest = earliest_text(decision)
    if earliest:
        yield from wrapped(f"Earliest advance, if every window is met from now: {earliest}", width)
    if decision.verdict is Verdict.ADVANCE:
        yield from wrapped("May advance; nothing advances by itself. Run", width, "bold green")
        yield _command(("phasegate", "advance", f"--target={decision.target}", f"--phase={decision.phase}"))
