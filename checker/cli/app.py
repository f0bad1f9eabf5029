"""The `phasegate` group: finds a command's file by its name, and turns errors into words and exit codes."""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import Any

import click

from checker import __version__
from checker.cli import say, signals, streams
from checker.errors import PhasegateError

INTERRUPTED = 130  # as shells have it for SIGINT
INTERNAL = 70
COMMANDS = {
    "collect": "One cycle of the Collector: seal the window that has just ended.",
    "run": "The loop: collect, check, report, verify, on each window's boundary.",
    "advance": "One phase on, where the gate passes and the approvals are there.",
    "approve": "Record an approval: of the next advance, an incident, or a policy change.",
    "incident": "The incidents; a note on one, or its end by a person's word.",
    "pause": "Hold the rollout where it is.",
    "report": "Deliver what the ledger holds: dashboard, Runbook, notices.",
    "resume": "End a pause.",
    "rollback": "One phase back, guarded.",
    "audit": "Would every recorded decision be made again?",
    "check": "Measure, judge, decide, show; with --record write it to the ledger.",
    "dashboard": "Where the rollout stands, as a page and as a document.",
    "docs": "Renew the generated tables in the design document.",
    "explain": "Why: the value, the threshold, the worst rows behind it.",
    "review": "What a change of the policy would have decided, and who must approve.",
    "replay": "The check at every closed window of a span.",
    "simulate": "Make realistic telemetry, seeded.",
    "status": "Phase, since when, gate progress.",
    "test": "Run the queries' own tests.",
    "verify": "The verification checklist, each step with its evidence.",
    "validate": "Check the governed files, and with --logs the logs.",
}


class LazyGroup(click.Group):
    """A group whose commands live in `checker.cli.<name>` and are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, sorted."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called `cmd_name`, imported now; None where there is none."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"checker.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """The group's context; where help cannot be written, raises NotShown as `invoke` does."""
        with streams.showing(BrokenPipeError):
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises NotShown where nobody reads any more what it says."""
        with streams.showing(BrokenPipeError):
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from `COMMANDS`, so that help imports none of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="phasegate")
@click.option("--debug", is_flag=True, help="Show a traceback for an unexpected error.")
def cli(debug: bool) -> None:
    """Decide a rollout's next step from its telemetry, and show why.

    Exit codes: 0 met · 1 violated or refused · 2 usage or governed files invalid · 3 cannot be decided ·
    4 met, but not recorded or delivered · 70 internal error.
    """
    del debug  # main() has taken it, wherever it stood


def main() -> None:
    """Run the command line; every error ends in words and its exit code, a traceback only with `--debug`."""
    streams.complete()
    with signals.unwinding() as stopped:
        code = _run([argument for argument in sys.argv[1:] if argument != "--debug"], "--debug" in sys.argv[1:])
    sys.exit(stopped.code or streams.flushed(code))


def _run(arguments: list[str], debug: bool) -> int:
    try:
        return int(cli.main(arguments, prog_name="phasegate", standalone_mode=False) or 0)
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.ClickException as fault:
        say.fault(fault)
        return fault.exit_code
    except (click.Abort, KeyboardInterrupt):
        say.note("interrupted")
        return INTERRUPTED
    except streams.NotShown as fault:
        say.note(str(fault))
    except PhasegateError as fault:
        if debug:
            say.note(traceback.format_exc())
        say.note(str(fault))
        return fault.exit_code
    except Exception as fault:
        if debug:
            say.note(traceback.format_exc())
        say.note(f"internal error: {type(fault).__name__}: {fault}\nRun again with --debug for the traceback.")
    return INTERNAL
