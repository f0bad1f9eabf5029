"""The report of one day (UTC): its windows, each SLO's values and margin, incidents, the gate; against the day before.

Pure: what it says comes from judged windows and from the ledger. A day of which nothing is known is never a good one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median

from checker.analyzer.judge import JudgedWindow
from checker.ledger.records import Record
from checker.ledger.state import fold
from checker.model import Comparison, Judgement, Status
from checker.policy.model import Slo
from checker.reporter.facts import criterion_text, threshold_of
from checker.reporter.runbook.markdown import clock, code, md, table
from checker.reporter.survey import Survey
from checker.units import counted, margin_percent, value_text

_DAY = timedelta(days=1)
_ORDER = (Status.OK, Status.WARN, Status.VIOLATION, Status.NO_DATA, Status.ERROR)
_NAMED = 20  # windows of a kind that are named one by one


@dataclass(frozen=True, slots=True)
class Day:
    """A day's windows, oldest first."""

    day: date
    windows: tuple[JudgedWindow, ...]

    @classmethod
    def of(cls, survey: Survey, day: date) -> Day:
        """The survey's windows that begin on `day` (UTC)."""
        return cls(day, tuple(item for item in survey.windows if item.window.start.date() == day))

    def rows(self, slo: str) -> list[Judgement]:
        """The judgements of one SLO."""
        return [row for item in self.windows for row in item.judgements if row.slo == slo]


def daily_report(survey: Survey, records: Sequence[Record], day: date, days_end: Survey | None = None) -> str:
    """The report as Markdown; `survey` must reach over `day` and the day before, `records` are the ledger's.

    `days_end` is a survey made as of when the day's last window was closed: its gate is told beside that of now.
    """
    today, before = Day.of(survey, day), Day.of(survey, day - _DAY)
    parts = [f"# {md(survey.policy.title)}: {day:%Y-%m-%d} (UTC)", _where(survey)]
    parts += [*_windows(survey, today, before), *_slos(survey, today, before)]
    parts += ["## Gate", *([_gate(days_end, "At the day's end")] if days_end else []), _gate(survey, "Now")]
    parts += ["## What was recorded", _recorded(records, day), *_open_then(survey, records, day), *_waiting(survey)]
    parts.append(f"As the ledger and the logs had it {clock(survey.as_of)}.")
    return "\n\n".join(parts) + "\n"


def _where(survey: Survey) -> str:
    stands = survey.stands_at or f"{survey.phase} (as asked for; the ledger names none)"
    return f"Phase {md(stands)}, judged by the thresholds of {md(survey.phase)}."


def _windows(survey: Survey, today: Day, before: Day) -> Iterator[str]:
    yield "## Windows"
    whole = int(_DAY / survey.policy.window)
    if not today.windows:
        yield "**Nothing is known of this day**: no window of it was closed, or no batch reaches it."
        return
    yield table(
        ["Outcome", "Windows", "Day before"],
        ([status.value, str(_count(today, status)), str(_count(before, status))] for status in _ORDER),
    )
    if len(today.windows) < whole:
        yield f"The day has {whole} windows; {counted(len(today.windows), 'window')} of it are looked at here."
    for status in (Status.VIOLATION, Status.ERROR, Status.NO_DATA, Status.WARN):
        named = [item for item in today.windows if item.outcome is status]
        if named:
            yield f"{status.value}: {_named(survey, named)}"


def _count(day: Day, status: Status) -> int:
    return Counter(item.outcome for item in day.windows)[status]


def _named(survey: Survey, items: Sequence[JudgedWindow]) -> str:
    told = [f"{item.window.start:%H:%M}{_causes(survey, item)}" for item in items[:_NAMED]]
    more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return ", ".join(told) + more


def _causes(survey: Survey, item: JudgedWindow) -> str:
    """Which SLOs gave the window its outcome; nothing where all did."""
    rows = [row for row in item.judgements if row.status is item.outcome]
    if len(rows) == len(item.judgements):
        return ""
    slos = survey.policy.slos
    told = (f"{md(slos[row.slo].title)} {md(value_text(row.value, slos[row.slo].unit, row.threshold))}" for row in rows)
    return f" ({', '.join(told)})"


def _slos(survey: Survey, today: Day, before: Day) -> Iterator[str]:
    yield "## SLOs"
    heads = ["SLO", "Threshold", "Median", "Day before", "Worst", "In the window", "Margin of the worst", "Day before"]
    yield table(heads, (_slo(survey.policy.slos[name], today, before) for name in survey.policy.slos))


