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

from checker.cli.common import (
    Instant,
    cache_folder,
    cache_option,
    clock,
    fixture_request,
    ledger_file,
    logs_folder,
    progress_line,
    read_governed,
    source_options,
    threads_option,
)
from checker.errors import CannotDecide, UsageError
from checker.schemas import nearest
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
@click.option("--window", "at", type=Instant(), help="Start of the window (default: the one that decides).")
@click.option("--slo", "slo", metavar="NAME", help="Only this SLO.")
@click.option("--quarantined", is_flag=True, help="The broken lines of the window's batch instead.")
@source_options
@click.option("--fixture", type=click.Path(path_type=Path), help="One JSONL file instead of --logs, and no ledger.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@threads_option
@cache_option
def command(
    phase: str,
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
    from checker.engines.local import local_mapper
    from checker.pipeline import Request

    governed = read_governed(policy)
    if slo is not None and slo not in governed.policy.slos:
        raise UsageError(f"--slo {slo}: there is no such SLO{nearest(slo, governed.policy.slos)}")
    with contextlib.ExitStack() as stack:
        request = Request(
            phase=phase,
            as_of=clock(as_of),
            logs=logs_folder(governed, logs),
            ledger=ledger_file(governed, ledger),
            cache=cache_folder(governed.policy.root, use_cache),
            run=local_mapper(threads, progress_line("reading")),
        )
        if fixture is not None:
            if logs or ledger:
                raise UsageError("--fixture stands for --logs and has no ledger; give one or the other")
            request = stack.enter_context(fixture_request(governed, request, fixture, as_of))
        decision = _decision(governed, request, at)
        history = stack.enter_context(_history(governed, request, decision.window))
        if quarantined:
            _show(_account(history, decision.window, fixture), governed, format_)
        else:
            _show(_explanation(history, decision, slo), governed, format_)


def _decision(governed: Governed, request: Request, at: datetime | None) -> Decision:
    """The check's own decision, or the one with the window at `at` as the newest.

    Raises CannotDecide where there is no batch or the window is not closed.
    """
    from checker.analyzer.batches import LogFolder
    from checker.pipeline import check, read_past, replay

    if not LogFolder(request.logs).batches:
        raise CannotDecide("there is no batch; point --logs at the folder of batches, or make some with simulate")
    past = read_past(request)
    if past.torn:
        click.echo(f"ledger: {past.torn}", err=True)
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


def _explanation(history: History, decision: Decision, slo: str | None) -> Explanation:
    from checker.analyzer.explain import rows_behind
    from checker.cli.formats.explain_document import Explanation

    if not decision.inputs.batches and not history.telemetry.has_batch(decision.window.start):
        raise CannotDecide(f"no batch holds events of the window {iso(decision.window.start)}; its SLOs are no_data")
    rows = {name: found for name, found in rows_behind(history, decision.window).items() if slo in (None, name)}
    measures = {task.slo: task.query.header.get("measures") for task in history.governed.tasks}
    return Explanation(decision, rows, measures)


def _account(history: History, window: Window, fixture: Path | None) -> BatchAccount:
    from checker.analyzer.fixture import dealt_numbers
    from checker.analyzer.quarantine import account

    if window.start in history.telemetry.unreadable:
        raise CannotDecide(history.telemetry.unreadable[window.start])
    batch = history.telemetry.batches.get(window.start)
    if batch is None:
        raise CannotDecide(f"the window {iso(window.start)} has no batch; give another with --window")
    rules = history.governed.rules
    found = account(batch.file, batch.index, rules)
    if fixture is None:
        return found
    numbers = dealt_numbers(fixture, rules, window)
    return replace(found, broken=tuple(replace(line, number=numbers[line.number - 1] + 1) for line in found.broken))


def _show(found: Explanation | BatchAccount, governed: Governed, format_: str) -> None:
    from checker.analyzer.quarantine import BatchAccount
    from checker.cli.formats.explain_document import account_document, explanation_document, to_text
    from checker.cli.formats.explain_table import render_account, render_explanation
    from checker.cli.formats.layout import colour_wanted

    policy, colour = governed.policy, colour_wanted(sys.stdout.isatty(), os.environ)
    if isinstance(found, BatchAccount):
        text = render_account(found, policy, colour=colour, width=WIDTH)
        document = account_document(found, policy)
    else:
        text = render_explanation(found, policy, colour=colour, width=WIDTH)
        document = explanation_document(found, policy)
    click.echo(to_text(document) if format_ == "json" else text, nl=False, color=colour)
