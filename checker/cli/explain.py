"""`phasegate explain`: why a window came out as it did."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checker.cli import say
from checker.cli.common import (
    Instant,
    cache_option,
    open_request,
    read_governed,
    source_options,
    tell_torn,
    threads_option,
)
from checker.cli.sources import Place, shown_folder, source_arguments
from checker.errors import CannotDecide, UsageError
from checker.schemas import listed, nearest
from checker.windows import closed_at, floor_to_window, iso, window_at

if TYPE_CHECKING:
    from checker.analyzer.governed import Governed
    from checker.analyzer.history import History
    from checker.analyzer.quarantine import BatchAccount
    from checker.cli.formats.explain_document import Explanation
    from checker.model import Decision, Window
    from checker.pipeline import Request

WIDTH = 80


@click.command("explain")
@click.option("--phase", required=True, help="The phase whose thresholds and gate hold.")
@click.option("--events-of", metavar="PHASE", help="Judge the events of another phase (a what-if).")
@click.option("--window", "at", type=Instant(), help="Start of the window (default: the one that decides).")
@click.option("--slo", "slo", metavar="NAME", help="Only this SLO.")
@click.option("--quarantined", is_flag=True, help="The broken lines of the window's batch instead.")
@source_options
@click.option("--fixture", type=click.Path(path_type=Path), help="One JSONL file instead of --logs, and no ledger.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@threads_option
@cache_option
@click.pass_context
def command(
    ctx: click.Context,
    phase: str,
    events_of: str | None,
    at: datetime | None,
    slo: str | None,
    quarantined: bool,
    policy: Path,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    fixture: Path | None,
    format_: str,
    threads: int | None,
    use_cache: bool,
) -> None:
    """Why: the value, the threshold, the worst rows behind it, what broke the streak, the gate.

    Exit codes: 0 shown; 3 there is nothing to explain.
    """

    governed = read_governed(policy)
    if slo is not None and slo not in governed.policy.slos:
        names = governed.policy.slos
        raise UsageError(f"--slo {slo}: there is no such SLO; the policy has {listed(names)}{nearest(slo, names)}")
    with contextlib.ExitStack() as stack:
        request = stack.enter_context(
            open_request(
                governed,
                phase,
                events_of,
                as_of=as_of,
                logs=logs,
                ledger=ledger,
                use_cache=use_cache,
                threads=threads,
                fixture=fixture,
            )
        )
        place = Place(request.logs, str(fixture or shown_folder(governed.policy, logs)), fixture is not None)
        decision = _decision(governed, request, at, place)
        history = stack.enter_context(_history(governed, request, decision.window))
        if quarantined:
            found: Explanation | BatchAccount = _account(history, decision.window, fixture, place)
        else:
            found = _explanation(history, decision, slo, place)
        _show(found, governed, format_, source_arguments(ctx))


def _decision(governed: Governed, request: Request, at: datetime | None, place: Place) -> Decision:
    """The check's own decision, or the one with the window at `at` as the newest.

    Raises CannotDecide where there is no batch or the window is not closed.
    """
    from checker.analyzer.batches import LogFolder
    from checker.pipeline import check, read_past, replay

    if not LogFolder(request.logs).batches:
        raise CannotDecide(
            f"there is no batch in {place.shown}; point --logs at the folder of batches, or make some with simulate"
        )
    past = read_past(request)
    tell_torn(past.torn)
    if at is None:
        return check(governed, request, past).decision
    length, lateness = governed.policy.window, governed.policy.lateness
    window = window_at(floor_to_window(at, length), length)
    for decision in replay(governed, request, past, window.start, window.end):
        return decision
    closes = closed_at(window, lateness)
    raise CannotDecide(f"the window {iso(window.start)} closes at {iso(closes)}; it is {iso(request.as_of)}")


@contextlib.contextmanager
def _history(governed: Governed, request: Request, window: Window) -> Iterator[History]:
    """The judged window alone, with its telemetry, as long as the cache that holds its events is open."""
    from checker.analyzer.batches import LogFolder
    from checker.analyzer.cache import open_cache
    from checker.analyzer.history import Lens, load_history

    lens = Lens(request.phase, request.events_of or request.phase, request.as_of)
    with open_cache(request.cache) as cache:
        yield load_history(
            governed, LogFolder(request.logs), cache, request.run, lens, window.start, window.start, request.verify_logs
        )


def _explanation(history: History, decision: Decision, slo: str | None, place: Place) -> Explanation:
    from checker.analyzer.explain import rows_behind
    from checker.analyzer.phases import events_by_phase
    from checker.cli.formats.explain_document import Explanation

    start = decision.window.start
    missing = None if history.telemetry.has_batch(start) else place.missing(start)
    if missing and not decision.inputs.batches:
        raise CannotDecide(f"the window {iso(start)} has no batch, so that its SLOs are no_data: {missing}")
    rows = {name: found for name, found in rows_behind(history, decision.window).items() if slo in (None, name)}
    measures = {task.slo: task.query.header.get("measures") for task in history.governed.tasks}
    return Explanation(decision, rows, measures, events_by_phase(history.telemetry, start), missing)


def _account(history: History, window: Window, fixture: Path | None, place: Place) -> BatchAccount:
    from checker.analyzer.fixture import dealt_numbers
    from checker.analyzer.quarantine import account

    if window.start in history.telemetry.unreadable:
        raise CannotDecide(history.telemetry.unreadable[window.start])
    batch = history.telemetry.batches.get(window.start)
    if batch is None:
        raise CannotDecide(f"the window {iso(window.start)} has no batch: {place.missing(window.start)}")
    rules = history.governed.rules
    found = account(batch.file, batch.index, rules)
    if fixture is None:
        return found
    numbers = dealt_numbers(fixture, rules, window)
    return replace(found, broken=tuple(replace(line, number=numbers[line.number - 1] + 1) for line in found.broken))


def _show(found: Explanation | BatchAccount, governed: Governed, format_: str, source: tuple[str, ...]) -> None:
    from checker.analyzer.quarantine import BatchAccount
    from checker.cli.formats.explain_document import account_document, explanation_document, to_text
    from checker.cli.formats.explain_table import render_account, render_explanation
    from checker.cli.formats.layout import colour_wanted

    policy, colour = governed.policy, colour_wanted(sys.stdout.isatty(), os.environ)
    if isinstance(found, BatchAccount):
        text = render_account(found, policy, colour=colour, width=WIDTH)
        document = account_document(found, policy)
    else:
        text = render_explanation(found, policy, colour=colour, width=WIDTH, source=source)
        document = explanation_document(found, policy)
    if format_ == "json":
        say.document(to_text(document))
    else:
        say.text(text, styled=colour)
