"""Options that commands share, and what stands behind them: paths of a project, the clock, progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from checker.cli import say
from checker.errors import LedgerInvalid, UsageError
from checker.regular import is_link
from checker.windows import iso, parse_iso

if TYPE_CHECKING:
    from checker.analyzer.cache import CachePlace
    from checker.analyzer.governed import Governed
    from checker.analyzer.telemetry import Mapper
    from checker.engines.local import Progress
    from checker.pipeline import Request

    _InstantType = click.ParamType[datetime]
else:
    _InstantType = click.ParamType  # generic in newer versions alone

Function = TypeVar("Function", bound=Callable[..., Any])
EARLIEST, LATEST = datetime(1971, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
CACHE_VARIABLE = "PHASEGATE_CACHE"
NO_LEDGER = Path(os.devnull)  # what --no-ledger makes of --ledger


class Instant(_InstantType):
    """A time with a zone, as in 2026-01-02T11:45:00Z."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant in UTC."""
        if isinstance(value, datetime):
            return value
        try:
            instant = parse_iso(value)
            if not EARLIEST <= instant <= LATEST:
                raise ValueError(f"expected a time from {EARLIEST.year} to {LATEST.year}")
            return instant
        except (ValueError, OverflowError) as fault:
            self.fail(f"{value!r} is not a time such as 2026-01-02T11:45:00Z ({fault})", param, ctx)


def source_options(function: Function) -> Function:
    """`--policy`, `--logs`, `--ledger`, `--no-ledger`, `--as-of`: on every command that looks at a rollout."""
    for option in (
        click.option("--as-of", type=Instant(), help="The clock for everything (default: now)."),
        no_ledger_option,
        click.option("--ledger", type=click.Path(path_type=Path), help="The ledger (default: ledger/TARGET.jsonl)."),
        click.option("--logs", type=click.Path(path_type=Path), help="Folder of batches (default: logs/TARGET)."),
        policy_option,
    ):
        function = option(function)
    return function


policy_option = click.option(
    "--policy",
    type=click.Path(path_type=Path),
    default=Path("policy/policy.yaml"),
    show_default=True,
    help="The policy; its folder's parent is the project.",
)
no_ledger_option = click.option(
    "--no-ledger",
    "ledger",
    type=click.Path(path_type=Path),
    flag_value=str(NO_LEDGER),
    help="As if there were no ledger, whatever lies in ledger/.",
)
cache_option = click.option(
    "--cache/--no-cache",
    "use_cache",
    default=True,
    help="Keep what was read and measured in .phasegate (default: yes).",
)


def engine_options(function: Function) -> Function:
    """`--engine`, `--address`: what measures."""
    for option in (
        click.option(
            "--address", metavar="HOST:PORT", help="With --engine ray: the cluster (default: one started here)."
        ),
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="What measures: this machine, or the workers of a Ray cluster.",
        ),
    ):
        function = option(function)
    return function


def engine_of_call(engine: str, address: str | None, threads: int | None, label: str = "reading") -> Mapper:
    """The mapper that the options ask for. Raises UsageError for an address that nothing would be measured at."""
    from checker.engines.local import local_mapper

    progress = progress_line(label)
    if engine == "local":
        if address is not None:
            raise UsageError("--address is of a Ray cluster; it goes with --engine ray")
        return local_mapper(threads, progress)
    from checker.engines.ray import ray_mapper

    return ray_mapper(address, progress, threads)


threads_option = click.option("--threads", type=click.IntRange(1, 256), help="How many to use (default: all cores).")


def read_governed(policy: Path) -> Governed:
    """The governed files of `policy`. Raises GovernedFilesInvalid with every problem."""
    from checker.analyzer.governed import load_governed

    return load_governed(policy)


def clock(as_of: datetime | None) -> datetime:
    """`as_of`, or now: the only place where a command reads the clock."""
    return as_of or datetime.now(UTC).replace(microsecond=0)


def reports_folder(governed: Governed, reports: Path | None) -> Path:
    """Where dashboards and reports lie: as given, else `reports` of the project.

    Raises UsageError where a folder of the project's own is a link: a stranger may have put it there.
    """
    if reports is not None:
        return reports
    folder = governed.policy.root / "reports"
    for part in (folder, *(folder / name for name in ("monitoring", "incidents", "notices", "daily"))):
        if is_link(part):
            shown = part.relative_to(governed.policy.root).as_posix()
            raise UsageError(f"{shown}: is a link; put the folder itself there, or name another one")
    return folder


