"""`phasegate dashboard`: where the rollout stands, as a document and as a page."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from checker.cli import say
from checker.cli.common import (
    cache_option,
    open_request,
    read_governed,
    reports_folder,
    source_options,
    tell_torn,
    threads_option,
)


@click.command("dashboard")
@click.option("--phase", help="The phase that judges, where the ledger names none.")
@source_options
@click.option("--output", type=click.Path(path_type=Path), help="Folder (default: reports/monitoring of the project).")
@click.option("--serve", is_flag=True, help="Show it on this machine, until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=8137, show_default=True, help="With --serve; 0: any.")
@threads_option
@cache_option
def command(
    phase: str | None,
    policy: Path,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    output: Path | None,
    serve: bool,
    port: int,
    threads: int | None,
    use_cache: bool,
) -> None:
    """Write dashboard.json and a self-contained dashboard.html.

    Exit codes: 0 written; 2 wrong call or governed files; 3 cannot be decided; 4 not written.
    """
    from checker.cli.serve import serve_folder
    from checker.errors import NotRecorded, UsageError
    from checker.pipeline import read_past, survey
    from checker.reporter.dashboard.write import PAGE, write_dashboard

    governed = read_governed(policy)
    with open_request(
        governed, phase or "", None, as_of=as_of, logs=logs, ledger=ledger, use_cache=use_cache, threads=threads
    ) as request:
        past = read_past(request)
        tell_torn(past.torn)
        if past.state.phase is None and phase is None:
            raise UsageError("the ledger names no phase; say with --phase which one judges")
        found = survey(governed, request, past)
    folder = output or reports_folder(governed, None) / "monitoring"
    try:
        write_dashboard(folder, found)
    except OSError as fault:
        raise NotRecorded(f"the dashboard cannot be written: {fault.strerror or fault}") from fault
    shown = output or Path("reports/monitoring")
    say.text(f"{shown / PAGE}: {found.decision.verdict.value}, {found.decision.outcome.value}")
    if serve:
        serve_folder(folder, port)
