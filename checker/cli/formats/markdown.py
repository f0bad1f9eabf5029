"""The result of a check as Markdown, for the summary of a CI job: values stand in code, where nothing has a meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from checker.cli.formats.wording import (
    earliest_text,
    gate_aim,
    gate_trouble,
    input_text,
    reason_of,
    summary_text,
    titled,
)
from checker.model import CheckResult, Decision, Judgement, Notice
from checker.policy.model import Policy
from checker.reporter.facts import criterion_text, threshold_of
from checker.reporter.shell import command_line
from checker.units import margin_percent, plain, shortened, value_text

_NONE = "–"
_LINES_OF_A_NOTICE = 50
# what ends a code span or a cell: Markdown has no escape for the one there, and readers differ on that of the other
_ESCAPES = str.maketrans({"`": r"\x60", "|": r"\x7c"})


def to_markdown(result: CheckResult, policy: Policy) -> str:
    """Heading, what was measured, the gate and the notices, in GitHub's Markdown; it ends in a line break."""
    decision = result.decision
    blocks = (
        [f"## {decision.verdict.value.upper()} ({decision.outcome.value})"],
        [code(summary_text(decision))],
        table(("SLO", "value", "threshold", "margin", "status", "why"), _slo_rows(decision, policy)),
        [f"- {code(titled(reason, policy, decision))}" for reason in decision.reasons],
        _rollback(decision),
        _gate(decision),
        [f"Input: {code(input_text(decision.inputs))}"],
        *(_notice(notice) for notice in result.notices),
    )
    return "\n\n".join("\n".join(block) for block in map(list, blocks) if block) + "\n"


def code(value: str) -> str:
    """A value as a code span that fits a cell: no link, image, mention or tag gets out of it; `–` where it is empty."""
    told = plain(shortened(value)).strip().translate(_ESCAPES)
    return f"`{told}`" if told else _NONE


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; cells are Markdown already."""
    yield from (_row(heads), _row(["---"] * len(heads)))
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _slo_rows(decision: Decision, policy: Policy) -> Iterator[Sequence[str]]:
    for row in decision.judgements:
        slo = policy.slos[row.slo]
        margin = margin_percent(row.value, row.threshold, slo.unit)
        value, threshold = value_text(row.value, slo.unit, row.threshold), threshold_of(slo, row)
        free = _NONE if margin is None else f"{margin} %"
        yield code(slo.title), code(value), code(threshold), free, row.status.value, _why(row)


def _why(row: Judgement) -> str:
    reason = reason_of(row)
    return code(reason) if reason else _NONE


def _rollback(decision: Decision) -> Iterator[str]:
    if decision.rollback_required and decision.command:
        yield f"Rollback required: {code(command_line(decision.command))}"


def _gate(decision: Decision) -> Iterator[str]:
    yield f"{code(gate_aim(decision))}: {'passed' if decision.gate.passed else 'not passed'}"
    yield ""
    trouble = gate_trouble(decision.gate)
    if trouble:
        yield f"- {code(trouble)}"
    for row in decision.gate.criteria:
        reason = f" ({code(row.reason)})" if row.reason else ""
        yield f"- {'✓' if row.passed else '✗'} {code(criterion_text(row))}{reason}"
    if decision.approvals_missing:
        yield f"- approvals missing: {code(', '.join(decision.approvals_missing))}"
    earliest = earliest_text(decision)
    if earliest:
        yield f"- earliest advance, if every window is met from now: {earliest}"


def _notice(notice: Notice) -> Iterator[str]:
    """A notice in a fence that is longer than any row of backticks in it."""
    lines = [plain(shortened(line)) for line in notice.text.splitlines()]
    if len(lines) > _LINES_OF_A_NOTICE:
        lines[_LINES_OF_A_NOTICE:] = [f"… ({len(lines) - _LINES_OF_A_NOTICE:,} more lines)"]
    fence = fence_of(lines)
    yield f"Notice {code(f'{notice.id} → {notice.channel}')}"
    yield ""
    yield from (fence, *lines, fence)


def fence_of(lines: Iterable[str]) -> str:
    """A fence that is longer than any row of backticks in `lines`."""
    return "`" * max(3, 1 + max((len(ticks) for line in lines for ticks in re.findall("`+", line)), default=0))
