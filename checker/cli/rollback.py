"""`phasegate rollback`: one phase back, guarded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
from checker.errors import NotRecorded
from checker.windows import iso

if TYPE_CHECKING:
    from checker.pipeline import Request
    from checker.policy.model import Policy
    from checker.reporter.rollback.execute import Outcome


@click.command("rollback")
@target_option
@click.option("--phase", required=True, help="The phase to leave; must be the current one.")
@reason_option
@by_option
@click.option("--incident", metavar="ID", help="Only for this incident, the one that is open.")
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
    incident: str | None,
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
        file = ledger_to_write(governed, ledger)
        _check_clock(request, as_of)
        desk = Desk(governed.policy, file, CommandClock(as_of), rollback_teller(governed, request))
        if done or failed:
            outcome = settle(desk, phase, by, reason, incident, done=done)
        elif yes or governed.policy.rollback.mode == "execute":
            with _telling_of_a_stop(file):
                outcome = execute(desk, phase, by, reason, incident)
        else:
            outcome = propose(desk, phase, by, reason, incident)
    _say(outcome, governed.policy)
    ctx.exit(1 if outcome.event == "timed_out" or (outcome.event == "failed" and not failed) else 0)


def _check_clock(request: Request, as_of: datetime | None) -> None:
    """A clock that is behind holds up no rollback; a time that was asked for is kept to. Raises NotRecorded."""
    from checker.pipeline import read_past

    newest = read_past(request).end.at
    if newest is None or request.as_of >= newest:
        return
    if as_of is not None:
        raise NotRecorded(
            f"--as-of {iso(as_of)}: the ledger's newest record is of {iso(newest)}; nothing is recorded into the past"
        )
    say.note(
        f"the clock says {iso(request.as_of)}, and the ledger's newest record is of {iso(newest)};"
        " what is done now is recorded at that time"
    )


@contextmanager
def _telling_of_a_stop(ledger: Path) -> Iterator[None]:
    """Where a signal ends this process while the command runs: what is known of it, and what to do."""
    from checker.ledger.append import END_OF_TIME
    from checker.ledger.records import read_ledger
    from checker.ledger.state import fold

    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if unknown := fold(read_ledger(ledger, END_OF_TIME).records).rollback_unknown:
            say.note(f"{unknown.id}: stopped; its command may have done its work: its outcome is UNKNOWN. {SETTLE}")
        raise


SETTLE = "Look what it did, then record that: phasegate rollback … --done, or --failed"


def _say(outcome: Outcome, policy: Policy) -> None:
    """What came of it, and what is next."""
    made = outcome.move
    where = f"{outcome.id}: from {made.phase_from} to {made.phase_to}"
    record = f" (record {outcome.records[-1]})" if outcome.records else " (recorded already)"
    if outcome.ran and outcome.ran.output:
        say.text(outcome.ran.output)
    if outcome.event == "proposed":
        say.text(f"{where}, proposed{record}; nothing was run")
        _say_how(outcome, policy)
    elif outcome.event == "ended":
        say.text(f"{where}, ended{record}; {_what_follows(outcome, policy)}")
    elif outcome.event == "failed" and outcome.ran is None:
        say.text(f"{where}, was not made{record}; it may be tried again")
    elif outcome.event == "failed":
        say.text(f"{where}, FAILED{record}; {_how_often(outcome)}; the phase is still {made.phase_from}")
    else:
        say.text(f"{where}, stopped at its deadline{record}: its outcome is UNKNOWN. {SETTLE}")


def _say_how(outcome: Outcome, policy: Policy) -> None:
    from checker.reporter.rollback.guard import command_of, guarded_command
    from checker.reporter.shell import command_line

    guarded = command_line((*guarded_command(policy, outcome.move), f"--by={outcome.move.by}"))
    say.text(f"  {command_line(command_of(policy, outcome.move))}")
    say.text(f"have it run:    {guarded} --yes\nmade by hand:   {guarded} --done")


def _what_follows(outcome: Outcome, policy: Policy) -> str:
    if outcome.move.incident is None:
        return "no incident is open, so no recovery is waited for"
    minutes = int(policy.rollback.recovery_for.total_seconds() // 60)
    return f"once the SLOs have been met for {minutes} min, {outcome.move.incident} ends"


def _how_often(outcome: Outcome) -> str:
    if outcome.ran and not outcome.ran.started:
        return "its program could not be started"
    exit_code = outcome.ran.exit_code if outcome.ran else None
    times = "1 time" if outcome.attempts == 1 else f"{outcome.attempts} times"
    return f"tried {times}, at last with exit code {exit_code}"
