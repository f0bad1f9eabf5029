"""The Runbook of one incident: six steps with the real values in them, ticked as the ledger shows them done. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from checker.ledger.values import Incident, IncidentNote, RecordedNotice, RollbackRecord
from checker.policy.model import OFF
from checker.reporter.recovery_plan import has_held, planned
from checker.reporter.runbook.log import log_lines
from checker.reporter.runbook.markdown import clock, code, fenced, indented, md, step
from checker.reporter.runbook.recovery import recovery_table
from checker.reporter.runbook.report import approval_text
from checker.reporter.runbook.view import IncidentView
from checker.reporter.shell import command_line

STOP_COLLECTOR = 2


def runbook(view: IncidentView) -> str:
    """The page as GitHub-flavoured Markdown."""
    parts = [*_head(view), "## Steps", *_steps(view), "## Log", *log_lines(view)]
    return "\n\n".join(parts) + "\n"


def _head(view: IncidentView) -> Iterator[str]:
    policy, incident = view.policy, view.incident
    title = "Rollback" if incident is None else "Incident"
    yield f"# {title} {md(view.subject)}: {md(policy.title)}, phase {md(view.phase)}"
    if incident is not None:
        yield _state(incident)
        report = "The report, with the worst rows and a plot, is in [report.md](report.md)."
        yield (
            report
            if incident.violations
            else "A source of the collector's was given up; nothing is rolled back for it."
        )
    yield f"As the ledger had it {clock(view.as_of)}."


def _state(incident: Incident) -> str:
    if incident.closed_at is None:
        required = "**Open.** " + (
            "`rollback_required=true`." if incident.rollback_required else "Not to be rolled back"
        )
        return required if incident.rollback_required else f"{required}{_why_not(incident)}."
    by = f" by {md(incident.closed_by)}" if incident.closed_by else ""
    how = md(str(incident.outcome).capitalize())
    return f"**{how}** {clock(incident.closed_at)}{by}: {md(incident.closed_reason or '')}"


def _why_not(incident: Incident) -> str:
    return " again: its rollback is recorded" if incident.rollback_recorded else ""


def _steps(view: IncidentView) -> Iterator[str]:
    if view.incident is not None and not view.incident.violations:
        yield from _steps_of_a_source(view, view.incident)
        return
    yield _confirm(view)
    yield _stop(view)
    yield _roll_back(view)
    yield _guard(view)
    yield _recover(view)
    yield _approve(view)


def _step(view: IncidentView, number: int, is_done: bool, text: str, *further: str) -> str:
    """A step: its text, further paragraphs, and what people noted of it."""
    notes = [f"{clock(note.at)}, {md(note.by)}: {md(note.text)}" for note in _notes(view, number)]
    return step(number, is_done, "\n\n".join([text, *map(indented, [*further, *notes])]))


def _notes(view: IncidentView, number: int) -> list[IncidentNote]:
    return [note for note in view.incident.notes if note.step == number] if view.incident else []


def _steps_of_a_source(view: IncidentView, incident: Incident) -> Iterator[str]:
    closes = ("phasegate", "incident", f"--cancel={view.subject}", "--by=NAME", "--reason=TEXT")
    looked = "Look at the collector's source; the log below says which windows it was given up in."
    yield _step(view, 1, bool(_notes(view, 1)), looked)
    closed = "Close the incident once it delivers again:"
    yield _step(view, 2, incident.closed_at is not None, closed, fenced(command_line(closes), "sh"))


def _confirm(view: IncidentView) -> str:
    asked = [notice for notice in view.notices if notice.outcome == "violation"]
    firsts = {notice.channel: notice for notice in reversed(asked)}  # of each channel the one that told it first
    told = [_delivered(notice) for notice in reversed(firsts.values())] or ["No notice was asked for."]
    is_done = any(notice.delivered_at is not None for notice in asked) or bool(_notes(view, 1))
    text = "Confirm `rollback_required=true` in the incident's notice, and copy its command."
    return _step(view, 1, is_done, f"{text} {' '.join(told)}", fenced(_guarded(view), "sh"))


def _delivered(notice: RecordedNotice) -> str:
    where = f"{code(notice.notice)} to {code(notice.channel)}, recorded {clock(notice.at)},"
    if notice.delivered_at is not None:
        return f"{where} was delivered {clock(notice.delivered_at)} ({code(notice.receipt or '')})."
    if notice.kept:
        return f"{where} was **sent to nobody**: there was no credential. It lies in {code(notice.receipt or '')}."
    why = f": {md(notice.failure)}" if notice.failure else ""
    return f"{where} is **not delivered**{why}."


def _guarded(view: IncidentView) -> str:
    arguments = (f"--target={view.policy.target}", f"--phase={view.phase}", f"--reason={view.reason}")
    return command_line(("phasegate", "rollback", *arguments))


def _stop(view: IncidentView) -> str:
    text = f"Stop the running Collector of phase {md(view.phase)} (target {code(view.policy.target)})."
    if _notes(view, STOP_COLLECTOR) or view.incident is None or view.incident.closed_at is not None:
        return _step(view, STOP_COLLECTOR, bool(_notes(view, STOP_COLLECTOR)), text)
    options = (f"--note={view.subject}", f"--step={STOP_COLLECTOR}", "--by=NAME", "--reason=stopped")
    told = command_line(("phasegate", "incident", *options))
    return _step(view, STOP_COLLECTOR, False, f"{text} Then record it:", fenced(told, "sh"))


def _roll_back(view: IncidentView) -> str:
    made = [row for row in view.rollbacks if row.event != "proposed"]
    further = [fenced(_guarded(view), "sh"), *map(_attempt, made)]
    if view.state.rollback_unknown is not None and view.state.rollback_unknown in made:
        further.append(_unknown(view))
    text = "Roll back, with `--yes` to have it run, or by hand and then `--done`:"
    return _step(view, 3, view.ended is not None, text, *further)


def _attempt(row: RollbackRecord) -> str:
    number = f" (attempt {row.attempt})" if row.attempt else ""
    told = f"{clock(row.at)}: **{md(row.event)}**{number} by {md(row.by)}"
    if row.event in ("failed", "ended") and row.exit_code is not None:
        told += f", exit code {row.exit_code}"
    command = f"\n\n{fenced(command_line(row.command), 'sh')}" if row.command else ""
    output = f"\n\n{fenced(row.output)}" if row.output else ""
    return f"{told}{command}{output}"


def _unknown(view: IncidentView) -> str:
    done, failed = (fenced(f"{_guarded(view)} --by NAME {how}", "sh") for how in ("--done", "--failed"))
    waits = "**Its outcome is unknown.** Nothing is tried again before somebody has looked."
    return f"{waits} It was done:\n\n{done}\n\nIt was not:\n\n{failed}"


def _guard(view: IncidentView) -> str:
    to, ended = view.phase_before, view.ended
    if to is None:
        return _step(view, 4, False, f"One phase only. The policy has no phase {md(view.phase)}: look where it led.")
    way = f"One phase only: {md(view.phase)} → {md(to)}. The command refuses any other, and a second time."
    elsewhere = ended is not None and ended.phase_to != to
    told = [f"**It went to {md(ended.phase_to)} instead.**"] if ended and elsewhere else []
    return _step(view, 4, ended is not None and not elsewhere, way, *told)


def _recover(view: IncidentView) -> str:
    rollback, incident = view.policy.rollback, view.incident
    every, whole = rollback.recovery_every, rollback.recovery_for
    plan = f"every {int(every.total_seconds() // 60)} min for {int(whole.total_seconds() // 60)} min"
    led_to = view.ended.phase_to if view.ended else view.phase_before
    means = "no event of the target comes any more" if led_to == OFF else "the SLOs have recovered"
    text = f"Run the Collector {plan}, and confirm that {means}."
    if incident is None and view.ended is not None:
        times = ", ".join(f"{due:%H:%M}" for due in planned(view.ended.at, every, whole))
        return _step(view, 5, False, f"{text} No incident was open, so nothing records the checks: {times} UTC.")
    if incident is None or incident.rolled_back_at is None:
        return _step(view, 5, False, f"{text} The times stand here once the rollback has ended.")
    has_recovered = has_held([(check.window_end, check.met) for check in incident.recovery], every, whole)
    return _step(view, 5, has_recovered, text, recovery_table(incident, every, whole, view.as_of))


def _approve(view: IncidentView) -> str:
    roles = view.policy.phases[-1].approvers
    given = {row.role: row for row in view.approvals}
    left = [role for role in roles if role not in given]
    if view.incident is None:
        return _step(view, 6, False, f"Keep the {_entries(view)} entries of the log. {_NO_APPROVAL}")
    told = ". ".join(approval_text(role, given.get(role)) for role in roles) or "The policy names no role for it"
    text = f"Have the incident report, with the {_entries(view)} entries of the log, approved. {told}."
    commands = "\n".join(
        command_line(("phasegate", "approve", f"--role={role}", f"--incident={view.subject}", "--by=NAME"))
        for role in left
    )
    return _step(view, 6, bool(roles) and not left, text, *([fenced(commands, "sh")] if left else []))


_NO_APPROVAL = (
    "An approval is of an incident, and there was none; who answers for it says so where you keep such things."
)


def _entries(view: IncidentView) -> str:
    rules = [rule.id for rule in view.policy.notices.values() if rule.outcome == "rollback"]
    return ", ".join(code(name) for name in rules) or "rollback"
