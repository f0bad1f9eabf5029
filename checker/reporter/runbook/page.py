"""The Runbook of one incident: six steps with the real values in them, ticked as the ledger shows them done. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from checker.ledger.values import Incident, RecordedNotice, RollbackRecord
from checker.policy.model import OFF
from checker.reporter.recovery_plan import has_held
from checker.reporter.runbook.log import log_lines
from checker.reporter.runbook.markdown import clock, code, fenced, indented, md, step
from checker.reporter.runbook.recovery import recovery_table
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
        yield from _steps_of_a_source(view)
        return
    yield _confirm(view)
    yield _stop(view)
    yield _roll_back(view)
    yield _guard(view)
    yield _recover(view)
    yield _approve(view)


def _steps_of_a_source(view: IncidentView) -> Iterator[str]:
    incident = view.incident
    closes = f"phasegate incident --cancel {view.subject} --by NAME --reason TEXT"
    yield step(1, False, "Look at the collector's source; the log below says which windows it was given up in.")
    done = incident is not None and incident.closed_at is not None
    yield step(2, done, f"Close the incident once it delivers again:\n\n{indented(fenced(closes, 'sh'))}")


def _confirm(view: IncidentView) -> str:
    notice = next((row for row in view.notices if row.outcome == "violation"), None)
    told = "No notice was asked for." if notice is None else _delivered(notice)
    is_done = notice is not None and notice.delivered_at is not None
    text = "Confirm `rollback_required=true` in the incident's notice, and copy its command."
    return step(1, is_done, f"{text} {told}\n\n{indented(fenced(_guarded(view), 'sh'))}")


def _delivered(notice: RecordedNotice) -> str:
    where = f"{code(notice.notice)} to {code(notice.channel)}"
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
    notes = view.incident.notes if view.incident else ()
    done = next((note for note in notes if note.step == STOP_COLLECTOR), None)
    text = f"Stop the running Collector of phase {md(view.phase)} (target {code(view.policy.target)})."
    if done is not None:
        return step(2, True, f"{text} {clock(done.at)}, {md(done.by)}: {md(done.text)}")
    if view.incident is None:
        return step(2, False, text)
    told = (
        "phasegate",
        "incident",
        f"--note={view.subject}",
        f"--step={STOP_COLLECTOR}",
        "--by=NAME",
        "--reason=stopped",
    )
    return step(2, False, f"{text} Then record it:\n\n{indented(fenced(command_line(told), 'sh'))}")


def _roll_back(view: IncidentView) -> str:
    made = [row for row in view.rollbacks if row.event != "proposed"]
    ended = next((row for row in made if row.event == "ended"), None)
    parts = [f"Roll back, with `--yes` to have it run, or by hand and then `--done`: {code(_guarded(view))}"]
    parts += [indented(_attempt(row)) for row in made]
    unknown = view.state.rollback_unknown
    if unknown is not None and unknown in made:
        parts.append(indented(_unknown(view)))
    return step(3, ended is not None, "\n\n".join(parts))


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
    to = view.policy.phase_before(view.phase) if view.phase in view.policy.phase_names else OFF
    ended = next((row for row in view.rollbacks if row.event == "ended"), None)
    held = ended is not None and ended.phase_to == to
    return step(
        4, held, f"One phase only: {md(view.phase)} → {md(to)}. The command refuses any other, and a second time."
    )


def _recover(view: IncidentView) -> str:
    rollback, incident = view.policy.rollback, view.incident
    every, whole = rollback.recovery_every, rollback.recovery_for
    plan = f"every {int(every.total_seconds() // 60)} min for {int(whole.total_seconds() // 60)} min"
    text = f"Run the Collector {plan}, and confirm that the SLOs have recovered."
    if incident is None or incident.rolled_back_at is None:
        return step(5, False, f"{text} The times stand here once the rollback has ended.")
    checks = [(check.window_end, check.met) for check in incident.recovery]
    return step(
        5, has_held(checks, every, whole), f"{text}\n\n{indented(recovery_table(incident, every, whole, view.as_of))}"
    )


def _approve(view: IncidentView) -> str:
    roles = view.policy.phases[-1].approvers
    given = {row.role: row for row in view.approvals}
    told = [
        f"{md(role)}: approved {clock(given[role].at)} by {md(given[role].by)}"
        if role in given
        else f"{md(role)}: missing"
        for role in roles
    ]
    left = [role for role in roles if role not in given]
    entries = f"Put the {_entries(view)} entries of the log into the incident report, and have it approved."
    text = f"{entries} {'. '.join(told)}."
    if not left or view.incident is None:
        return step(6, not left, text)
    commands = "\n".join(
        command_line(("phasegate", "approve", f"--role={role}", f"--incident={view.subject}", "--by=NAME"))
        for role in left
    )
    return step(6, False, f"{text}\n\n{indented(fenced(commands, 'sh'))}")


def _entries(view: IncidentView) -> str:
    rules = [rule.id for rule in view.policy.notices.values() if rule.outcome == "rollback"]
    return ", ".join(code(name) for name in rules) or "rollback"
