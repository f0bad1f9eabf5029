"""Which phases the events of a stretch of logs carry."""

from __future__ import annotations

from checker.analyzer.sandbox import loader
from checker.analyzer.telemetry import Telemetry

_COUNT = """
select phase, count(*)
from read_parquet($1, union_by_name = true)
group by phase
order by count(*) desc, phase
"""


def events_by_phase(telemetry: Telemetry) -> dict[str, int]:
    """How many events each phase has in the batches, copies within a batch left out; the largest first."""
    files = [str(batch.events_file) for batch in telemetry.batches.values()]
    if not files:
        return {}
    with loader() as connection:
        return dict(connection.execute(_COUNT, [files]).fetchall())
