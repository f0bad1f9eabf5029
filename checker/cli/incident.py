"""`phasegate incident`: the incidents so far; a note on the open one, or its end by a person's word."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from checker.cli import say
from checker.cli.common import clock, ledger_file, read_governed, tell_torn
from checker.cli.people import (
    acting,
    check_target,
    login_name,
    logs_option,
    one_line,
    recorded_where,
    target_option,
)
from checker.errors import UsageError

WIDTH = 80


@click.command("incident")
@target_option
@click.option("--cancel", metavar="ID", help="Close it by your word, with --by and --reason.")
@click.option("--note", metavar="ID", help="Record in it what --reason says, with --by.")
@click.option("--step", type=click.IntRange(1, 6), help="With --note: this step of the Runbook is done.")
@click.option("--by", default=login_name, envvar="PHASEGATE_BY", metavar="NAME", help="Who does it (your login name).")
@click.option("--reason", metavar="TEXT", help="Why, or what was done.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@logs_option
@recorded_where
def command(
    target: str | None,
    cancel: str | None,
    note: str | None,
    step: int | None,
    by: str | None,
    reason: str | None,
    format_: str,
    logs: Path | None,
    policy: Path,
    ledger: Path | None,
    as_of: datetime | None,
) -> None:
    """List the incidents, newest first; with --cancel or --note record what a person did about one.

    Exit codes: 0 told or recorded; 1 refused; 2 wrong call; 4 not recorded.
    """
    if cancel and note:
        raise click.UsageError("--cancel and --note: give one of them")
    if step and not note:
        raise click.UsageError("--step goes with --note")
    if cancel or note:
        _record(target, cancel, note, step, _said("--by", by), _said("--reason", reason), logs, policy, ledger, as_of)
        return
    _list(target, format_, policy, ledger, as_of)


def _said(option: str, value: str | None) -> str:
    try:
        return one_line(value or "")
    except click.BadParameter as fault:
        raise click.UsageError(f"{option}: {fault.message}") from None


def _record(
    target: str | None,
    cancelled: str | None,
    noted: str | None,
    step: int | None,
    by: str,
    reason: str,
    logs: Path | None,
    policy: Path,
    ledger: Path | None,
    as_of: datetime | None,
) -> None:
    from checker.acting import Person, cancel, note

    with acting(policy, None, logs, ledger, as_of) as (governed, request):
        check_target(governed, target)
        if cancelled:
            say.text(cancel(governed, request, cancelled, Person(by, reason), clock(as_of)))
        elif noted and request.ledger:
            say.text(note(request.ledger, noted, Person(by, reason), step, clock(as_of)))


def _list(target: str | None, format_: str, policy: Path, ledger: Path | None, as_of: datetime | None) -> None:
    from checker.cli.formats.explain_document import to_text
    from checker.cli.formats.incidents import incident_documents, render_incidents
    from checker.ledger.records import read_ledger
    from checker.ledger.state import fold

    governed = read_governed(policy)
    check_target(governed, target)
    file = ledger_file(governed, ledger)
    if file is None:
        raise UsageError("there are no incidents without a ledger")
    found = read_ledger(file, clock(as_of))
    tell_torn(found.torn)
    incidents = fold(found.records).incidents[::-1]
    if format_ == "json":
        say.document(to_text({"schema_version": 1, "incidents": incident_documents(incidents)}))
    else:
        say.text(render_incidents(incidents, WIDTH))
