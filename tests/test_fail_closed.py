"""What could have been taken for met, or for all there is, and must not be: each told, or judged, or refused."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import open_cache
from checker.analyzer.telemetry import Telemetry, load_telemetry
from checker.engines.local import local_mapper
from checker.windows import iso, stamp
from tests.batches import closed, event, start_of, write_batches
from tests.telemetry import ROOT, Ran, phasegate, rules_for, values

POLICY = ROOT / "policy/policy.yaml"
DRIFT = {"current_generation": 2, "index_generation": 1}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all tests here."""
    return tmp_path_factory.mktemp("cache")


def check(phase: str, logs: Path, windows: int, cache: Path) -> Ran:
    """`phasegate check --format json` once `windows` windows are closed."""
    where = ("--policy", POLICY, "--logs", logs, "--as-of", iso(closed(windows)))
    return phasegate("check", "--format", "json", "--phase", phase, *where, cache=cache)


def replay(phase: str, logs: Path, first: int, windows: int, cache: Path) -> Ran:
    """`phasegate replay --format jsonl` from window `first` on, once `windows` windows are closed."""
    span = ("--since", iso(start_of(first)), "--until", iso(start_of(windows)), "--as-of", iso(closed(windows)))
    return phasegate(
        "replay", "--format", "jsonl", "--phase", phase, "--policy", POLICY, "--logs", logs, *span, cache=cache
    )


def drift(window: int) -> dict[int, list[dict[str, Any]]]:
    """A drift event in this window, as `write_batches` takes it."""
    return {window: [event("autosave.history.drift", start_of(window) + timedelta(minutes=3), "B", **DRIFT)]}


def cut(path: Path) -> None:
    """Compress the batch, and cut the end off."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0)[:-12])
    path.unlink()


@pytest.mark.parametrize(
    ("window", "broken", "status", "code"),
    [
        (5, False, "violation", 1),
        (5, True, "error", 3),
        (2, False, "violation", 1),  # the earliest window that the newest one's hour holds
        (2, True, "error", 3),
        (1, False, "ok", 0),
        (1, True, "ok", 0),
    ],
)
def test_batch_that_cannot_be_read_fails_every_slo_that_looks_back_on_it(
    window: int, broken: bool, status: str, code: int, tmp_path: Path, cache: Path
) -> None:
    logs = write_batches(tmp_path / "logs", "B", ["met"] * 6, extra=drift(window))
    if broken:
        cut(logs / f"{stamp(start_of(window))}.jsonl")
    ran = check("B", logs, 6, cache)
    assert ran.code == code
    assert values(ran.document)["history_drift"][2] == status
    others = values(ran.document)["failure_rate"][2]
    assert others == ("error" if broken and window == 5 else "ok")


@pytest.mark.parametrize(
    ("releases", "passed"),
    [
        ({0: "r1", 2: "r2"}, True),
        ({0: "r1", 2: "r2", 12: "r1"}, False),  # a release that returns is a new one: 13, 14, 15 are three of eight
        ({0: "r1", 2: "r2", 7: "r1"}, True),
        ({0: "r1", 2: "r2", 8: "r1"}, False),
    ],
)
@pytest.mark.parametrize("first", [0, 12])
def test_replay_decides_as_check_did_whatever_came_before(
    releases: Mapping[int, str], passed: bool, first: int, tmp_path: Path, cache: Path
) -> None:
    logs = write_batches(tmp_path / "logs", "A", ["met"] * 16, releases=releases)
    now = check("A", logs, 16, cache).document
    then = replay("A", logs, first, 16, cache).documents[-1]
    assert then["window"] == now["window"]
    assert (then["decision"], then["gate"]["passed"]) == (now["decision"], now["gate"]["passed"]) == ("hold", passed)


def vanish(path: Path) -> None:
    path.unlink()


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (vanish, "No such file or directory"),
        (become_a_folder, "Is a directory"),
        (become_a_broken_link, "Is a link; only a regular file is read"),
        (lambda path: path.write_bytes(b"no gzip"), "Not a gzipped file (b'no')"),
        (lambda path: os.truncate(path, path.stat().st_size - 12), "Compressed file ended before the end-of-stream"),
    ],
)
def test_reason_why_a_batch_cannot_be_read_names_no_path_and_moves_with_the_folder(
    change: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    found = [telemetry_after(change, tmp_path / name / "logs") for name in ("here", "there")]
    start = start_of(0)
    assert found[0].unreadable == found[1].unreadable
    assert found[0].unreadable[start].startswith(f"{stamp(start)}.jsonl.gz: cannot be read: {reason}")
    assert str(tmp_path) not in found[0].unreadable[start]
    assert found[0].inputs_digest(start) == found[1].inputs_digest(start)
    assert found[0].logs_digest([start]) == found[1].logs_digest([start])


def telemetry_after(change: Callable[[Path], object], logs: Path) -> Telemetry:
    """What is known of a folder whose one batch changed after the folder was listed."""
    plain = write_batches(logs, "B", ["met"]) / f"{stamp(start_of(0))}.jsonl"
    batch = plain.with_name(f"{plain.name}.gz")
    batch.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    plain.unlink()
    folder = LogFolder(logs)
    change(batch)
    with open_cache(None) as cache:
        return load_telemetry(folder, cache, rules_for(), start_of(0), start_of(0), closed(1), local_mapper(1))


@pytest.mark.parametrize(
    ("as_of", "code"),
    [
        ("0001-01-01T00:00:00Z", 2),
        ("1970-12-31T23:59:59Z", 2),
        ("1971-01-01T00:00:00Z", 3),
        ("2999-01-01T00:00:00Z", 3),
        ("2999-01-01T00:00:01Z", 2),
        ("9999-12-31T23:59:59Z", 2),
        ("0001-01-01T00:00:00+14:00", 2),
    ],
)
def test_clock_beyond_all_logs_is_refused(as_of: str, code: int, tmp_path: Path, cache: Path) -> None:
    logs = write_batches(tmp_path / "logs", "B", ["met"])
    ran = phasegate("check", "--phase", "B", "--policy", POLICY, "--logs", logs, "--as-of", as_of, cache=cache)
    assert ran.code == code
    assert ("is not a time such as" in ran.err) == (code == 2)


def link(path: Path) -> None:
    path.symlink_to(f"{stamp(start_of(0))}.jsonl")


@pytest.mark.parametrize(
    ("make", "name", "is_told"),
    [
        (link, "20260101T001500Z.jsonl", True),
        (Path.mkdir, "20260101T001500Z.jsonl", True),
        (Path.touch, "20260101T001500Z.jsonl", False),  # a batch, and an empty one
        (Path.touch, "20260101T0015Z.jsonl", True),
        (Path.touch, "2026-01-01T00:15:00Z.jsonl.gz", True),
        (Path.touch, "20260101T001500Z.jsonl.part", False),  # nobody takes that for a batch
    ],
)
def test_what_only_looks_like_a_batch_is_named(
    make: Callable[[Path], object], name: str, is_told: bool, tmp_path: Path, cache: Path
) -> None:
    logs = write_batches(tmp_path / "logs", "B", ["met"])
    make(logs / name)
    ran = check("B", logs, 1, cache)
    assert (f"not a batch, passed over: {name}" in ran.err) is is_told
    assert (ran.code, ran.document["input"]["batches"]) == (0, 1)
