"""Which phases the events of a stretch of logs carry."""

from __future__ import annotations

from datetime import datetime

from checker.analyzer.sandbox import loader
from checker.analyzer.telemetry import Telemetry

_COUNT = """
select phase, count(*)
from read_parquet($1, union_by_name = true)
where $2 is null or window_start = $2
group by phase
order by count(*) desc, phase
"""


def events_by_phase(telemetry: Telemetry, window_start: datetime | None = None) -> dict[str, int]:
    """How many events each phase has in the batches, copies within a batch left out; the largest first.

    With `window_start` only the events of that window.
    """
    batches = telemetry.batches.values() if window_start is None else telemetry.touches(window_start)
    files = [str(batch.events_file) for batch in batches]
    if not files:
        return {}
    with loader() as connection:
        naive = window_start and window_start.replace(tzinfo=None)
        return dict(connection.execute(_COUNT, [files, naive]).fetchall())
