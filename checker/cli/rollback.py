"""`phasegate rollback`: one phase back, guarded."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checker.cli import say
from checker.cli.clock import CommandClock
from checker.cli.people import (
    acting,
    by_option,
    check_target,
    logs_option,
    reason_option,
    recorded_where,
    target_option,
)

if TYPE_CHECKING:
    from checker.policy.model import Policy
    from checker.reporter.rollback.execute import Outcome


@click.command("rollback")
@target_option
@click.option("--phase", required=True, help="The phase to leave; must be the current one.")
@reason_option
@by_option
@click.option("--yes", is_flag=True, help="Run the policy's command, whatever its mode.")
@click.option("--done", is_flag=True, help="Record one that was made by hand, or whose outcome was unknown.")
@click.option("--failed", is_flag=True, help="Record that one of unknown outcome was not made.")
@logs_option
@recorded_where
@click.pass_context
def command(
    ctx: click.Context,
    target: str | None,
    phase: str,
    reason: str,
    by: str,
    yes: bool,
    done: bool,
    failed: bool,
    logs: Path | None,
    policy: Path,
    ledger: Path | None,
    as_of: datetime | None,
) -> None:
    """Go back one phase. In mode `propose` the command is shown and recorded; --yes, or mode `execute`, runs it.

    Refused from `off`, from a phase that is not the current one, while another is running or of unknown outcome, and a
    second time for the same incident. After a failing exit that was recorded the command is tried again.

    Exit codes: 0 recorded; 1 refused, failed, or its outcome is unknown; 2 wrong call; 4 not recorded.
    """
    from checker.acting import rollback_teller
    from checker.cli.people import ledger_to_write
    from checker.reporter.rollback.execute import Desk, execute, propose, settle

    if yes + done + failed > 1:
        raise click.UsageError("--yes, --done and --failed: give one of them at most")
    with acting(policy, phase, logs, ledger, as_of) as (governed, request):
        check_target(governed, target)
        tell = rollback_teller(governed, request)
        desk = Desk(governed.policy, ledger_to_write(governed, ledger), CommandClock(as_of), tell)
        if done or failed:
            outcome = settle(desk, phase, by, reason, done=done)
        elif yes or governed.policy.rollback.mode == "execute":
            outcome = execute(desk, phase, by, reason)
        else:
            outcome = propose(desk, phase, by, reason)
    _say(outcome, governed.policy)
    ctx.exit(1 if outcome.event == "timed_out" or (outcome.event == "failed" and not failed) else 0)


def _say(outcome: Outcome, policy: Policy) -> None:
    """What came of it, and what is next."""
    from checker.reporter.rollback.guard import command_of, guarded_command
    from checker.reporter.shell import command_line

    made = outcome.move
    where = f"{outcome.id}: from {made.phase_from} to {made.phase_to}"
    record = f" (record {outcome.records[-1]})" if outcome.records else " (recorded already)"
    if outcome.ran and outcome.ran.output:
        say.text(outcome.ran.output)
    if outcome.event == "proposed":
        guarded = command_line(guarded_command(policy, made))
        say.text(f"{where}, proposed{record}; nothing was run")
        say.text(f"  {command_line(command_of(policy, made))}")
        say.text(f"have it run:    {guarded} --yes\nmade by hand:   {guarded} --done")
    elif outcome.event == "ended":
        say.text(f"{where}, ended{record}; for {_minutes(policy)} min the SLOs are checked, then the incident ends")
    elif outcome.event == "failed" and outcome.ran is None:
        say.text(f"{where}, was not made{record}; it may be tried again")
    elif outcome.event == "failed":
        exit_code = outcome.ran.exit_code if outcome.ran else None
        say.text(f"{where}, FAILED {policy.rollback.tries} times, at last with exit code {exit_code}{record}")
    else:
        say.text(
            f"{where}, stopped at its deadline{record}: its outcome is UNKNOWN; look what it did, then record it:"
            " phasegate rollback … --done, or --failed"
        )


def _minutes(policy: Policy) -> int:
    return int(policy.rollback.recovery_for.total_seconds() // 60)
