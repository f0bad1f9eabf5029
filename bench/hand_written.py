"""The floor: one DuckDB scan with explicit columns that gives the four numbers and does nothing else.

No line is validated, no copy dropped, nothing kept. Usage: python bench/hand_written.py FOLDER PHASE
"""

from __future__ import annotations

import sys

import duckdb

QUERY = """
select
    time_bucket(interval '15 minutes', timezone('UTC', ts)) as window_start,
    quantile_cont(duration_ms, 0.95) filter (where event = 'autosave.save.completed') / 1000 as save_latency_p95_s,
    100.0 * count(*) filter (where event = 'autosave.save.error')
        / nullif(count(*) filter (where event in ('autosave.save.completed', 'autosave.save.error')), 0)
        as failure_rate_pct,
    count(*) filter (where event = 'autosave.history.drift') as drifts,
    max(latency_ms) / 1000 as collector_latency_s
from read_json(
    $files,
    format = 'newline_delimited',
    columns = {ts: 'TIMESTAMPTZ', event: 'VARCHAR', phase: 'VARCHAR', duration_ms: 'DOUBLE', latency_ms: 'DOUBLE'}
)
where phase = $phase
group by window_start
order by window_start
"""

with duckdb.connect() as connection:
    connection.execute("set timezone = 'UTC'")
    print(len(connection.execute(QUERY, {"files": f"{sys.argv[1]}/*.jsonl", "phase": sys.argv[2]}).fetchall()))
