"""Both replays: what base and head decide over the same logs, from one cache, without a ledger."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import CachePlace, open_cache
from checker.analyzer.governed import Governed
from checker.analyzer.measure import measure
from checker.analyzer.parser import parser
from checker.analyzer.queries import Query, read_query
from checker.analyzer.span_events import SloTask
from checker.analyzer.telemetry import Mapper, Telemetry, load_telemetry
from checker.engines.local import local_mapper
from checker.governance.population import NAME, NotTold, population_query, shell_sql
from checker.governance.reviewed import PhaseReplay, Population
from checker.model import Decision, Window
from checker.pipeline import Past, Request, replay
from checker.windows import ceil_to_window, floor_to_window, newest_closed, windows_between


@dataclass(frozen=True, slots=True)
class Span:
    """What is replayed: windows that start in `[since, until)` and are closed by `as_of`, over the batches in `logs`.

    `source` names the logs for people. Without `phases` those are replayed that the logs have events of. `events_of`
    lends the events to every phase.
    """

    logs: Path
    source: str
    since: datetime
    until: datetime
    as_of: datetime
    phases: tuple[str, ...] = ()
    events_of: str | None = None
    cache: CachePlace | None = None
    run: Mapper = field(default_factory=local_mapper)


@contextmanager
def with_cache(span: Span) -> Iterator[Span]:
    """The span with a cache that both replays share: the project's, else one for as long as the block takes."""
    if span.cache is not None:
        yield span
        return
    with tempfile.TemporaryDirectory(prefix="phasegate-review-") as folder:
        yield replace(span, cache=CachePlace.trusted(Path(folder)))


def telemetry_of(governed: Governed, span: Span) -> Telemetry:
    """What lies in the span, read by the rules of `governed`."""
    with open_cache(span.cache) as cache:
        window = governed.policy.window
        first = floor_to_window(span.since, window) - governed.lookback - window
        return load_telemetry(LogFolder(span.logs), cache, governed.rules, first, span.until, span.as_of, span.run)


def events_by_phase(governed: Governed, span: Span, telemetry: Telemetry) -> Mapping[str, int]:
    """Events of the span's closed windows, by the phase that they carry."""
    found: Counter[str] = Counter()
    for window in closed_windows(governed, span):
        found.update(telemetry.events_by_phase(window.start))
    return found


def closed_windows(governed: Governed, span: Span) -> list[Window]:
    """The windows that start in the span and are closed, oldest first."""
    policy = governed.policy
    newest = newest_closed(span.as_of, policy.window, policy.lateness)
    first, end = (ceil_to_window(instant, policy.window) for instant in (span.since, span.until))
    return list(windows_between(first, min(end, newest.end), policy.window)) if first < newest.end else []


def replayed(before: Governed, after: Governed, span: Span, phase: str) -> PhaseReplay:
    """The phase under base and under head; a side is empty whose policy has no such phase. Raises as `replay` does."""
    sides = (tuple(_decisions(governed, span, phase)) for governed in (before, after))
    base, head = sides
    return PhaseReplay(phase, span.events_of or phase, base, head)


def _decisions(governed: Governed, span: Span, phase: str) -> Iterator[Decision]:
    names = governed.policy.phase_names
    if phase not in names or (span.events_of or phase) not in names:
        return
    request = Request(phase, span.as_of, span.logs, events_of=span.events_of, cache=span.cache, run=span.run)
    yield from replay(governed, request, Past(), span.since, span.until)


def populations(
    before: Governed,
    after: Governed,
    pairs: Sequence[tuple[str, str]],
    span: Span,
    telemetry: Telemetry,
    phases: Sequence[str],
) -> Iterator[Population]:
    """For each pair of SLO queries (base's path, head's): which events head lets in, and which it keeps out."""
    for old, new in pairs:
        try:
            query = _population(before, after, old, new)
        except NotTold as reason:
            yield from (Population(f"queries/{new}", phase, None, None, str(reason)) for phase in phases)
            continue
        yield from (_counted(after, query, new, span, telemetry, phase) for phase in phases)


def _population(before: Governed, after: Governed, old: str, new: str) -> Query:
    """The query that counts. Raises NotTold where it would break a query's contract."""
    columns = ("window_start", "payload", *sorted(after.rules.schema.columns))
    with parser(after.allowance) as reader:
        trees = reader.select(before.queries[old].sql), reader.select(after.queries[new].sql)
        sql = population_query(*trees, columns, reader.select(shell_sql()), reader.text)
        query, problems = read_query(reader, f"slo/{NAME}.sql", sql, {}, frozenset(columns))
    if query is None:
        raise NotTold(problems[0].message)
    return query


def _counted(governed: Governed, query: Query, path: str, span: Span, telemetry: Telemetry, phase: str) -> Population:
    policy = governed.policy
    task = SloTask(NAME, query, query.lookback_length(policy.window))
    windows = closed_windows(governed, span)
    with open_cache(span.cache) as cache:
        of = span.events_of or phase
        found = measure(telemetry, [task], of, windows, governed.rules, cache, governed.allowance, span.run)
    rows = found.measurements.values()
    errors = [row.error for row in rows if row.error is not None]
    if errors:
        return Population(f"queries/{path}", phase, None, None, errors[0])
    return Population(
        f"queries/{path}", phase, round(sum(row.value or 0 for row in rows)), sum(row.samples for row in rows)
    )
