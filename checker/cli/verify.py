"""`phasegate verify`: the design's checklist, each step with its evidence."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from checker.cli import say
from checker.cli.common import (
    Instant,
    cache_option,
    open_request,
    read_governed,
    source_options,
    tell_torn,
    threads_option,
)


@click.command("verify")
@click.option("--phase", help="The phase that judges, where the ledger names none or another one is to be tried.")
@click.option("--since", type=Instant(), help="The first window starts then or later (default: the policy's span).")
@source_options
@click.option("--reports", type=click.Path(path_type=Path), help="Folder (default: reports of the project).")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@threads_option
@cache_option
@click.pass_context
def command(
    ctx: click.Context,
    phase: str | None,
    since: datetime | None,
    policy: Path,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    reports: Path | None,
    format_: str,
    threads: int | None,
    use_cache: bool,
) -> None:
    """Run the verification checklist: logs, verdict, dashboard, drift, notices, and the trace of a rollback.

    The dashboard's values are recomputed from the JSON lines by other code than the check's. Nothing is recorded.

    Exit codes: 0 logs, verdict and dashboard passed and nothing failed; 1 a step failed; 2 wrong call or governed
    files; 3 there was nothing to look at.
    """
    from checker.cli.formats.verification import to_json, to_text
    from checker.errors import UsageError
    from checker.pipeline import judging_phase, read_past
    from checker.verify.model import exit_code
    from checker.verify.run import verify

    governed = read_governed(policy)
    with open_request(
        governed, phase or "", None, as_of=as_of, logs=logs, ledger=ledger, use_cache=use_cache, threads=threads
    ) as request:
        past = read_past(request)
        tell_torn(past.torn)
        judging = phase or judging_phase(governed.policy, past.state, "")
        if not judging:
            raise UsageError("the ledger names no phase; say with --phase which one judges")
        request = replace(request, phase=judging)
        steps = verify(governed, request, past, reports or governed.policy.root / "reports", since)
    if format_ == "json":
        say.document(to_json(steps, governed.policy.target, judging, request.as_of))
    else:
        width = min(shutil.get_terminal_size((80, 24)).columns, 100)
        say.text(to_text(steps, width))
    ctx.exit(exit_code(steps))
