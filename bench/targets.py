"""Many targets on one machine: a fleet of small rollouts, made from a seed, and `check --all` over it, cold and warm.

Each target has its own policy, queries, event schema and logs; no two share a file or a query's text, so that
nothing is known of one because another was looked at. Each line is a whole process.
Usage: python bench/targets.py [--targets 200] [--slos 20] [--windows 24] [--data FOLDER] [--only-make]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).parent
START = datetime(2026, 3, 1, tzinfo=UTC)
LENGTH, LATENESS = timedelta(minutes=15), timedelta(minutes=5)
SEED = 20_260_301
REQUESTS = 3  # of an endpoint in a window
ALLOWED_S = 60.0

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "x-phasegate": {"dedup_key": ["event", "request_id"]},
    "required": ["ts", "event", "phase"],
    "properties": {
        "ts": {"type": "string", "format": "date-time"},
        "event": {"type": "string", "minLength": 1},
        "phase": {"type": "string", "minLength": 1},
        "endpoint": {"type": "string"},
        "request_id": {"type": "string", "minLength": 1},
        "status": {"type": "integer", "minimum": 100, "maximum": 599},
        "duration_ms": {"type": "number", "minimum": 0},
    },
}
KINDS = {
    "latency": ("quantile_cont(seen.duration_ms, 0.95)", "ms", {"canary": 500, "full": 450}, "duration_ms"),
    "failures": (
        "100.0 * count(*) filter (where seen.status >= 500) / nullif(count(seen.status), 0)",
        "%",
        {"canary": 60.0, "full": 60.0},
        "status",
    ),
}
QUERY = """\
-- name: {name}
-- measures: {kind} of endpoint {endpoint} of {target}
-- unit: {unit}
-- reads: events(window_start, event, phase, endpoint, {column}), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
with
    seen as (
        select window_start, {column}
        from events
        where event = 'http.request' and phase = $phase and endpoint = '/{target}/{endpoint}'
    )

