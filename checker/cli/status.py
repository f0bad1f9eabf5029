"""`phasegate status`: where the rollout stands."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checker.cli import say
from checker.cli.common import (
    cache_option,
    open_request,
    read_governed,
    source_options,
    threads_option,
)
from checker.cli.sources import shown_folder
from checker.errors import CannotDecide
from checker.windows import iso

if TYPE_CHECKING:
    from checker.analyzer.batches import BatchFile
    from checker.analyzer.governed import Governed
    from checker.cli.formats.status_report import Standing
    from checker.pipeline import Request

WIDTH = 80
RECENT_BATCHES = 96


@click.command("status")
@source_options
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@threads_option
@cache_option
def command(
    policy: Path,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    format_: str,
    threads: int | None,
    use_cache: bool,
) -> None:
    """Phase, since when, gate progress, open incident, rollback, pause, last notices, newest batch.

    Exit codes: 0 told; 3 there is neither a ledger nor a batch.
    """
    from checker.cli.formats.explain_document import to_text
    from checker.cli.formats.layout import colour_wanted
    from checker.cli.formats.status_report import render_status, status_document

    governed = read_governed(policy)
    with open_request(
        governed, "", None, as_of=as_of, logs=logs, ledger=ledger, use_cache=use_cache, threads=threads
    ) as request:
        standing = _standing(governed, request, shown_folder(governed.policy, logs))
    if format_ == "json":
        say.document(to_text(status_document(standing, governed.policy)))
        return
    colour = colour_wanted(sys.stdout.isatty(), os.environ)
    say.text(render_status(standing, governed.policy, colour=colour, width=WIDTH), styled=colour)


def _standing(governed: Governed, request: Request, shown: str) -> Standing:
    """Everything that ledger and logs tell. Raises CannotDecide where there is neither."""
    from checker.analyzer.batches import LogFolder
    from checker.cli.formats.status_report import Standing
    from checker.pipeline import check, read_past
    from checker.watching import watch

    past = read_past(request)
    length = governed.policy.window
    batches = [batch for batch in LogFolder(request.logs).batches if batch.start + length <= request.as_of]
    if not past.state.exists and not batches:
        raise CannotDecide(
            f"there is neither a ledger nor a batch in {shown} that had ended by {iso(request.as_of)};"
            " point --logs at the folder of batches (and look at --as-of)"
        )
    decision = None
    if past.state.phase is not None and past.state.phase in governed.policy.phase_names:
        decision = check(governed, replace(request, phase=past.state.phase), past).decision
    return Standing(
        as_of=request.as_of,
        state=past.state,
        decision=decision,
        newest_batch=batches[-1].start if batches else None,
        phases=_phases(governed, request, batches[-RECENT_BATCHES:]) if past.state.phase is None else None,
        torn=past.torn,
        watched=watch(governed, request, past) if past.state.exists and batches else None,
        folder=shown,
    )


def _phases(governed: Governed, request: Request, batches: list[BatchFile]) -> Mapping[str, int]:
    """Events by phase in `batches`, most first."""
    from checker.analyzer.batches import LogFolder
    from checker.analyzer.cache import open_cache
    from checker.analyzer.phases import events_by_phase
    from checker.analyzer.telemetry import load_telemetry

    if not batches:
        return {}
    first, last = batches[0].start, batches[-1].start
    folder = LogFolder(request.logs)
    with open_cache(request.cache) as cache:
        telemetry = load_telemetry(folder, cache, governed.rules, first, last, request.as_of, request.run)
        return events_by_phase(telemetry)
