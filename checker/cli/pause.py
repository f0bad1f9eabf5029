"""`phasegate pause`: nothing advances until then."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import click

from checker.cli import say
from checker.cli.common import Instant, clock, read_governed
from checker.cli.people import by_option, ledger_to_act_on, reason_option, recorded_where, target_option
from checker.windows import iso


@click.command("pause")
@target_option
@by_option
@reason_option
@click.option("--until", type=Instant(), help="When it ends by itself (default: at a resume).")
@click.option("--for", "span", metavar="DURATION", help="How long: 90m, 4h, 2d.")
@recorded_where
def command(
    target: str | None,
    by: str,
    reason: str,
    until: datetime | None,
    span: str | None,
    policy: Path,
    ledger: Path | None,
    as_of: datetime | None,
) -> None:
    """Hold the rollout where it is; a second pause replaces the first. Rollbacks are not held up.

    Exit codes: 0 recorded; 2 wrong call; 4 not recorded.
    """
    from checker.acting import Person, pause
    from checker.cli.people import check_target

    governed = read_governed(policy)
    check_target(governed, target)
    at = clock(as_of)
    end = _end(at, until, span)
    file, state = ledger_to_act_on(governed, ledger)
    say.text(pause(file, Person(by, reason), end, at))
    if before := state.paused_at(at):
        say.text(f"it replaces the pause by {before.by} of {iso(before.at)}: {before.reason}")


def _end(at: datetime, until: datetime | None, span: str | None) -> datetime | None:
    from checker.policy.durations import parse_duration

    if span is None:
        return until
    length: timedelta | None = parse_duration(span)
    if until is not None or length is None:
        raise click.UsageError("--for: expected a duration such as 90m, 4h or 2d, and no --until beside it")
    return at + length
