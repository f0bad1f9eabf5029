"""`phasegate report`: what the ledger holds reaches people."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checker.cli import say
from checker.cli.clock import CommandClock
from checker.cli.common import (
    cache_option,
    check_ahead,
    open_request,
    read_governed,
    reports_folder,
    source_options,
    tell_torn,
    threads_option,
)
from checker.errors import NotRecorded, UsageError
from checker.windows import iso

if TYPE_CHECKING:
    from checker.analyzer.governed import Governed
    from checker.pipeline import Past, Request
    from checker.reporting import Reported


@click.command("report")
@click.option("--phase", help="The phase that judges the dashboard, where the ledger names none.")
@source_options
@click.option("--daily", is_flag=True, help="Write yesterday's report instead, and show it; nothing is sent.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="With --daily: this day (UTC).")
@click.option("--reports", type=click.Path(path_type=Path), help="Folder (default: reports of the project).")
@click.option(
    "--deadline", default=120.0, show_default=True, type=click.FloatRange(0, 3600), help="Seconds for sending."
)
@threads_option
@cache_option
@click.pass_context
def command(
    ctx: click.Context,
    phase: str | None,
    policy: Path,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    daily: bool,
    day: datetime | None,
    reports: Path | None,
    deadline: float,
    threads: int | None,
    use_cache: bool,
) -> None:
    """Renew dashboard and Runbooks, deliver every notice that is not delivered; in mode `execute` roll back.

    Credentials come from the environment alone: PHASEGATE_SLACK_TOKEN, or PHASEGATE_SLACK_WEBHOOK_<CHANNEL>;
    PHASEGATE_PAGERDUTY_ROUTING_KEY; PHASEGATE_WEBHOOK_URL and PHASEGATE_WEBHOOK_SECRET. Without any, notices go to
    reports/notices/ and stdout.

    --daily writes reports/daily/DAY.md instead: a day's windows and margins against the day before, incidents, gate.

    Exit codes: 0 everything delivered, or kept where there is no credential; 2 wrong call or governed files; 3 the
    ledger cannot be read; 4 something was not delivered, written or rolled back.
    """
    from checker.pipeline import read_past
    from checker.reporter.transports.credentials import Transports
    from checker.reporting import Reporter

    governed = read_governed(policy)
    clock = CommandClock(as_of)
    with open_request(
        governed, phase or "", None, as_of=as_of, logs=logs, ledger=ledger, use_cache=use_cache, threads=threads
    ) as request:
        if request.ledger is None:
            raise UsageError("report: there is nothing to deliver without a ledger")
        past = read_past(request)
        tell_torn(past.torn)
        if not past.state.exists:
            raise UsageError("report: the ledger is empty; `phasegate check --record` writes what is to be delivered")
        check_ahead(as_of)
        folder = reports_folder(governed, reports)
        if daily or day:
            say.text(_daily(governed, request, past, folder, day))
            return
        carriers = Transports(os.environ, clock.now)
        carriers.check_channels(rule.channel for rule in governed.policy.notices.values())
        reporter = Reporter(governed, request, request.ledger, folder, carriers, clock, deadline)
        reported = reporter.run()
    _say(reported)
    ctx.exit(0 if reported.is_complete else 4)


def _daily(governed: Governed, request: Request, past: Past, folder: Path, day: datetime | None) -> str:
    """Write the report of `day`, by default the day before the request's clock, and give its text."""
    from checker.pipeline import survey
    from checker.reporter.daily import daily_report
    from checker.whole_file import write_whole

    wanted = day.date() if day else request.as_of.date() - timedelta(days=1)
    first = datetime(wanted.year, wanted.month, wanted.day, tzinfo=UTC) - timedelta(days=1)
    if first > request.as_of or request.as_of - first > timedelta(days=400):
        raise UsageError(f"--day {wanted}: lies in the future, or more than a year back; it is {iso(request.as_of)}")
    if past.state.phase is None and not request.phase:
        raise UsageError("report --daily: the ledger names no phase; say with --phase which one judges")
    windows = -(-(request.as_of - first) // governed.policy.window)
    end = first + timedelta(days=2) + governed.policy.lateness
    then = past.until(end)
    is_known = end <= request.as_of and (then.state.phase is not None or request.phase)
    days_end = survey(governed, replace(request, as_of=end), then, 1) if is_known else None
    text = daily_report(survey(governed, request, past, windows), past.records, wanted, days_end)
    try:
        write_whole(folder / "daily" / f"{wanted}.md", text.encode("utf-8", "backslashreplace"))
    except OSError as fault:
        raise NotRecorded(f"the report cannot be written: {fault.strerror or fault}") from fault
    return text


def _say(reported: Reported) -> None:
    """What came of it; kept notices whole, since nobody else got them."""
    sent = reported.sent
    for notice in reported.kept:
        say.text(f"--- {notice.notice} for {notice.channel}\n{notice.text}")
    if sent.kept:
        say.text(f"kept {_counted(len(sent.kept))} in reports/notices: no credential is set, so NOTHING WAS SENT")
    for transport in sorted(set(sent.delivered.values())):
        count = sum(name == transport for name in sent.delivered.values())
        say.text(f"delivered {_counted(count)} by {transport}")
    if not sent.delivered and not sent.kept and not sent.failed:
        say.text("nothing to deliver")
    for name, why in sent.failed.items():
        say.note(f"NOT DELIVERED: {name}: {why}")
    if reported.rollback is not None:
        made = reported.rollback
        say.text(f"rollback {made.id}, {made.move.phase_from} → {made.move.phase_to}: {made.event}")
    if reported.refused:
        say.note(reported.refused)
    for fault in reported.faults:
        say.note(fault)


def _counted(count: int) -> str:
    return f"{count} notice{'' if count == 1 else 's'}"
