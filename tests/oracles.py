"""Replays real telemetry and compares with answers that were computed without DuckDB.

`python -m tests.oracles FOLDER`, where FOLDER holds `jmeter_apache` and `nab_ec2latency`, each with `logs/` and
`oracle.json`. Exit code 0: every number agrees; 1: some differ; 3: the folder is not there.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from checker.analyzer.governed import load_governed
from checker.engines.local import local_mapper
from checker.model import Decision, Judgement, Status
from checker.pipeline import Past, Request, replay
from checker.policy.thresholds import DEFAULT_WARN_AT, warn_limit_at
from checker.reviewing.replaying import Span
from checker.reviewing.review import Asked, consequences_of
from checker.windows import parse_iso, stamp
from tests.policy_repository import POLICY_FILE, Edit, make_repository

POLICY = Path(__file__).parent.parent / "policy/policy.yaml"
RELATIVE = 1e-9
P95 = "save_latency_p95"


@dataclass(frozen=True, slots=True)
class DataSet:
    """A folder of telemetry, the phase of its events, and the stretches of time that it covers."""

    name: str
    phase: str
    spans: tuple[tuple[str, str], ...]


SETS = (
    DataSet(
        "jmeter_apache",
        "B",
        (
            ("2005-11-15T02:00:00Z", "2005-11-22T14:15:00Z"),
            ("2019-03-05T11:00:00Z", "2019-03-05T11:15:00Z"),
        ),
    ),
    DataSet("nab_ec2latency", "C", (("2014-03-07T03:30:00Z", "2014-03-21T04:00:00Z"),)),
)


def differences(folder: Path, data: DataSet) -> tuple[int, list[str]]:
    """How many windows the oracle lists, and every difference in words. Raises OSError where it cannot be read."""
    oracle = json.loads((folder / data.name / "oracle.json").read_text("utf-8"))
    expected = {row["window"]: row for row in oracle["windows"]}
    found: dict[str, Decision] = {}
    for since, until in data.spans:
        found |= {stamp(decision.window.start): decision for decision in replayed(folder, data, since, until)}
    faults = [f"{name}: not replayed" for name in expected.keys() - found.keys()]
    for name, decision in found.items():
        faults += [f"{name}: {fault}" for fault in _compare(decision, expected.get(name))]
    return len(expected), sorted(faults)


def replayed(folder: Path, data: DataSet, since: str, until: str) -> Iterator[Decision]:
    """The check at every window of a stretch of time, from the raw logs."""
    as_of: datetime = parse_iso("2026-01-01T00:00:00Z")
    request = Request(phase=data.phase, as_of=as_of, logs=folder / data.name / "logs", run=local_mapper())
    return replay(load_governed(POLICY), request, Past(), parse_iso(since), parse_iso(until))


def _compare(decision: Decision, oracle: Mapping[str, Any] | None) -> Iterator[str]:
    slos = {row.slo: row for row in decision.judgements}
    p95, rate, drift = slos["save_latency_p95"], slos["failure_rate"], slos["history_drift"]
    if slos["collector_latency"].status is not Status.NO_DATA:
        yield f"collector latency is {slos['collector_latency'].status.value}, though there is no seal"
    if oracle is None:
        if any(row.status is not Status.NO_DATA for row in (p95, rate)):
            yield "has a value, though it has no batch"
        return
    if (drift.value, drift.status) != (0, Status.OK):
        yield f"drift is {drift.value}, expected 0"
    yield from _number("p95 samples", p95.samples, oracle["completed"], exact=True)
    yield from _number("saves", rate.samples, oracle["completed"] + oracle["errors"], exact=True)
    p95_s = None if oracle["p95_ms"] is None else oracle["p95_ms"] / 1000
    yield from _number("p95", p95.value, p95_s)
    yield from _number("failure rate", rate.value, oracle["failure_rate_pct"])
    yield from _verdict("p95", p95, oracle["p95_exceeds"])
    yield from _verdict("failure rate", rate, oracle["failure_rate_exceeds"])


def _number(what: str, value: float | None, expected: float | None, exact: bool = False) -> Iterator[str]:
    if value is None or expected is None:
        same = value is expected
    else:
        same = value == expected if exact else math.isclose(value, expected, rel_tol=RELATIVE)
    if not same:
        yield f"{what} is {value}, expected {expected}"


def _verdict(what: str, judgement: Judgement, exceeds: bool) -> Iterator[str]:
    if (judgement.status is Status.VIOLATION) != bool(exceeds):
        yield f"{what} is {judgement.status.value}, expected {'a violation' if exceeds else 'none'}"


def flip_differences(folder: Path, limit_s: float = 1.6) -> tuple[int, list[str]]:
    """How many windows flip, and every difference in words, where phase C's P95 limit is lowered to `limit_s`.

    The expected flips are told from NumPy's P95 alone: what is judged otherwise by the new limit and its warning line.
    """
    policy = load_governed(POLICY).policy
    before = policy.slos[P95].thresholds["C"]
    after = replace(before, limit=limit_s, warn_limit=warn_limit_at(limit_s, DEFAULT_WARN_AT))
    oracle = json.loads((folder / "nab_ec2latency" / "oracle.json").read_text("utf-8"))
    expected = {
        (row["window"], *statuses)
        for row in oracle["windows"]
        if row["p95_ms"] is not None
        and len(set(statuses := tuple(side.judge(row["p95_ms"] / 1000, 1, 1).value for side in (before, after)))) == 2
    }
    found = reviewed_flips(folder / "nab_ec2latency" / "logs", before.limit, limit_s)
    faults = [f"{row}: expected and not found" for row in expected - found]
    faults += [f"{row}: found and not expected" for row in found - expected]
    return len(expected), sorted(faults)


def reviewed_flips(logs: Path, before_s: float, limit_s: float) -> set[tuple[str, str, str]]:
    """Window, old and new status of each flip that a review of that change in a real repository finds."""
    since, until = SETS[1].spans[0]
    with tempfile.TemporaryDirectory() as scratch:
        repository = make_repository(Path(scratch) / "project")
        head = repository.change([Edit(POLICY_FILE, f"C: {before_s}}}", f"C: {limit_s}}}")])
        compared = repository.compared(head)
        at = parse_iso("2026-01-01T00:00:00Z")
        span = Span(logs, logs.name, parse_iso(since), parse_iso(until), at, run=local_mapper())
        found = consequences_of(compared, span, Asked((), frozenset(), at))
    return {(stamp(flip.window.start), flip.before.value, flip.after.value) for flip in found.flips if flip.slo == P95}


def main(folder: Path) -> int:
    """Compare every set and say so; the exit code."""
    missing = [data.name for data in SETS if not (folder / data.name / "oracle.json").is_file()]
    if missing:
        click.echo(f"no {' and no '.join(missing)} with an oracle.json in the folder given; nothing was compared")
        return 3
    failed = False
    for data in SETS:
        windows, faults = differences(folder, data)
        click.echo(f"{data.name}: {windows} windows, {len(faults)} differences")
        for fault in faults[:20]:
            click.echo(f"  {fault}")
        failed |= bool(faults) or not windows
    flips, faults = flip_differences(folder)
    click.echo(f"nab_ec2latency, phase C's P95 limit at 1.6 s: {flips} judgements flip, {len(faults)} differences")
    for fault in faults[:20]:
        click.echo(f"  {fault}")
    failed |= bool(faults) or not flips
    return int(failed)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.oracles FOLDER")
    sys.exit(main(Path(sys.argv[1])))
