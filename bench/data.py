"""Telemetry for the benchmark: plain JSON lines, about 124 bytes each, the same bytes every time.

Usage: python bench/data.py FOLDER WINDOWS EVENTS_PER_WINDOW [PHASE]
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

START = datetime(2026, 1, 1, tzinfo=UTC)
LENGTH = timedelta(minutes=15)

# A hash stands for the dice, so that a line depends on its number alone. One save in 500 fails.
LINES = """
copy (
    with
        numbers as (select i, $first + i as n, hash($first + i) as dice from range($events) as r(i)),

        drawn as (
            select i, n, dice % 500 = 0 as failed,
                strftime($start::timestamp + to_microseconds(i * 900000000 // $events), '%Y-%m-%dT%H:%M:%S.%gZ') as ts,
                (120 + 600 * pow((dice // 1000 % 9973) / 9973, 3) * 2.2)::integer as duration_ms
            from numbers
        )

    select case
        when failed then format(
            '{{"schema_version":1,"ts":"{}","event":"autosave.save.error","phase":"{}","code":"EIO","retryable":true,'
            || '"request_id":"{}"}}', ts, $phase, 'r' || n)
        else format(
            '{{"schema_version":1,"ts":"{}","event":"autosave.save.completed","phase":"{}","duration_ms":{},'
            || '"request_id":"{}"}}', ts, $phase, duration_ms, 'r' || n)
        end
    from drawn
    order by i
) to '{path}' (format csv, header false, quote '', escape '', delimiter '\x01')
"""


def make(folder: Path, windows: int, events: int, phase: str = "B") -> None:
    """Write one batch a window, each with `events` lines and the collector's; a folder that is whole is left alone."""
    done = folder / f"made-{windows}-{events}-{phase}"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        for number in range(windows):
            start = START + LENGTH * number
            path = folder / f"{start:%Y%m%dT%H%M%SZ}.jsonl"
            values = {"first": number * events, "events": events, "start": start.replace(tzinfo=None), "phase": phase}
            connection.execute(LINES.replace("{path}", str(path).replace("'", "''")), values)
            with path.open("a") as stream:
                stream.write(
                    f'{{"schema_version":1,"ts":"{start + LENGTH + timedelta(seconds=41):%Y-%m-%dT%H:%M:%SZ}",'
                    f'"event":"collector.latency","phase":"{phase}","latency_ms":41000,'
                    f'"batch_start":"{start:%Y-%m-%dT%H:%M:%SZ}","accepted":{events},"duplicates":0,"quarantined":0,'
                    '"errors_retryable":0,"errors_fatal":0}\n'
                )
    done.touch()


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:5])
