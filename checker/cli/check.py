"""`phasegate check`: measure, judge, decide, show."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from checker.cli import say
from checker.cli.common import (
    NO_LEDGER,
    cache_option,
    check_ahead,
    clock,
    engine_options,
    open_request,
    read_governed,
    source_options,
    tell_torn,
    threads_option,
)
from checker.cli.formats.show import FORMATS, Screen, show
from checker.cli.sources import shown_folder, source_arguments
from checker.errors import CannotDecide, UsageError
from checker.model import Decision, Status

if TYPE_CHECKING:
    from checker.analyzer.governed import Governed
    from checker.pipeline import Request
    from checker.recording import RecordedCheck

EXAMPLE = "20260101T001500Z.jsonl (or .gz, .zst)"
ONE_TARGETS = ("policy", "logs", "ledger", "events_of", "fixture", "dry_run", "record", "notify")
EXIT_CODES = {Status.OK: 0, Status.WARN: 0, Status.VIOLATION: 1, Status.NO_DATA: 3, Status.ERROR: 3}


@click.command("check")
@click.option("--phase", help="The phase whose thresholds and gate hold; with --all, of targets without a ledger.")
@click.option(
    "--all",
    "all_below",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Check every NAME/policy.yaml and NAME/policy/policy.yaml below it, each in its ledger's phase.",
)
@click.option("--events-of", metavar="PHASE", help="Judge the events of another phase (a what-if).")
@source_options
@click.option("--fixture", type=click.Path(path_type=Path), help="One JSONL file instead of --logs, and no ledger.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    default="table",
    show_default=True,
    help="table for people; json, junit (XML), github (annotations), markdown (a job's summary) for programs.",
)
@click.option("--dry-run", is_flag=True, help="Also show the notices that would go out.")
@click.option("--record", is_flag=True, help="Write decision, incident and notices to the ledger.")
@click.option("--notify", metavar="NOTICE", multiple=True, help="With --record: this notice too, though not automatic.")
@click.option("--fail-on-warn", is_flag=True, help="Exit 1 for a warning.")
@click.option("--verify-logs", is_flag=True, help="Hash every batch again, whatever the cache says.")
@engine_options
@threads_option
@cache_option
@click.pass_context
def command(
    ctx: click.Context,
    phase: str | None,
    all_below: Path | None,
    events_of: str | None,
    policy: Path,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    fixture: Path | None,
    format_: str,
    dry_run: bool,
    record: bool,
    notify: tuple[str, ...],
    fail_on_warn: bool,
    verify_logs: bool,
    engine: str,
    address: str | None,
    threads: int | None,
    use_cache: bool,
) -> None:
    """Measure, judge, decide and show. Without --record nothing is written but the cache.

    With --record the checks of a recovery that are due are made and recorded as well.
    """
    if all_below is not None:
        _refuse_beside_all(ctx, ledger)
        ctx.exit(_check_all(all_below, format_, ledger, **_of_all(ctx.params)))
    if phase is None:
        raise click.MissingParameter(ctx=ctx, param_hint="'--phase'", param_type="option")
    from checker.pipeline import check, read_past

    governed = read_governed(policy)
    _refuse_odd_options(governed, ledger, fixture, as_of, record, notify)
    with open_request(
        governed,
        phase,
        events_of,
        as_of=as_of,
        logs=logs,
        ledger=ledger,
        use_cache=use_cache,
        threads=threads,
        engine=engine,
        address=address,
        fixture=fixture,
        writes_ledger=record,
        verify_logs=verify_logs,
        with_notices=dry_run,
    ) as request:
        if record:
            told = _recorded(governed, request, as_of, frozenset(notify))
            result, past = told.result, told.past
        else:
            result = check(governed, request, past := read_past(request))
    tell_torn(past.torn)
    show(format_, result, governed.policy, _screen(source_arguments(ctx)))
    if not fixture:
        _say_what_is_missing(result.decision, governed, request.logs, shown_folder(governed.policy, logs))
    outcome = result.decision.outcome
    ctx.exit(1 if fail_on_warn and outcome is Status.WARN else exit_code(result.decision))


def _of_all(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that hold for every target."""
    return {name: given[name] for name in ("phase", "as_of", "use_cache", "threads", "fail_on_warn", "verify_logs")}