select windows.window_start, {value} as value, count(seen.{column}) as samples
from windows
left join seen using (window_start)
group by windows.window_start
order by windows.window_start
"""
# The gate of a rollout that the suite knows, under its own file's name.
GATE = "three_in_a_row.sql"
GATE_SQL = (HERE.parent / "tests/cases/precision_merge/queries/gate" / GATE).read_text(encoding="utf-8")
TEMPLATE = """\
{{ title }} {{ phase }}: {{ metric }} violated in window {{ window }}; back to {{ rollback_to }}: {{ cmd }}
{% for slo in metrics.values() %}
{{ slo.status }}: {{ slo.title }} {{ slo.text }} (threshold {{ slo.threshold }})
{% endfor %}
"""


def make(folder: Path, targets: int, slos: int, windows: int) -> datetime:
    """Write the fleet below `folder`, if it is not there yet; gives the instant at which window `windows` closes.

    There is a batch more than that, for what a check costs once the next one has come.
    """
    done = folder / f"made-{targets}-{slos}-{windows}"
    if not done.exists():
        for number in range(targets):
            _target(folder / f"policies/t{number:03}", f"t{number:03}", slos, windows, random.Random(SEED + number))
        done.touch()
    return START + LENGTH * windows + LATENESS


def _target(root: Path, name: str, slos: int, windows: int, dice: random.Random) -> None:
    endpoints = [f"e{number}" for number in range(-(-slos // len(KINDS)))]
    named = [(f"{kind}_{endpoint}", kind, endpoint) for endpoint in endpoints for kind in KINDS][:slos]
    _write(root / "schemas/event.schema.json", json.dumps(SCHEMA))
    _write(root / "policy/policy.yaml", json.dumps(_policy(name, named, windows * 2 // 3), indent=1))
    _write(root / "policy/templates/incident.j2", TEMPLATE)
    _write(root / "queries/gate" / GATE, GATE_SQL)
    for slo, kind, endpoint in named:
        value, unit, _, column = KINDS[kind]
        told = {"name": slo, "kind": kind, "endpoint": endpoint, "target": name}
        _write(root / f"queries/slo/{slo}.sql", QUERY.format(**told, value=value, unit=unit, column=column))
    slow = dice.random() < 0.05  # one target in twenty is violated in its last window but one
    for number in range(windows + 1):
        start = START + LENGTH * number
        lines = [
            _line(name, endpoint, start, number, turn, dice, slow and number == windows - 1)
            for endpoint in endpoints
            for turn in range(REQUESTS)
        ]
        _write(root / f"logs/{name}/{start:%Y%m%dT%H%M%SZ}.jsonl", "".join(f"{line}\n" for line in lines))


def _line(name: str, endpoint: str, start: datetime, number: int, turn: int, dice: random.Random, slow: bool) -> str:
    at = start + timedelta(seconds=dice.randrange(900))
    document = {"ts": f"{at:%Y-%m-%dT%H:%M:%SZ}", "event": "http.request", "phase": "canary"}
    document |= {"endpoint": f"/{name}/{endpoint}", "request_id": f"{number}-{endpoint}-{turn}"}
    fast_ms = dice.randrange(20, 390)
    return json.dumps({**document, "status": 200, "duration_ms": 5_000 if slow else fast_ms})


def _policy(name: str, named: list[tuple[str, str, str]], in_a_row: int) -> dict[str, object]:
    phases = [
        {"name": phase, "title": phase, "audience": share, "approvers": ["SRE"], "gate": "leave"}
        for phase, share in (("canary", "5 %"), ("full", "100 %"))
    ]
    slos = {
        slo: {
            "title": f"{kind} {endpoint}",
            "query": f"slo/{slo}.sql",
            "unit": KINDS[kind][1],
            "comparison": "lte",
            "threshold": KINDS[kind][2],
            "warn_at": 0.8,
        }
        for slo, kind, endpoint in named
    }
    notice = {"channel": "#incidents", "outcome": "violation", "phases": ["canary", "full"], "template": "incident.j2"}
    return {
        "schema_version": 1,
        "target": name,
        "title": f"Service {name}",
        "window": "15m",
        "lateness": "5m",
        "event_schema": "schemas/event.schema.json",
        "phases": phases,
        "slos": slos,
        "gates": {
            "leave": {
                "title": f"{in_a_row} windows in a row",
                "query": f"gate/{GATE}",
                "parameters": {"batches": in_a_row},
            }
        },
        "notices": {"incident": notice},
        "rollback": {"command": ["deployctl", "--service={target}", "--from={phase}", "--to={rollback_to}"]},
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def check_all(folder: Path, as_of: datetime, *more: str) -> tuple[float, float, str]:
    """Wall and CPU seconds of one `check --all` over the fleet, and what it printed. Exits where it did not judge.

    What the locked children took is not in the latter: they are killed, and tell nobody.
    """
    command = [
        sys.executable,
        "-m",
        "checker",
        "check",
        "--all",
        str(folder / "policies"),
        "--phase=canary",
        "--format=json",
    ]
    before, begun = _cpu_s(), time.perf_counter()
    done = subprocess.run(
        [*command, f"--as-of={as_of:%Y-%m-%dT%H:%M:%SZ}", *more], check=False, capture_output=True, text=True
    )
    took_s, cpu_s = time.perf_counter() - begun, _cpu_s() - before
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return took_s, cpu_s, done.stdout


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Make the fleet, check it cold once and warm three times, and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--targets", type=int, default=200)
    options.add_argument("--slos", type=int, default=20)
    options.add_argument("--windows", type=int, default=24)
    options.add_argument("--data", type=Path, default=HERE / "data")
    options.add_argument("--only-make", action="store_true")
    given = options.parse_args()
    folder = given.data / f"fleet-{given.targets}-{given.slos}-{given.windows}"
    as_of = make(folder, given.targets, given.slos, given.windows)
    if given.only_make:
        print(folder, f"{as_of:%Y-%m-%dT%H:%M:%SZ}")
        return
    print(
        f"{given.targets} targets of {given.slos} SLOs, gates over {given.windows * 2 // 3} windows,"
        f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    print("| what (a whole process) | s | CPU s |\n| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="phasegate-bench-") as cache:
        os.environ["PHASEGATE_CACHE"] = cache
        cold_s, cold_cpu_s, first = check_all(folder, as_of)
        print(f"| cold, no cache | {cold_s:.1f} | {cold_cpu_s:.1f} |")
        runs = [check_all(folder, as_of) for _ in range(3)]
        new_s, new_cpu_s, _ = check_all(folder, as_of + LENGTH)
    took_s, cpu_s, _ = min(runs)
    print(f"| warm, nothing new (the best of 3) | {took_s:.1f} | {cpu_s:.1f} |")
    print(f"| warm, one new batch each | {new_s:.1f} | {new_cpu_s:.1f} |")
    counts = Counter(target.get("outcome", "not judged") for target in json.loads(first)["targets"])
    print(f"\noutcomes: {dict(sorted(counts.items()))}; the same bytes: {all(run[2] == first for run in runs)}")
    print(f"warm: {took_s:.1f} s of {ALLOWED_S:g} s")


if __name__ == "__main__":
    main()
