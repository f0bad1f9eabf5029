"""`phasegate validate`: the governed files, and with `--logs` the logs against the event schema."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checker.cli import say
from checker.cli.common import (
    Instant,
    cache_option,
    cache_place,
    clock,
    ledger_file,
    logs_folder,
    no_ledger_option,
    policy_option,
    progress_line,
    read_governed,
    threads_option,
)
from checker.cli.sources import shown_folder, source_arguments
from checker.errors import CannotDecide, GovernedFilesInvalid

if TYPE_CHECKING:
    from checker.cli.formats.validate_report import LogPlace
    from checker.governance.log_validation import LogReport

_OF_THE_PROJECT = ""


@click.command("validate")
@policy_option
@click.option("--logs", is_flag=False, flag_value=_OF_THE_PROJECT, metavar="[DIR]", help="The logs too.")
@click.option("--ledger", type=click.Path(path_type=Path), help="Also read this ledger, chain and all.")
@no_ledger_option
@click.option("--as-of", type=Instant(), help="The clock for everything (default: now).")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@threads_option
@cache_option
@click.pass_context
def command(
    ctx: click.Context,
    policy: Path,
    logs: str | None,
    ledger: Path | None,
    as_of: datetime | None,
    format_: str,
    threads: int | None,
    use_cache: bool,
) -> None:
    """Check the governed files: schemas, SQL contracts, templates, documents in step; every problem at once.

    Exit codes: 0 sound; 1 the logs have broken lines; 2 a governed file is faulty; 3 there are no logs.
    """
    from checker.cli.formats.explain_document import to_text
    from checker.cli.formats.validate_report import logs_text, validate_document, validation_text
    from checker.governance.validation import validate_governed
    from checker.reporter.notice_tells import template_faults

    validation = validate_governed(policy, template_faults)
    if validation.problems:
        if format_ == "json":
            say.document(to_text(validate_document(validation, None)))
        raise GovernedFilesInvalid(validation.problems)
    if ledger is not None:
        _read_ledger(policy, ledger, clock(as_of))
    if format_ == "table":
        say.text(validation_text(validation))
    report = None if logs is None else _logs(policy, logs, clock(as_of), threads, use_cache)
    if format_ == "json":
        say.document(to_text(validate_document(validation, report)))
    elif report is not None:
        say.text(logs_text(report, _place(ctx, policy, logs)))
    ctx.exit(0 if report is None or report.is_sound else 1)


def _read_ledger(policy: Path, ledger: Path, as_of: datetime) -> None:
    """Raises LedgerInvalid with every fault of the ledger."""
    from checker.ledger.records import read_ledger

    file = ledger_file(read_governed(policy), ledger)
    found = read_ledger(file, as_of) if file else None
    if found and found.torn:
        say.note(f"ledger: {found.torn}")


def _logs(policy: Path, logs: str, as_of: datetime, threads: int | None, use_cache: bool) -> LogReport:
    """The logs' report. Raises CannotDecide, with the folder, where there is no batch."""
    from checker.analyzer.batches import LogFolder
    from checker.analyzer.cache import open_cache
    from checker.engines.local import local_mapper
    from checker.governance.log_validation import validate_logs

    governed = read_governed(policy)
    given = Path(logs) if logs else None
    folder = LogFolder(logs_folder(governed, given))
    run = local_mapper(threads, progress_line("reading"))
    with open_cache(cache_place(governed.policy.root, use_cache)) as cache:
        try:
            return validate_logs(governed, folder, cache, run, as_of)
        except CannotDecide as fault:
            raise CannotDecide(f"{shown_folder(governed.policy, given)}: {fault}") from fault


def _place(ctx: click.Context, policy: Path, logs: str | None) -> LogPlace:
    """Where the logs lie, and how to see a batch's broken lines; any phase shows them."""
    from checker.cli.formats.validate_report import LogPlace
    from checker.policy.load import load_policy

    found = load_policy(policy)
    source = (argument for argument in source_arguments(ctx) if argument != f"--logs={_OF_THE_PROJECT}")
    explain = ("phasegate", "explain", f"--phase={found.phase_names[0]}", "--quarantined", *source)
    return LogPlace(shown_folder(found, Path(logs) if logs else None), explain)
