"""`phasegate approve`: a role approves the next advance, an incident, or a change of the policy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checker.cli import say
from checker.cli.common import clock, read_governed
from checker.cli.durations import Duration
from checker.cli.people import by_option, check_target, ledger_to_act_on, one_line_text, recorded_where, target_option
from checker.errors import Refused, UsageError

if TYPE_CHECKING:
    from checker.acting import Person
    from checker.approving import Signing

SHORTEST_DIGEST = 12

key_option = click.option(
    "--key",
    type=click.Path(path_type=Path),
    envvar="PHASEGATE_SIGNING_KEY",
    show_envvar=True,
    metavar="FILE",
    help="Your SSH key, where the approval is signed; its .pub where ssh-agent has it.",
)
expires_option = click.option(
    "--expires", type=Duration(), metavar="DURATION", help="How long a signed approval holds (the policy's valid_for)."
)


@click.command("approve")
@target_option
@click.option("--role", required=True, help="As the policy's approvers name it.")
@by_option
@click.option("--reason", callback=one_line_text, help="Why; required with --base.", metavar="TEXT")
@click.option("--phase", help="The phase to leave, where the ledger names none yet.")
@click.option("--incident", metavar="ID", help="Approve this incident instead of the next advance.")
@click.option("--base", metavar="REV", help="Approve the change that the working tree makes to this revision.")
@click.option("--digest", metavar="HEX", help="With --base: what was reviewed, at least its first 12 digits.")
@key_option
@expires_option
@recorded_where
def command(
    target: str | None,
    role: str,
    by: str,
    reason: str | None,
    phase: str | None,
    incident: str | None,
    base: str | None,
    digest: str | None,
    key: Path | None,
    expires: timedelta | None,
    policy: Path,
    ledger: Path | None,
    as_of: datetime | None,
) -> None:
    """Record an approval: of the advance out of the current phase, of an incident, or of a policy's change.

    The three are never the same.

    That of an advance holds for the policy as it is now; a change of what judges voids it. In the policy's
    governance.signed_phases an approval is signed with your SSH key: give it with --key. So is that of a change,
    always: with --base it is bound to all that `phasegate review` holds against each other, and written beside the
    policy.

    Exit codes: 0 recorded, or there already; 1 there is nothing to approve, or the signature would not count; 2 wrong
    call; 4 not recorded.
    """
    from checker.acting import Person
    from checker.approving import Signing, approve_advance, approve_incident

    governed = read_governed(policy)
    check_target(governed, target)
    person, signing, at = Person(by, reason or ""), Signing(key, expires), clock(as_of)
    if base is not None:
        check_alone({"--incident": incident, "--phase": phase})
        say.text(approved_change(policy, base, digest, role, person, signing, ledger, at))
        return
    if digest is not None:
        raise UsageError("--digest: says what was reviewed of a change; give its --base as well")
    file, _ = ledger_to_act_on(governed, ledger)
    if incident is not None:
        say.text(approve_incident(governed.policy, file, incident, role, person, at, signing))
    else:
        say.text(approve_advance(governed, file, phase, role, person, at, signing))


def check_alone(others: Mapping[str, object]) -> None:
    """Raises UsageError where an approval of a change is asked for with what belongs to another one."""
    for name, value in others.items():
        if value is not None:
            raise UsageError(f"{name} does not go with --base: an approval is of one thing alone")


def approved_change(
    policy: Path,
    base: str,
    digest: str | None,
    role: str,
    person: Person,
    signing: Signing,
    ledger: Path | None,
    at: datetime,
) -> str:
    """Approve what the working tree changes of `base`. Raises Refused where it is not what was reviewed (`digest`)."""
    from checker.approving import approve_change
    from checker.cli.review import engine_of
    from checker.reviewing.compare import compare
    from checker.reviewing.review import reviewed_of
    from checker.reviewing.revision import both_revisions

    if digest is not None and len(digest) < SHORTEST_DIGEST:
        raise UsageError(f"--digest {digest!r}: give at least its first {SHORTEST_DIGEST} digits")
    with both_revisions(policy, base, None) as (_, before, after):
        compared = compare(before, after, engine_of(ledger))
        reviewed = reviewed_of(compared)
        if digest is not None and not reviewed.digest.startswith(digest.lower()):
            raise Refused(f"what lies here is {reviewed.digest}, not what was reviewed ({digest}); review it again")
        if not compared.direction.needs_approval:
            raise Refused(f"the change is {compared.direction.value}: there is nothing to approve")
        policies = compared.before.policy, compared.after.policy
        return approve_change(*policies, reviewed, compared.changes, before.signers, role, person, signing, at)
