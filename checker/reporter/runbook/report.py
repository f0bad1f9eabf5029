"""The report of one incident: what happened, the windows around it, the worst rows behind it, a plot. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from checker.analyzer.explain import RowsBehind
from checker.analyzer.judge import JudgedWindow
from checker.ledger.values import Approval
from checker.model import Judgement, Status, Window
from checker.policy.model import Policy
from checker.reporter.facts import threshold_of
from checker.reporter.redact import redacted
from checker.reporter.runbook.markdown import clock, code, fenced, md, table
from checker.reporter.runbook.view import IncidentView
from checker.units import counted, margin_percent, value_text
from checker.whole_file import safe_name

_SINCE = "What was approved since stands in [runbook.md](runbook.md)."


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the logs hold of an incident now: its first violated window, the windows around it, the rows behind it."""

    window: Window
    around: tuple[JudgedWindow, ...]
    rows: Mapping[str, Sequence[RowsBehind]]

    def judged(self) -> JudgedWindow | None:
        """The window that opened the incident."""
        return next((item for item in self.around if item.window == self.window), None)


def incident_report(view: IncidentView, evidence: Evidence | None, why_none: str = "") -> str:
    """The report as Markdown; without evidence it says why there is none."""
    parts = [f"# Report of {md(view.subject)}: {md(view.policy.title)}, phase {md(view.phase)}", *_what_happened(view)]
    if evidence is None:
        parts.append(f"The logs could not be looked into: {md(why_none)}.")
    else:
        parts += ["## The windows around it", _windows(view.policy, evidence), *_slos(view, evidence)]
    parts += [*_entries(view), "## Approval", _approval(view), _SINCE, f"As the ledger had it {clock(view.as_of)}."]
    return "\n\n".join(parts) + "\n"


def violated_slos(view: IncidentView) -> list[str]:
    """The SLOs that were violated, in the policy's order."""
    found = {slo for _, slo in view.incident.violations} if view.incident else set()
    return [name for name in view.policy.slos if name in found]


def drawn_slos(view: IncidentView, evidence: Evidence) -> list[str]:
    """The violated SLOs that a window around the violation was judged by."""
    judged = {row.slo for item in evidence.around for row in item.judgements}
    return [name for name in violated_slos(view) if name in judged]


def plot_name(slo: str) -> str:
    """The file of an SLO's plot, beside the report."""
    return f"{safe_name(slo)}.svg"


def _what_happened(view: IncidentView) -> Iterator[str]:
    incident = view.incident
    if incident is None:
        yield "A rollback was made without an incident."
        return
    violations = sorted((start, slo) for start, slo in incident.violations if start is not None)
    yield f"Opened {clock(incident.opened_at)}. Violated, as it was recorded:"
    yield "\n".join(f"- {code(slo)} in the window {clock(start)}" for start, slo in violations) or "- nothing"


def _windows(policy: Policy, evidence: Evidence) -> str:
    heads = ["Window", "Outcome", *(md(slo.title) for slo in policy.slos.values())]
    rows = (
        [clock(item.window.start), _outcome(item.outcome), *(_cell(policy, row) for row in item.judgements)]
        for item in evidence.around
    )
    return table(heads, rows)


def _outcome(status: Status) -> str:
    return f"**{status.value}**" if status is Status.VIOLATION else status.value


def _cell(policy: Policy, row: Judgement) -> str:
    text = value_text(row.value, policy.slos[row.slo].unit, row.threshold)
    return f"**{md(text)}**" if row.status is Status.VIOLATION else md(text)


def _slos(view: IncidentView, evidence: Evidence) -> Iterator[str]:
    judged = evidence.judged()
    for name in violated_slos(view):
        slo = view.policy.slos[name]
        yield f"## {md(slo.title)}"
        row = next((row for row in judged.judgements if row.slo == name), None) if judged else None
        if row is not None:
            yield _how_far(view.policy, row)
        if name in drawn_slos(view, evidence):
            yield f"![{md(slo.title)} around the violation]({plot_name(name)})"
        for found in evidence.rows.get(name, ()):
            yield from _rows(view.policy, found)


def _how_far(policy: Policy, row: Judgement) -> str:
    slo = policy.slos[row.slo]
    margin = margin_percent(row.value, row.threshold, slo.unit)
    past = f", {-margin:,} % past it" if margin is not None and margin < 0 else ""
    value = md(value_text(row.value, slo.unit, row.threshold))
    return f"{value} against {md(threshold_of(slo, row))}{past}, from {counted(row.samples, 'sample')}."


def _rows(policy: Policy, found: RowsBehind) -> Iterator[str]:
    what = "Worst" if found.kind == "worst" else "Counts of"
    if found.error is not None:
        yield f"{what} {code(found.cte)}: {md(found.error)}."
        return
    if not found.rows:
        yield f"{what} {code(found.cte)}: none."
        return
    more = f", {len(found.rows)} of {found.total:,}" if found.total > len(found.rows) else ""
    yield f"{what} {code(found.cte)} (by {md(found.by)}{more}):"
    shown = (
        [md(_text(redacted(name, value, policy.redact))) for name, value in zip(found.columns, row, strict=True)]
        for row in found.rows
    )
    yield table([md(name) for name in found.columns], shown)


def _text(value: object) -> str:
    return "–" if value is None else str(value)


def _entries(view: IncidentView) -> Iterator[str]:
    """What the Runbook's log was told of the rollback, word for word."""
    told = [notice for notice in view.notices if notice.outcome == "rollback"]
    if told:
        yield "## The rollback"
    for notice in told:
        yield f"{clock(notice.at)}, {code(notice.notice)} ({md(notice.state or '')}):\n\n{fenced(notice.text)}"


def _approval(view: IncidentView) -> str:
    given = {row.role: row for row in view.approvals}
    roles = view.policy.phases[-1].approvers
    return (
        "\n".join(f"- {approval_text(role, given.get(role))}" for role in roles) or "The policy names no role for it."
    )


def approval_text(role: str, given: Approval | None) -> str:
    """Whether a role has approved, when, and who did it for the role."""
    return f"{md(role)}: {f'approved {clock(given.at)} by {md(given.by)}' if given else 'missing'}"
