"""`phasegate review`: what a change of the policy would have decided, and who must approve it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checker.cli import say
from checker.cli.common import (
    NO_LEDGER,
    Instant,
    cache_option,
    cache_place,
    clock,
    no_ledger_option,
    policy_option,
    progress_line,
    threads_option,
)
from checker.cli.formats.review_formats import RENDERERS
from checker.cli.sources import clock_in, named_folder, source_arguments
from checker.errors import CannotDecide, UsageError

if TYPE_CHECKING:
    from checker.analyzer.governed import Governed
    from checker.cli.formats.review_words import ReviewOptions
    from checker.governance.reviewed import Review
    from checker.reviewing.compare import Compared
    from checker.reviewing.git import Repository
    from checker.reviewing.replaying import Span
    from checker.reviewing.revision import Revision

FORMATS = tuple(RENDERERS)
DAYS = timedelta(days=7)


@click.command("review")
@click.option("--base", required=True, metavar="REV", help="What the change is held against, as origin/main.")
@click.option("--head", metavar="REV", help="The change (default: the working tree).")
@policy_option
@click.option(
    "--logs", type=click.Path(path_type=Path), help="Folder of batches (default: logs/TARGET, else the sample)."
)
@click.option(
    "--ledger", type=click.Path(path_type=Path), help="Its newest decision tells the engine that judged so far."
)
@no_ledger_option
@click.option("--as-of", type=Instant(), help="The clock for everything (default: now, or the sample's).")
@click.option(
    "--since",
    type=Instant(),
    help="Replay windows that start at or after this time (default: 7 days, or since the first).",
)
@click.option("--until", type=Instant(), help="Replay windows that start before this time (default: --as-of).")
@click.option(
    "--phase", "phases", multiple=True, help="Replay this phase (default: those that the logs have events of)."
)
@click.option("--events-of", metavar="PHASE", help="Judge this phase's events, whatever the phase.")
@click.option("--incidents", type=click.Path(path_type=Path), help="Past incidents (default: policy/incidents.yaml).")
@click.option("--sweep", "sweeps", multiple=True, metavar="SLO", help="Show the outcomes over a range of limits.")
@click.option("--author", "authors", multiple=True, metavar="NAME", help="Who made the change, beside git's authors.")
@click.option("--page-url", metavar="URL", help="Where the HTML page can be found: windows are linked to it.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--output", "outputs", multiple=True, metavar="FORMAT:FILE", help="Also write a document to a file.")
@threads_option
@cache_option
@click.pass_context
def command(
    ctx: click.Context,
    base: str,
    head: str | None,
    policy: Path,
    logs: Path | None,
    ledger: Path | None,
    as_of: datetime | None,
    since: datetime | None,
    until: datetime | None,
    phases: tuple[str, ...],
    events_of: str | None,
    incidents: Path | None,
    sweeps: tuple[str, ...],
    authors: tuple[str, ...],
    page_url: str | None,
    format_: str,
    outputs: tuple[str, ...],
    threads: int | None,
    use_cache: bool,
) -> None:
    """Say what a change of the governed files is, which way it goes, what it would have decided, who must approve.

    Both sides are replayed over the same logs. Exit codes: 0 neutral or tightening, or approved; 1 an approval is
    missing; 2 wrong call, or governed files invalid; 3 nothing could be replayed.
    """
    from checker.reviewing.compare import compare
    from checker.reviewing.review import Asked, review
    from checker.reviewing.revision import authors_of, both_revisions

    files = [_output(text) for text in outputs]
    with both_revisions(policy, base, head) as (repository, before, after):
        compared = compare(before, after, engine_of(ledger))
        newest = after.commit or repository.commit("HEAD")
        asked = Asked(
            changed=repository.changed_paths(str(before.commit), after.commit),
            authors=authors_of(repository, before, after, authors),
            as_of=clock(as_of),
            sweeps=sweeps,
            incidents=incidents,
            warnings=tuple(_warnings(repository, before, newest)),
        )
        try:
            span = _span(compared, policy, logs, as_of, since, until, phases, events_of, use_cache, threads)
            made, told = review(compared, span, asked), source_arguments(ctx) + _found(span, logs)
        except CannotDecide as fault:  # what changed, and who must approve, is said all the same
            say.note(str(fault))
            made, told = review(compared, None, asked), ()
    _show(made, format_, files, _options(page_url, told))
    ctx.exit(3 if made.consequences is None else 0 if made.passed else 1)


def _found(span: Span, logs: Path | None) -> tuple[str, ...]:
    """The options that a command suggested by the review needs beside the call's own, to look at the same logs."""
    from checker.windows import iso

    folder = os.path.relpath(span.logs)
    return () if logs is not None else (f"--logs={folder}", f"--as-of={iso(span.as_of)}")


