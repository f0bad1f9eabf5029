"""What a query could return, or read, that must not be taken for a measurement or a gate that passed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from checker.windows import iso
from tests.batches import closed, start_of, write_batches
from tests.telemetry import ROOT, Ran, make_project, phasegate, slo_query, values

POLICY = ROOT / "policy/policy.yaml"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all tests here."""
    return tmp_path_factory.mktemp("cache")


def check(phase: str, logs: Path, windows: int, cache: Path, policy: Path) -> Ran:
    """`phasegate check --format json` once `windows` windows are closed."""
    return run("check", "--format", "json", phase=phase, logs=logs, windows=windows, cache=cache, policy=policy)


def run(command: str, *more: str, phase: str, logs: Path, windows: int, cache: Path, policy: Path) -> Ran:
    """A command once `windows` windows are closed."""
    where = ("--policy", policy, "--logs", logs, "--as-of", iso(closed(windows)))
    return phasegate(command, "--phase", phase, *where, *more, cache=cache)


def replace_in(path: Path, old: str, new: str) -> Path:
    """The file with its one `old` replaced."""
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")
    return path


def reads_what_came_before(root: Path) -> Path:
    """A project with an SLO that says it looks back on nothing, and counts all drift up to its window."""
    select = (
        "select windows.window_start, count(events.window_start)::double as value, 1::bigint as samples from windows"
        " left join events on events.event = 'autosave.history.drift' and events.window_start <= windows.window_start"
        " group by windows.window_start"
    )
    return make_project(root, {"growing": slo_query("growing", select, "events(window_start, event), windows")})


def reads_an_hour_of_short_windows(root: Path) -> Path:
    """The shipped policy with windows of 5 minutes: the hour of `history_drift` is longer than its lookback then."""
    policy = replace_in(make_project(root), "\nwindow: 15m", "\nwindow: 5m")
    return replace_in(policy, "  cycle: 15m", "  cycle: 5m")


@pytest.mark.parametrize(
    ("project", "query", "declared"),
    [(reads_what_came_before, "growing", "0"), (reads_an_hour_of_short_windows, "history_drift", "45 minutes")],
)
@pytest.mark.parametrize(
    "command",
    [
        ("check", "--format", "json"),
        ("replay", "--format", "jsonl", "--since", iso(start_of(0)), "--until", iso(start_of(6))),
    ],
    ids=lambda row: row[0],
)
def test_query_that_reads_more_than_its_lookback_measures_nothing(
    project: Callable[[Path], Path], query: str, declared: str, command: Sequence[str], tmp_path: Path, cache: Path
) -> None:
    policy = project(tmp_path / "project")
    logs = write_batches(tmp_path / "logs", "B", ["met"] * 6)
    ran = run(*command, phase="B", logs=logs, windows=6, cache=cache, policy=policy)
    assert (ran.code, ran.out) == (2, "")
    assert f"queries/slo/{query}.sql:" in ran.err
    assert f"lookback: reads more than the window and its lookback ({declared}): over made-up events the window 20" in (
        ran.err
    )
    assert ran.err.splitlines()[-1].endswith("nothing was checked")


ZONED = (
    "select window_start, epoch(strftime(window_start, '%Y-%m-%d %H:%M:%S')::timestamptz) - epoch(window_start)"
    " as value, 1::bigint as samples from windows"
)


def test_zone_of_the_machine_changes_no_value(tmp_path: Path) -> None:
    policy = make_project(tmp_path / "project", {"zoned": slo_query("zoned", ZONED, "windows(window_start)")})
    logs = write_batches(tmp_path / "logs", "B", ["met"])
    where = ["--policy", str(policy), "--logs", str(logs), "--as-of", iso(closed(1))]
    program = [sys.executable, "-c", "from checker.cli import main; main()", "check", "--phase=B", "--format=json"]
    running = [
        subprocess.Popen(
            [*program, "--no-cache", *where],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"TZ": zone, "PYTHONPATH": str(ROOT)},
        )
        for zone in ("UTC", "Asia/Tokyo", "America/St_Johns")
    ]
    first, *others = [Ran(0, process.communicate()[0].decode(), "") for process in running]
    assert values(first.document)["zoned"] == (0.0, 1, "ok")
    assert others == [first, first]


@pytest.mark.parametrize(
    ("value", "samples", "reason"),
    [
        ("1.0::double", "1.9", "samples is DECIMAL(2,1), expected BIGINT"),
        ("1.0::double", "1.9::double", "samples is DOUBLE, expected BIGINT"),
        ("1.0::double", "true", "samples is BOOLEAN, expected BIGINT"),
        ("1.0::double", "'7'", "samples is VARCHAR, expected BIGINT"),
        ("'1.5'", "1", "value is VARCHAR, expected DOUBLE"),
        ("true", "1", "value is BOOLEAN, expected DOUBLE"),
        ("1.5", "1::hugeint", None),
        ("null", "null", None),
    ],
)
def test_columns_of_another_type_are_an_error(
    value: str, samples: str, reason: str | None, tmp_path: Path, cache: Path
) -> None:
    select = f"select window_start, {value} as value, {samples} as samples from windows"
    query = slo_query("odd", select, "windows(window_start)")
    policy = make_project(tmp_path / "project", {"odd": query}, on_violation="rollback")
    ran = check("B", write_batches(tmp_path / "logs", "B", ["met"]), 1, cache, policy)
    (row,) = (row for row in ran.document["slos"] if row["slo"] == "odd")
    assert (row["status"] == "error") == (reason is not None)
    if reason is not None:
        assert (row["value"], row["samples"], row["reason"]) == (None, 0, reason)
        assert (ran.code, ran.document["decision"]) == (3, "hold")


@pytest.mark.parametrize(
    ("observed", "required", "passed", "error", "code"),
    [
        ("1.0", "1.0", True, None, 0),
        ("null", "null", True, None, 0),
        ("'nan'::double", "1.0", False, None, 0),
        ("1.0", "'inf'::double", False, None, 0),
        ("'abc'", "1.0", False, "a row has 'abc' as observed or required; expected a number", 3),
        ("1.0", "true", False, "a row has True as observed or required; expected a number", 3),
    ],
)
def test_gate_of_numbers_that_are_none_does_not_pass(
    observed: str, required: str, passed: bool, error: str | None, code: int, tmp_path: Path, cache: Path
) -> None:
    policy = make_project(tmp_path / "project")
    path = policy.parent.parent / "queries/gate/consecutive_batches.sql"
    header = "".join(line for line in path.read_text("utf-8").splitlines(True) if line.startswith("--"))
    columns = "true as passed, null::timestamp as since, null::varchar as reason"
    path.write_text(f"{header}select 'one' as criterion, {observed} as observed, {required} as required, {columns}")
    ran = check("A", write_batches(tmp_path / "logs", "A", ["met"] * 8), 8, cache, policy)
    gate = ran.document["gate"]
    assert (gate["passed"], ran.code) == (passed, code)
    assert gate["error"] == error
