"""What is fuzzed, and what must hold whatever the bytes are. Each target raises AssertionError where it does not."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from checker.analyzer.batches import BatchFile
from checker.analyzer.event_schema import EventSchema, build
from checker.analyzer.fast_path import quote
from checker.analyzer.ingest import ingest
from checker.analyzer.lines import Fault, line_checker
from checker.analyzer.rules import IngestRules, ingest_rules
from checker.analyzer.sandbox import loader
from checker.analyzer.typed import numbered_events
from checker.errors import GovernedFilesInvalid, Problem
from checker.policy.governed_schema import schema_problems
from checker.policy.load import load_policy
from checker.policy.model import Policy
from tests.fuzz.second_opinion import LATENESS, MAX_LATE, SCHEMA, WINDOW, Event, event_of

ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 1, 9, tzinfo=UTC)
GOVERNED = ("policy", "queries", "schemas")


def policy(data: bytes) -> None:
    """A policy is loaded, or its problems are told, each at a place inside the file that it is about."""
    path = _project() / "policy/policy.yaml"
    path.write_bytes(data)
    try:
        found: Policy | None = load_policy(path)
        problems: tuple[Problem, ...] = ()
    except GovernedFilesInvalid as invalid:
        found, problems = None, invalid.problems
    assert (found is None) == bool(problems)
    for problem in problems:
        _check_problem(problem, data if problem.path == "policy/policy.yaml" else None)


def event_schema(data: bytes) -> None:
    """An event schema is safe or told to be unsafe; what is safe can be asked about any line, and gives an answer."""
    text = data.decode(errors="replace")
    problems = list(schema_problems(text, "schemas/event.schema.json"))
    for problem in problems:
        _check_problem(problem, text.encode())
    if problems:
        return
    try:
        document = json.loads(text)
        schema = build(document) if isinstance(document, dict) and _is_schema(document) else None
    except (ValueError, RecursionError):
        return
    if schema is not None:
        check = line_checker(schema)
        assert all(isinstance(check(line, True), Fault | None) for line in _sample_lines()[:5])


def lines(data: bytes) -> None:
    """Each line is an event or has a fault, as a second opinion finds."""
    check = line_checker(_rules(True).schema)
    for line in _rows(data):
        fault = check(line, True)
        assert (fault is None) == (event_of(line) is not None), (line, fault)
        assert fault is None or (fault.reason and fault.detail)


def batch(data: bytes) -> None:
    """Every line of a batch is accounted for, on the fast path and off it, and its events keep their values."""
    rows = _rows(data)
    found = {number: event_of(line) for number, line in enumerate(rows)}
    for fast in (True, False):
        _check_batch(data, len(rows), {number: event for number, event in found.items() if event}, _rules(fast))


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "policy": policy,
    "event_schema": event_schema,
    "lines": lines,
    "batch": batch,
}


def seeds(target: str) -> Iterator[bytes]:
    """What a target begins with: the governed files and samples that are shipped, whole and in part."""
    match target:
        case "policy":
            for path in (ROOT / "policy/policy.yaml", *sorted((ROOT / "tests/policies").glob("*.yaml"))):
                yield path.read_bytes()
        case "event_schema":
            for path in sorted((ROOT / "schemas").glob("event*.json")):
                yield path.read_bytes()
        case "lines" | "batch":
            sample = (
                (ROOT / "tests/samples/autosave/logs/20260101T090000Z.jsonl").read_bytes().splitlines(keepends=True)
            )
            yield from (b"".join(sample[at : at + 3]) for at in range(0, 12, 3))
            yield from (b"".join(sample[-2:]), *_sample_lines())
    yield from (path.read_bytes() for path in sorted((ROOT / f"tests/fuzz/findings/{target}").glob("*")))


def _rows(data: bytes) -> list[bytes]:
    rows = data.split(b"\n")
    return rows if rows[-1] else rows[:-1]


def _check_problem(problem: Problem, data: bytes | None) -> None:
    told = str(problem)
    assert "\n" not in told, told
    assert problem.message, told
    assert len(told) < 1_000, told
    if data is not None and problem.line:
        rows = data.decode(errors="replace").split("\n")
        assert problem.line <= len(rows), (told, len(rows))
        assert problem.column <= len(rows[problem.line - 1]) + 1, (told, rows[problem.line - 1])


def _is_schema(document: Mapping[str, Any]) -> bool:
    from checker.schemas import schema_faults

    return not schema_faults(document)


def _check_batch(data: bytes, count: int, sound: Mapping[int, Event], rules: IngestRules) -> None:
    path = _project() / "20260101T090000Z.jsonl"
    path.write_bytes(data)
    parquet = _project() / "events.parquet"
    index = ingest(_connection(), BatchFile(START, path), rules, parquet)
    kept, copies = sum(index.events.values()), sum(index.duplicates.values())
    assert index.lines == count
    assert count == kept + copies + index.too_late + sum(index.quarantined.values())
    in_time = {n: event for n, event in sound.items() if _is_in_time(event)}
    assert kept + copies == len(in_time), (kept, copies, in_time)
    assert kept == len({event.key or number for number, event in in_time.items()})
    names = ("line_number", *index.columns)
    query = f"select {', '.join(map(quote, names))} from ({numbered_events(parquet, index.has_numbers)})"
    for number, *values in _connection().execute(query).fetchall():
        _check_row(rules.schema, dict(zip(names[1:], values, strict=True)), in_time[number])


def _is_in_time(event: Event) -> bool:
    return START + WINDOW - MAX_LATE <= event.placed_at <= START + WINDOW + LATENESS


def _check_row(schema: EventSchema, row: Mapping[str, Any], event: Event) -> None:
    for name, value in row.items():
        given = event.fields.get(name)
        match schema.columns.get(name):
            case None:
                continue
            case "TIMESTAMP" if given is not None:
                expected: Any = datetime.fromisoformat(given).astimezone(UTC).replace(tzinfo=None)
            case "JSON" if given is not None:
                value, expected = json.loads(value), given
            case "DOUBLE" if given is not None:
                expected = float(given)
            case _:
                expected = given
        assert value == expected, (name, value, expected)


@cache
def _project() -> Path:
    """A copy of the governed files in a folder that ends with the process."""
    folder = _kept_open(tempfile.TemporaryDirectory(prefix="phasegate-fuzz-"))
    for name in GOVERNED:
        shutil.copytree(ROOT / name, Path(folder) / name)
    return Path(folder)


@cache
def _connection() -> Any:
    return _kept_open(loader())


_OPEN: list[Any] = []


def _kept_open(context: Any) -> Any:
    _OPEN.append(context)
    return context.__enter__()


@cache
def _rules(fast: bool) -> IngestRules:
    rules = ingest_rules(build(SCHEMA), WINDOW, LATENESS, MAX_LATE, False, "engine")
    path = rules.fast_path if fast else None
    return IngestRules(rules.schema, path, rules.window, rules.lateness, rules.max_late, False, rules.digest)


@cache
def _sample_lines() -> tuple[bytes, ...]:
    """A line of each kind of event in the samples and fixtures."""
    by_event: dict[str, bytes] = {}
    for path in sorted((ROOT / "tests/fixtures").glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            event = event_of(line)
            by_event.setdefault(str(event.fields["event"]) if event else "", line)
    return tuple(by_event.values())
