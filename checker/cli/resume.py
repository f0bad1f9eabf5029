"""`phasegate resume`: a pause ends."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from checker.cli import say
from checker.cli.common import clock, read_governed
from checker.cli.people import by_option, check_target, ledger_to_act_on, reason_option, recorded_where, target_option


@click.command("resume")
@target_option
@by_option
@reason_option
@recorded_where
def command(
    target: str | None, by: str, reason: str, policy: Path, ledger: Path | None, as_of: datetime | None
) -> None:
    """End a pause.

    Exit codes: 0 recorded; 1 there is no pause; 2 wrong call; 4 not recorded.
    """
    from checker.acting import Person, resume

    governed = read_governed(policy)
    check_target(governed, target)
    file, _ = ledger_to_act_on(governed, ledger)
    say.text(resume(file, Person(by, reason), clock(as_of)))
    say.text("the next check decides whether the rollout may advance")