FAR_AHEAD = timedelta(days=1000)


def check_ahead(as_of: datetime | None) -> None:
    """Tell of a time to record at that is still to come: until then the ledger takes no earlier record.

    Raises UsageError where it is years ahead, which nobody can have meant: the ledger could not be written any more.
    """
    now = clock(None)
    if as_of is None or as_of <= now:
        return
    if as_of > now + FAR_AHEAD:
        raise UsageError(f"--as-of {iso(as_of)}: lies years ahead (it is {iso(now)}); nothing can be recorded there")
    say.note(f"--as-of {iso(as_of)} is still to come (it is {iso(now)}): until then the ledger takes no earlier record")


def cache_place(root: Path, use_cache: bool) -> CachePlace | None:
    """Where the project's cache lies (PHASEGATE_CACHE moves it), or None for none.

    A project may be a stranger's, and bring a `.phasegate` with it: the key to that one is kept with the user's files.
    """
    from checker.analyzer.cache import CachePlace

    if not use_cache:
        return None
    if named := os.environ.get(CACHE_VARIABLE):
        return CachePlace.trusted(Path(named))
    own = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111  raises nothing
    return CachePlace(root / ".phasegate" / "cache", own / "phasegate" / "key")


def logs_folder(governed: Governed, logs: Path | None) -> Path:
    """The folder of batches: as given, else `logs/<target>` of the project. Raises UsageError for a file."""
    folder = logs or governed.policy.root / "logs" / governed.policy.target
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--logs {folder}: is a file; give the folder of batches, or a single file with --fixture")
    return folder


def ledger_file(governed: Governed, ledger: Path | None, *, is_written: bool = False) -> Path | None:
    """The ledger: as given (UsageError where that is not there), else `ledger/<target>.jsonl` of the project.

    One that `is_written` may be begun.
    None for NO_LEDGER. Raises LedgerInvalid where the project's own folder is a link: a stranger may have put it there.
    """
    if ledger == NO_LEDGER:
        return None
    if ledger is not None:
        if not os.path.lexists(ledger) and not is_written:
            raise UsageError(f"--ledger {ledger}: there is no such file")
        return ledger
    folder = governed.policy.root / "ledger"
    if is_link(folder):
        raise LedgerInvalid("ledger: is a link; put the folder itself there, or name the file with --ledger")
    return folder / f"{governed.policy.target}.jsonl"


def tell_torn(torn: str | None) -> None:
    """Say on stderr what a crash cut off of the ledger, where something was."""
    if torn:
        say.note(f"ledger: {torn}")


@contextmanager
def open_request(
    governed: Governed,
    phase: str,
    events_of: str | None,
    *,
    as_of: datetime | None,
    logs: Path | None,
    ledger: Path | None,
    use_cache: bool,
    threads: int | None,
    fixture: Path | None = None,
    writes_ledger: bool = False,
    engine: str = "local",
    address: str | None = None,
    **more: bool,
) -> Iterator[Request]:
    """What the options ask of the pipeline; `more` are fields of the Request.

    The lines of a `fixture` are dealt out to the batches of their windows in a folder of their own, and without `as_of`
    the clock stands where the newest window closes. With `writes_ledger` there need be no ledger yet. Raises
    UsageError, and what `deal_out` raises.
    """
    from checker.pipeline import Request

    request = Request(
        phase=phase,
        events_of=events_of,
        as_of=clock(as_of),
        logs=logs_folder(governed, logs),
        ledger=ledger_file(governed, ledger, is_written=writes_ledger),
        cache=cache_place(governed.policy.root, use_cache),
        run=engine_of_call(engine, address, threads),
        **more,
    )
    if fixture is None:
        yield request
        return
    if logs or ledger not in (None, NO_LEDGER):
        raise UsageError("--fixture stands for --logs and has no ledger; give one or the other")
    from checker.analyzer.fixture import deal_out
    from checker.windows import closed_at

    with deal_out(fixture, governed.rules) as (folder, newest):
        closes = closed_at(newest, governed.policy.lateness)
        yield replace(request, logs=folder, ledger=None, cache=None, as_of=as_of or closes)


def progress_line(label: str) -> Progress | None:
    """A counter on stderr, on a terminal alone; it appears where the work is slow enough to see it."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        say.progress(label, done, total)

    return show
