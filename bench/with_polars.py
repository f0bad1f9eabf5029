"""The same four numbers with Polars, as its users would write them. Usage: python bench/with_polars.py FOLDER PHASE"""

from __future__ import annotations

import sys

import polars as pl

COLUMNS = {"ts": pl.String, "event": pl.String, "phase": pl.String, "duration_ms": pl.Float64, "latency_ms": pl.Float64}
completed = pl.col("event") == "autosave.save.completed"
failed = pl.col("event") == "autosave.save.error"
table = (
    pl.scan_ndjson(f"{sys.argv[1]}/*.jsonl", schema=COLUMNS)
    .filter(pl.col("phase") == sys.argv[2])
    .with_columns(
        pl.col("ts").str.to_datetime(time_unit="us", time_zone="UTC").dt.truncate("15m").alias("window_start")
    )
    .group_by("window_start")
    .agg(
        (pl.col("duration_ms").filter(completed).quantile(0.95, "linear") / 1000).alias("save_latency_p95_s"),
        (100 * failed.sum() / (completed | failed).sum()).alias("failure_rate_pct"),
        (pl.col("event") == "autosave.history.drift").sum().alias("drifts"),
        (pl.col("latency_ms").max() / 1000).alias("collector_latency_s"),
    )
    .sort("window_start")
    .collect(engine="streaming")
)
print(table.height)
