"""Telemetry for tests: lines, batches, projects with queries of their own, and the command line run in this process.

Times of day are texts such as `12:03:00.5` of 2026-01-02; a longer text is a whole instant.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import click
import duckdb
import zstandard
from click.testing import CliRunner

from checker.analyzer.batch_index import BatchIndex
from checker.analyzer.batches import BatchFile
from checker.analyzer.event_schema import EventSchema, build
from checker.analyzer.fast_path import quote
from checker.analyzer.ingest import ingest
from checker.analyzer.rules import IngestRules, ingest_rules
from checker.analyzer.sandbox import loader
from checker.analyzer.typed import numbered_events
from checker.cli.app import cli
from checker.errors import PhasegateError
from checker.windows import iso, parse_iso, stamp

ROOT = Path(__file__).parent.parent
DAY = "2026-01-02"
WINDOW = timedelta(minutes=15)
_OPEN = ExitStack()
SAVE, ERROR, DRIFT, SEAL = (
    "autosave.save.completed",
    "autosave.save.error",
    "autosave.history.drift",
    "collector.latency",
)


def instant(text: str) -> datetime:
    """`12:00` or `12:00:03.5` of the tests' day, or a whole ISO 8601 time."""
    return parse_iso(text if "T" in text else f"{DAY}T{text}Z")


