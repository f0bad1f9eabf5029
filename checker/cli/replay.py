"""`phasegate replay`: the check at every closed window of a span."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import click

from checker.cli import say
from checker.cli.check import exit_code
from checker.cli.common import (
    Instant,
    cache_option,
    engine_options,
    open_request,
    read_governed,
    source_options,
    tell_torn,
    threads_option,
)
from checker.errors import CannotDecide, UsageError
from checker.model import Decision


@click.command("replay")
@click.option("--phase", required=True, help="The phase whose thresholds and gate hold.")
@click.option("--events-of", metavar="PHASE", help="Judge the events of another phase.")
@click.option("--since", type=Instant(), required=True, help="The first window starts at or after this time.")
@click.option("--until", type=Instant(), required=True, help="The last window starts before this time.")
@source_options
@click.option("--format", "format_", type=click.Choice(["table", "jsonl"]), default="table", show_default=True)
@engine_options
@threads_option
@cache_option
@click.pass_context
def command(
    ctx: click.Context,
    phase: str,
    events_of: str | None,
    since: datetime,
    until: datetime,
    policy: Path,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    format_: str,
    engine: str,
    address: str | None,
    threads: int | None,
    use_cache: bool,
) -> None:
    """Run the check at every closed window from --since to --until, over past logs, under this or another policy.

    Exits with the code of the worst window.
    """
    from checker.pipeline import read_past, replay

    if until <= since:
        raise UsageError(f"--until {until:%Y-%m-%dT%H:%M:%SZ} is not after --since {since:%Y-%m-%dT%H:%M:%SZ}")
    governed = read_governed(policy)
    with open_request(
        governed,
        phase,
        events_of,
        as_of=as_of,
        logs=logs,
        ledger=ledger,
        use_cache=use_cache,
        threads=threads,
        engine=engine,
        address=address,
    ) as request:
        past = read_past(request)
        tell_torn(past.torn)
        codes = set(_show(replay(governed, request, past, since, until), format_))
    if not codes:
        raise CannotDecide("no window of the span is closed; nothing was judged (look at --since, --until and --as-of)")
    ctx.exit(next(code for code in (1, 3, 0) if code in codes))


def _show(decisions: Iterable[Decision], format_: str) -> Iterator[int]:
    """Print each decision as it comes, and give its exit code."""
    from checker.cli.formats.json_document import replay_line, to_json_line
    from checker.cli.formats.replay_table import replay_header, replay_row

    if format_ == "table":
        say.text(replay_header())
    for decision in decisions:
        if format_ == "jsonl":
            say.document(to_json_line(replay_line(decision)))
        else:
            say.text(replay_row(decision))
        yield exit_code(decision)
