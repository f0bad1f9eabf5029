"""`phasegate advance`: one phase on, where the gate passes now and the approvals are there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from checker.cli import say
from checker.cli.common import clock
from checker.cli.people import (
    acting,
    by_option,
    check_target,
    logs_option,
    recorded_where,
    remark_option,
    target_option,
)


@click.command("advance")
@target_option
@click.option("--phase", required=True, help="The phase to leave; `off` enters the first.")
@by_option
@remark_option
@click.option("--without-gate", is_flag=True, help="Break-glass: though the gate has not passed. Needs --reason.")
@logs_option
@recorded_where
def command(
    target: str | None,
    phase: str,
    by: str,
    reason: str | None,
    without_gate: bool,
    logs: Path | None,
    policy: Path,
    ledger: Path | None,
    as_of: datetime | None,
) -> None:
    """Record that the rollout goes one phase on. Setting the phase itself is your release tool's.

    Refused unless a check made now says `advance`. --without-gate leaves out the gate, a pause and a freeze, but
    neither an open incident nor the approvals.

    Exit codes: 0 recorded; 1 refused; 2 wrong call; 3 cannot be decided; 4 not recorded.
    """
    from checker.acting import Person, advance

    if without_gate and not reason:
        raise click.UsageError("--without-gate: say why, with --reason")
    with acting(policy, phase, logs, ledger, as_of) as (governed, request):
        check_target(governed, target)
        person = Person(by, reason or "the gate has passed")
        done = advance(governed, request, person, lambda: clock(as_of), without_gate=without_gate)
    if done.without_gate:
        say.text(f"WITHOUT ITS GATE: {done.phase_from} → {done.phase_to}, by {by}: {reason}")
        for overridden in done.decision.reasons if done.decision else ():
            say.text(f"  overridden: {overridden}")
    say.text(f"advanced from {done.phase_from} to {done.phase_to} (record {done.record})")
    say.text(f"{_what_follows(done.phase_to)}; set the phase with your release tool")


def _what_follows(phase: str) -> str:
    from checker.policy.model import COMPLETE

    return "no gate is left" if phase == COMPLETE else "the streak begins anew with the next whole window"