def _output(text: str) -> tuple[str, Path]:
    name, colon, file = text.partition(":")
    if name not in FORMATS or not colon or not file:
        raise UsageError(f"--output {text!r}: expected FORMAT:FILE, with one of {', '.join(FORMATS)}")
    place = Path(file)
    if place.exists() and not place.is_file():
        raise UsageError(f"--output {text!r}: {place.name} is no regular file, and would be replaced; name another one")
    return name, place


def _options(page_url: str | None, source: tuple[str, ...]) -> ReviewOptions:
    from checker.cli.formats.layout import colour_wanted
    from checker.cli.formats.review_words import ReviewOptions

    columns = shutil.get_terminal_size((80, 24)).columns
    return ReviewOptions(page_url, colour_wanted(sys.stdout.isatty(), os.environ), min(columns, 100), source)


def _show(made: Review, format_: str, files: Sequence[tuple[str, Path]], options: ReviewOptions) -> None:
    from checker.cli.formats.review_formats import render, show_review
    from checker.whole_file import write_whole

    for name, file in files:
        try:
            write_whole(file, render(name, made, options).encode())
        except OSError as fault:
            raise UsageError(f"--output {name}:{file}: cannot be written: {fault.strerror or fault}") from fault
    show_review(format_, made, options)


def engine_of(ledger: Path | None) -> str | None:
    """DuckDB's version in the ledger's newest decision; None without a ledger or a decision."""
    if ledger in (None, NO_LEDGER):
        return None
    from checker.ledger.append import END_OF_TIME
    from checker.ledger.records import read_ledger

    if not ledger.is_file():
        raise UsageError(f"--ledger {ledger}: there is no such file")
    for record in reversed(read_ledger(ledger, END_OF_TIME).records):
        if record.kind == "decision" and "engine" in record.data:  # older decisions do not say
            return str(record.data["engine"])
    return None


def _warnings(repository: Repository, base: Revision, newest: str) -> Sequence[str]:
    parted = repository.merge_base(str(base.commit), newest)
    if parted == base.commit:
        return []
    return [
        f"{base.name} has commits that this change lacks: what they changed is shown as taken back; merge or "
        "rebase, then review again"
    ]


def _span(
    compared: Compared,
    policy: Path,
    logs: Path | None,
    as_of: datetime | None,
    since: datetime | None,
    until: datetime | None,
    phases: tuple[str, ...],
    events_of: str | None,
    use_cache: bool,
    threads: int | None,
) -> Span:
    from checker.engines.local import local_mapper
    from checker.reviewing.replaying import Span

    root = policy.parent.resolve().parent
    folder, source, sample_clock = _logs(compared.after, root, logs)
    at = clock(as_of or sample_clock)
    end = until or at
    begin = since or max(end - DAYS, _first(folder, end))
    if end <= begin:
        raise UsageError(f"--until {end:%Y-%m-%dT%H:%M:%SZ} is not after --since {begin:%Y-%m-%dT%H:%M:%SZ}")
    return Span(
        logs=folder,
        source=source,
        since=begin,
        until=end,
        as_of=at,
        phases=phases,
        events_of=events_of,
        cache=cache_place(root, use_cache),
        run=local_mapper(threads, progress_line("reading")),
    )


def _first(logs: Path, end: datetime) -> datetime:
    """When the first batch in `logs` that starts before `end` starts: before it there is nothing to compare."""
    from checker.analyzer.batches import LogFolder

    starts = [batch.start for batch in LogFolder(logs).batches if batch.start < end]
    return starts[0] if starts else end - DAYS


def _logs(governed: Governed, root: Path, logs: Path | None) -> tuple[Path, str, datetime | None]:
    """The folder to replay, its name for people, and the clock that goes with it; the shipped sample as a last resort.

    Raises CannotDecide where there is nothing to replay.
    """
    from checker.analyzer.batches import LogFolder

    target = governed.policy.target
    own = root / "logs" / target
    sample = root / "tests" / "samples" / target
    if logs is not None and not logs.is_dir():
        raise UsageError(f"--logs {logs}: there is no such folder")
    for folder, shown in ((logs, named_folder(logs, root)), (own, f"logs/{target}")):
        if folder is not None and (folder == logs or (folder.is_dir() and LogFolder(folder).batches)):
            return folder, shown, None
    if (sample / "as-of").is_file() and (sample / "logs").is_dir():
        return sample / "logs", f"the sample in tests/samples/{target}", clock_in(root, f"tests/samples/{target}/as-of")
    raise CannotDecide(
        f"no batches in logs/{target}, and no sample: nothing can be replayed; name a folder with --logs"
    )