def line(ts: str, event: str = SAVE, phase: str = "B", **fields: Any) -> bytes:
    """One line, its newline included. `ts` as in `instant`."""
    document = {"schema_version": 1, "ts": iso(instant(ts)), "event": event, "phase": phase}
    return json.dumps(document | fields, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def save(ts: str, request_id: str, duration_ms: float = 100, **fields: Any) -> bytes:
    """A completed save."""
    return line(ts, SAVE, request_id=request_id, duration_ms=duration_ms, **fields)


def failure(ts: str, request_id: str, **fields: Any) -> bytes:
    """A save that failed."""
    return line(ts, ERROR, request_id=request_id, code="E_DISK", retryable=True, **fields)


def seal(ts: str, batch_start: str, latency_ms: float, **fields: Any) -> bytes:
    """The line that seals a batch."""
    counts = dict.fromkeys(("accepted", "duplicates", "quarantined", "errors_retryable", "errors_fatal"), 0)
    return line(ts, SEAL, batch_start=iso(instant(batch_start)), latency_ms=latency_ms, **counts, **fields)


def write_batch(folder: Path, start: str, lines: Iterable[bytes], suffix: str = ".jsonl") -> Path:
    """Write the batch of the window that begins at `start`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stamp(instant(start))}{suffix}"
    data = b"".join(lines)
    pack = {".jsonl": bytes, ".jsonl.gz": gzip.compress, ".jsonl.zst": zstandard.compress}[suffix]
    path.write_bytes(pack(data))
    return path


@cache
def autosave_schema() -> EventSchema:
    """The event schema that the project ships."""
    return build(json.loads((ROOT / "schemas/event.schema.json").read_text("utf-8")))


def rules_for(schema: EventSchema | None = None, *, fast: bool = True, payload: bool = False) -> IngestRules:
    """Rules with the policy's times; without `fast`, every batch is read line by line."""
    rules = ingest_rules(
        schema or autosave_schema(), WINDOW, timedelta(minutes=5), timedelta(hours=24), payload, "engine"
    )
    if fast:
        return rules
    return IngestRules(rules.schema, None, rules.window, rules.lateness, rules.max_late, payload, rules.digest)


@dataclass(frozen=True, slots=True)
class Ingested:
    """A batch that was read: its index, and its events as rows by column name."""

    index: BatchIndex
    rows: tuple[Mapping[str, Any], ...]


@cache
def open_loader() -> duckdb.DuckDBPyConnection:
    """One connection for all batches that the tests read; it ends with the process."""
    return _OPEN.enter_context(loader())


def ingested(path: Path, rules: IngestRules, likely_columns: Sequence[str] = ()) -> Ingested:
    """Read the batch at `path` as the analyzer does."""
    start = datetime.strptime(path.name.split(".")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    parquet = path.parent / "typed.parquet"
    connection = open_loader()
    index = ingest(connection, BatchFile(start, path), rules, parquet, likely_columns)
    names = ", ".join(map(quote, ("window_start", "line_number", *sorted(index.columns))))  # others are null throughout
    cursor = connection.execute(
        f"select {names} from ({numbered_events(parquet, index.has_numbers)}) order by line_number"
    )
    names = [item[0] for item in cursor.description or ()]
    index = replace(index, has_numbers=False)  # how the file tells line numbers is nothing that the batch holds
    return Ingested(index, tuple(dict(zip(names, row, strict=True)) for row in cursor.fetchall()))


def all_lines(index: BatchIndex) -> int:
    """Lines that are accounted for."""
    placed = sum(index.events.values()) + sum(index.duplicates.values())
    return placed + index.too_late + sum(index.quarantined.values())


def make_project(root: Path, queries: Mapping[str, str] | None = None, **slo: Any) -> Path:
    """A copy of the project's governed files, with an SLO more for each of `queries` (SQL by name); gives the policy.

    `slo` adds keys to those SLOs. They are only observed, so the verdict stays that of the others.
    """
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(ROOT / folder, root / folder)
    path = root / "policy" / "policy.yaml"
    added = ""
    for name, sql in (queries or {}).items():
        (root / "queries" / "slo" / f"{name}.sql").write_text(sql, "utf-8")
        keys = {"query": f"slo/{name}.sql", "unit": "s", "comparison": "lte", "on_violation": "observe"} | slo
        listed = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in keys.items())
        added += f"  {name}:\n    title: {name}\n{listed}    threshold: {{A: 1.0e+9, B: 1.0e+9, C: 1.0e+9}}\n"
    text = path.read_text("utf-8")
    assert text.count("\ngates:") == 1
    path.write_text(text.replace("\ngates:", f"{added}\ngates:"), "utf-8")
    return path


def slo_query(name: str, select: str, reads: str, lookback: str = "0") -> str:
    """The text of an SLO query: a header, and `select` below it on line 8."""
    header = {
        "name": name,
        "measures": "something",
        "unit": "s",
        "reads": reads,
        "params": "$phase varchar",
        "lookback": lookback,
        "returns": "window_start timestamp, value double, samples bigint",
    }
    return "".join(f"-- {key}: {value}\n" for key, value in header.items()) + select


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ran: its exit code and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Its one JSON document."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def documents(self) -> list[dict[str, Any]]:
        """Its JSON lines."""
        return [json.loads(text) for text in self.out.splitlines()]


def phasegate(*arguments: str | Path, cache: Path | None = None) -> Ran:
    """Run a command in this process, with its cache in `cache` or without one."""
    given = [*map(str, arguments), *(() if cache else ("--no-cache",))]
    environment = {"PHASEGATE_CACHE": str(cache) if cache else None}
    result = CliRunner().invoke(cli, given, env=environment, standalone_mode=True)
    fault = result.exception
    if isinstance(fault, PhasegateError):
        return Ran(fault.exit_code, result.stdout, str(fault))
    if fault is not None and not isinstance(fault, (SystemExit, click.exceptions.Exit)):
        raise fault
    return Ran(result.exit_code, result.stdout, result.stderr)


def check(logs: Path, as_of: str, *more: str | Path, policy: Path | None = None, cache: Path | None = None) -> Ran:
    """`phasegate check --phase B --format json` over these logs, as of this time."""
    where = ("--policy", policy or ROOT / "policy/policy.yaml", "--logs", logs)
    clock = ("--as-of", instant(as_of).isoformat())
    return phasegate("check", "--phase", "B", "--format", "json", *where, *clock, *more, cache=cache)


def replay(logs: Path, since: str, until: str, as_of: str, policy: Path | None = None) -> dict[str, dict[str, Any]]:
    """`phasegate replay` of phase B by the time of day at which a window starts."""
    times = (("--since", since), ("--until", until), ("--as-of", as_of))
    given = [text for name, value in times for text in (name, instant(value).isoformat())]
    where = ("--policy", policy or ROOT / "policy/policy.yaml", "--logs", logs)
    ran = phasegate("replay", "--phase", "B", "--format", "jsonl", *where, *given)
    return {row["window"]["start"][11:16]: row for row in ran.documents}


def values(document: Mapping[str, Any]) -> dict[str, tuple[float | None, int, str]]:
    """Of a check or a line of a replay: value, samples and status by SLO."""
    return {row["slo"]: (row["value"], row["samples"], row["status"]) for row in document["slos"]}