def _slo(slo: Slo, today: Day, before: Day) -> list[str]:
    rows, threshold = today.rows(slo.name), next(iter([*today.rows(slo.name), *before.rows(slo.name)]), None)
    if threshold is None:
        return [md(slo.title), *["–"] * 7]
    worst = _worst(rows)
    return [
        md(slo.title),
        md(threshold_of(slo, threshold)),
        md(_median(slo, rows)),
        md(_median(slo, before.rows(slo.name))),
        md(value_text(worst.value, slo.unit, worst.threshold)) if worst else "–",
        f"{worst.window.start:%H:%M}" if worst else "–",
        _margin(slo, worst),
        _margin(slo, _worst(before.rows(slo.name))),
    ]


def _worst(rows: Sequence[Judgement]) -> Judgement | None:
    known = [row for row in rows if row.value is not None and math.isfinite(row.value)]
    return max(known, key=_badness, default=None)


def _margin(slo: Slo, row: Judgement | None) -> str:
    margin = margin_percent(row.value, row.threshold, slo.unit) if row else None
    return "–" if margin is None else f"{margin:,} %"


def _badness(row: Judgement) -> tuple[float, float]:
    """How bad a value is, by its comparison; of equals the newest window's is the worst."""
    value = row.value or 0.0
    if row.threshold.comparison is Comparison.GTE:
        bad = -value
    else:
        bad = abs(value - row.threshold.limit) if row.threshold.comparison is Comparison.EQ else value
    return bad, row.window.start.timestamp()


def _median(slo: Slo, rows: Sequence[Judgement]) -> str:
    values = [row.value for row in rows if row.value is not None and math.isfinite(row.value)]
    return value_text(median(values), slo.unit, rows[0].threshold) if values else "–"


def _gate(survey: Survey, when: str) -> str:
    head = f"{when} (phase {md(survey.phase)}, {clock(survey.as_of)}):\n\n"
    return head + _progress(survey)


def _progress(survey: Survey) -> str:
    gate = survey.decision.gate
    if gate.error is not None:
        return f"It cannot be evaluated: {md(gate.error)}."
    lines = [f"- {'passed' if row.passed else 'not passed'}: {md(criterion_text(row))}" for row in gate.criteria]
    if gate.earliest_pass is not None and not gate.passed:
        lines.append(f"- earliest, if every window is met from now: {clock(gate.earliest_pass)}")
    lines += [f"- approval of {md(role)} is missing" for role in survey.decision.approvals_missing]
    return "\n".join(lines) or "Its query returned no row."


def _recorded(records: Sequence[Record], day: date) -> str:
    begun = datetime(day.year, day.month, day.day, tzinfo=UTC)
    told = [line for record in records if begun <= record.at < begun + _DAY for line in _line(record)]
    return "\n".join(told) or "Nothing but decisions and notices."


def _line(record: Record) -> Iterator[str]:
    data, at = record.data, f"{record.at:%H:%M}"
    if record.kind == "phase_change":
        glass = " **without its gate**" if data.get("without_gate") else ""
        yield f"- {at} {md(data['from'])} → {md(data['to'])}{glass} by {md(data['by'])}: {md(data['reason'])}"
    elif record.kind == "incident" and data["event"] != "added":
        why = data.get("reason") or ", ".join(data.get("slos", ())) or data.get("cause", "")
        yield f"- {at} incident {code(record.id)} {md(data['event'])}: {md(why)}"
    elif record.kind == "rollback":
        way = f"{md(data['from'])} → {md(data['to'])}"
        yield f"- {at} rollback {md(data['event'])}: {way} by {md(data['by'])}: {md(data['reason'])}"
    elif record.kind in ("pause", "resume"):
        yield f"- {at} {record.kind} by {md(data['by'])}: {md(data['reason'])}"
    elif record.kind == "approval":
        yield f"- {at} approval of {md(data['role'])} by {md(data['by'])} ({md(data['subject'])})"


def _open_then(survey: Survey, records: Sequence[Record], day: date) -> Iterator[str]:
    ended = datetime(day.year, day.month, day.day, tzinfo=UTC) + _DAY
    if survey.as_of < ended:
        return
    incident = fold([record for record in records if record.at < ended]).open_incident
    if incident is not None:
        yield f"Open at the day's end: {md(incident.id)}, since {clock(incident.opened_at)}."


def _waiting(survey: Survey) -> Iterator[str]:
    waiting = [notice for notice in survey.state.notices if not notice.is_settled]
    if waiting:
        yield f"**{counted(len(waiting), 'notice')} not delivered**, the oldest of {clock(waiting[0].at)}."
    if incident := survey.state.open_incident:
        yield f"**Open: {md(incident.id)}**, since {clock(incident.opened_at)}."
