"""`phasegate approve`: a role approves the next advance, or an incident."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from checker.cli import say
from checker.cli.common import clock, read_governed
from checker.cli.people import by_option, check_target, ledger_to_act_on, recorded_where, remark_option, target_option


@click.command("approve")
@target_option
@click.option("--role", required=True, help="As the policy's approvers name it.")
@by_option
@remark_option
@click.option("--phase", help="The phase to leave, where the ledger names none yet.")
@click.option("--incident", metavar="ID", help="Approve this incident instead of the next advance.")
@recorded_where
def command(
    target: str | None,
    role: str,
    by: str,
    reason: str | None,
    phase: str | None,
    incident: str | None,
    policy: Path,
    ledger: Path | None,
    as_of: datetime | None,
) -> None:
    """Record an approval: of the advance out of the current phase, or of an incident. The two are never the same.

    That of an advance holds for the policy as it is now; a change of what judges voids it.

    Exit codes: 0 recorded, or there already; 1 there is nothing to approve; 2 wrong call; 4 not recorded.
    """
    from checker.acting import Person, approve_advance, approve_incident

    governed = read_governed(policy)
    check_target(governed, target)
    file, _ = ledger_to_act_on(governed, ledger)
    person, at = Person(by, reason or ""), clock(as_of)
    if incident is not None:
        say.text(approve_incident(governed.policy, file, incident, role, person, at))
    else:
        say.text(approve_advance(governed, file, phase, role, person, at))
