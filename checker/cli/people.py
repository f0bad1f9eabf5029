"""What the commands of people share: who acts and why, and a ledger that may be begun."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from checker.cli.common import (
    NO_LEDGER,
    Instant,
    check_ahead,
    ledger_file,
    open_request,
    policy_option,
    read_governed,
    tell_torn,
)
from checker.errors import UsageError
from checker.units import plain

if TYPE_CHECKING:
    from checker.analyzer.governed import Governed
    from checker.ledger.state import LedgerState
    from checker.pipeline import Request

Function = TypeVar("Function", bound=Callable[..., Any])
LONGEST_TEXT = 500  # characters of a name or a reason


def one_line_text(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """What an option was given, on one line; None where it was not. Raises as `one_line` does."""
    del ctx
    return None if value is None else one_line(value, param)


def one_line(value: str, param: click.Parameter | None = None) -> str:
    """The text on one line, without characters that would act on a terminal. Raises BadParameter for an empty one."""
    shown = plain(" ".join(value.split()))
    if not shown or len(shown) > LONGEST_TEXT:
        raise click.BadParameter(f"expected a text of 1 to {LONGEST_TEXT} characters", param=param)
    return shown


def login_name() -> str | None:
    """Who is logged in, None where the system does not know."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None


by_option = click.option(
    "--by",
    required=True,
    default=login_name,
    envvar="PHASEGATE_BY",
    show_envvar=True,
    show_default="your login name",
    callback=one_line_text,
    help="Who does it.",
    metavar="NAME",
)
reason_option = click.option("--reason", required=True, callback=one_line_text, help="Why.", metavar="TEXT")
remark_option = click.option(
    "--reason", callback=one_line_text, help="Why, where there is more to say.", metavar="TEXT"
)
target_option = click.option("--target", metavar="NAME", help="The rollout; must be the policy's, where it is given.")


def _recordable(ctx: click.Context, param: click.Parameter, value: datetime | None) -> datetime | None:
    del ctx, param
    check_ahead(value)
    return value


record_options = (
    click.option("--as-of", type=Instant(), callback=_recordable, help="When it is recorded (default: now)."),
    click.option("--ledger", type=click.Path(path_type=Path), help="The ledger (default: ledger/TARGET.jsonl)."),
    policy_option,
)
logs_option = click.option("--logs", type=click.Path(path_type=Path), help="Folder of batches (default: logs/TARGET).")


def recorded_where(function: Function) -> Function:
    """`--policy`, `--ledger`, `--as-of`."""
    for option in record_options:
        function = option(function)
    return function


def ledger_to_write(governed: Governed, ledger: Path | None) -> Path:
    """The ledger's file, there or not. Raises as `ledger_file` does."""
    found = ledger_file(governed, ledger, is_written=True)
    if found is None or ledger == NO_LEDGER:
        raise UsageError("nothing can be recorded without a ledger")
    return found


def ledger_to_act_on(governed: Governed, ledger: Path | None) -> tuple[Path, LedgerState]:
    """The ledger's file, there or not, and what its records come to; a torn end is told of."""
    from checker.ledger.append import END_OF_TIME
    from checker.ledger.records import read_ledger
    from checker.ledger.state import fold

    file = ledger_to_write(governed, ledger)
    found = read_ledger(file, END_OF_TIME)
    tell_torn(found.torn)
    return file, fold(found.records)


def check_target(governed: Governed, target: str | None) -> None:
    """Raises UsageError where another rollout is meant than the policy's."""
    if target not in (None, governed.policy.target):
        raise UsageError(f"--target: the policy is of {governed.policy.target!r}, not {target!r}; give its --policy")


@contextmanager
def acting(
    policy: Path, phase: str | None, logs: Path | None, ledger: Path | None, as_of: datetime | None
) -> Iterator[tuple[Governed, Request]]:
    """The governed files, and what is asked of the pipeline for an act in `phase`; a torn ledger is told of."""
    from checker.pipeline import read_past

    governed = read_governed(policy)
    with open_request(
        governed,
        phase or "",
        None,
        as_of=as_of,
        logs=logs,
        ledger=ledger,
        use_cache=True,
        threads=None,
        writes_ledger=True,
    ) as request:
        tell_torn(read_past(request).torn)
        yield governed, request