def _check_all(below: Path, format_: str, ledger: Path | None, **of_all: Any) -> int:
    """Check and show every target below a folder; the exit code."""
    from checker.cli.check_all import check_all, show_all

    checked = check_all(below, no_ledger=ledger == NO_LEDGER, **of_all)
    show_all(format_, checked, below)
    return checked.exit_code


def _refuse_beside_all(ctx: click.Context, ledger: Path | None) -> None:
    """Raises UsageError for options of one target: nothing that was asked for is silently left undone."""
    given = [name for name in ONE_TARGETS if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if ledger == NO_LEDGER:
        given = [name for name in given if name != "ledger"]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"--all goes without {options}, which is of one target: check that one with --policy")


def _refuse_odd_options(
    governed: Governed,
    ledger: Path | None,
    fixture: Path | None,
    as_of: datetime | None,
    record: bool,
    notify: tuple[str, ...],
) -> None:
    """Raises UsageError for --record without a ledger, and for notices that there are not, or that nobody records."""
    from checker.schemas import listed, nearest

    if record:
        check_ahead(as_of)
    if record and (fixture or ledger == NO_LEDGER):
        raise UsageError("--record writes a ledger; it goes with neither --fixture nor --no-ledger")
    if notify and not record:
        raise UsageError("--notify goes with --record; use --dry-run to see notices without sending them")
    names = tuple(governed.policy.notices)
    for name in notify:
        if name not in names:
            raise UsageError(f"--notify: there is no notice {name!r}{nearest(name, names)} (notices: {listed(names)})")


def _recorded(governed: Governed, request: Request, as_of: datetime | None, wanted: frozenset[str]) -> RecordedCheck:
    from checker.pipeline import read_past
    from checker.policy.model import COMPLETE, OFF
    from checker.recording import check_and_record, recover_and_record

    for line in recover_and_record(governed, request, lambda: clock(as_of)):
        say.note(line)
    stands_at = read_past(request).state.phase
    if stands_at in (OFF, COMPLETE):
        raise CannotDecide(f"the rollout is {stands_at}: no phase is judged, and nothing is recorded of one")
    told = check_and_record(governed, request, lambda: clock(as_of), wanted)
    for line in told.lines:
        say.note(line)
    return told


def _say_what_is_missing(decision: Decision, governed: Governed, folder: Path, shown: str) -> None:
    """On stderr: what was passed over; and where the judged window has no batch, why that may be and what to do."""
    from checker.analyzer.batches import LogFolder
    from checker.windows import closed_at, iso, window_at

    listed = LogFolder(folder)
    starts = [batch.start for batch in listed.batches]
    for name in listed.passed_over:
        say.note(f"{shown}: not a batch, passed over: {name}; expected a regular file named like {EXAMPLE}")
    if decision.window.start in starts:
        return
    earlier = [start for start in starts if start < decision.window.start]
    if not starts:
        say.note(f"no logs: {shown} holds no batch; start the collector, or name a folder with --logs")
        return
    if not earlier:
        told = f"the earliest of {len(starts)} batches in {shown} is {iso(min(starts))}; look at --as-of"
        say.note(f"no logs by {iso(decision.as_of)}: {told}")
        return
    newest = window_at(max(earlier), governed.policy.window)
    what = "stale logs" if max(starts) == newest.start else "a batch is missing"
    say.note(
        f"{what}: the newest before the judged window is {iso(newest.start)}; look at the collector,"
        f" or judge what was with --as-of {iso(closed_at(newest, governed.policy.lateness))}"
    )


def exit_code(decision: Decision) -> int:
    """0 met, 1 violated, 3 cannot be decided: no data, an error, or a gate whose query failed."""
    code = EXIT_CODES[decision.outcome]
    return 3 if code == 0 and decision.gate.error else code


def _screen(source: tuple[str, ...]) -> Screen:
    from checker.cli.formats.layout import colour_wanted

    columns = shutil.get_terminal_size((80, 24)).columns
    return Screen(colour_wanted(sys.stdout.isatty(), os.environ), min(columns, 100), source)
