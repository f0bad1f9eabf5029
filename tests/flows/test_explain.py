"""`phasegate explain`: the rows behind a value, the broken lines of a batch, what is shown and what is refused."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from checker.analyzer.batches import BatchFile
from checker.analyzer.explain import rows_sql
from checker.analyzer.governed import Governed, load_governed
from checker.analyzer.ingest import ingest
from checker.analyzer.parser import parser
from checker.analyzer.quarantine import EXCERPT_LENGTH, account, excerpt, quarantined_lines
from checker.analyzer.sandbox import allowance_of, loader
from checker.errors import CannotDecide
from checker.policy.model import Limits
from checker.windows import parse_iso, window_at
from tests.commands import ROOT, SAMPLE, SAMPLE_AS_OF, event, phasegate, saved, write_batch

ALLOWANCE = allowance_of(Limits())
START = "2026-01-01T00:15"
STAMP = "20260101T001500Z"
AS_OF = "2026-01-01T00:35:00Z"


@pytest.fixture(scope="module")
def governed() -> Governed:
    return load_governed(ROOT / "policy/policy.yaml")


def failed(ts: str, code: str, retryable: bool) -> bytes:
    return event("autosave.save.error", ts, code=code, retryable=retryable, request_id=ts)


def logs(folder: Path, *, turned: bool = False) -> Path:
    """Twelve saves, three failures and the drift of the window before."""
    lines = [saved(f"{START}:{second:02}Z", 100.0 * second) for second in range(1, 13)]
    lines += [
        failed(f"{START}:{20 + n}Z", code, code == "timeout") for n, code in enumerate(("full", "timeout", "timeout"))
    ]
    drift = event("autosave.history.drift", "2026-01-01T00:14:00Z", current_generation=2, index_generation=1)
    write_batch(folder, "20260101T000000Z", [drift])
    write_batch(folder, STAMP, lines[::-1] if turned else lines)
    return folder


def explained(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> Any:
    done = phasegate(
        capsys, "explain", "--phase=B", f"--logs={folder}", f"--as-of={AS_OF}", "--no-cache", "--format=json", *more
    )
    assert done.code == 0, done.err
    return done.document


def rows_of(document: Any, slo: str, kind: str) -> Any:
    (told,) = [item for item in document["slos"] if item["slo"] == slo]
    (rows,) = [item for item in told["rows"] if item["kind"] == kind]
    return rows


def test_worst_rows_are_the_first_ten_of_all_in_the_order_of_the_header(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(explained(capsys, logs(tmp_path)), "save_latency_p95", "worst")
    place = rows["columns"].index("duration_ms")
    assert rows["total"] == 12
    assert [row[place] for row in rows["rows"]] == [100.0 * n for n in range(12, 2, -1)]


def test_counts_are_by_the_columns_of_the_header(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(explained(capsys, logs(tmp_path)), "failure_rate", "counts")
    assert rows["columns"] == ["code", "retryable", "rows"]
    assert rows["rows"] == [["timeout", True, 2], ["full", False, 1]]


def test_rows_of_the_lookback_are_behind_the_value_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = explained(capsys, logs(tmp_path), "--slo=history_drift")
    rows = rows_of(document, "history_drift", "worst")
    assert [slo["slo"] for slo in document["slos"]] == ["history_drift"]
    assert rows["rows"][0][rows["columns"].index("ts")] == "2026-01-01T00:14:00Z"


def test_the_order_of_lines_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(capsys, logs(tmp_path / "a")) == explained(capsys, logs(tmp_path / "b", turned=True))


def test_the_break_before_is_told_with_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--phase=B", f"--logs={SAMPLE}", f"--as-of={SAMPLE_AS_OF}", "--window=2026-01-01T23:45:00Z")
    document = phasegate(capsys, "explain", *options, "--no-cache", "--format=json").document
    broken = document["last_break"]
    assert broken["window"]["start"] == "2026-01-01T10:30:00Z"
    assert (broken["slo"], round(broken["value"], 2), broken["status"]) == ("save_latency_p95", 2.31, "violation")
    assert document["gate"]["criteria"][0]["observed"] == 53


def test_text_from_the_logs_cannot_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [saved(f"{START}:01Z", 5000.0, "a\x1b[2Jb\u202ec"), b'{"\x1b[2J": \xff']
    write_batch(tmp_path, STAMP, lines)
    options = ("--phase=B", f"--logs={tmp_path}", f"--as-of={AS_OF}", "--no-cache")
    rows = phasegate(capsys, "explain", *options).out
    broken = phasegate(capsys, "explain", *options, "--quarantined").out
    assert r"a\x1b[2Jb\u202ec" in rows
    assert r"\x1b[2J" in broken
    assert not {"\x1b", "\u202e"} & set(rows + broken)


BROKEN = (
    ("not_json", b"<html>"),
    ("not_json", b""),
    ("not_json", b"[1]"),
    ("not_utf8", b'{"schema_version": 1, "\xff": 1}'),
    ("not_finite", saved(f"{START}:00Z", 1.0, "a").replace(b"1.0", b"NaN")),
    ("not_finite", saved(f"{START}:00Z", 1.0, "a").replace(b"1.0", b"1e400")),
    ("no_zone", saved(f"{START}:00", 1.0, "a")),
    ("wrong_type", saved(f"{START}:00Z", 1.0, "a").replace(b"1.0", b'"1.0"')),
    ("missing_field", event("autosave.save.completed", f"{START}:00Z", request_id="a")),
    ("duplicate_keys", saved(f"{START}:00Z", 1.0, "a")[:-1] + b', "phase": "B"}'),
    ("invalid_value", saved(f"{START}:00Z", -1.0, "a")),
    ("too_long", saved(f"{START}:00Z", 1.0, "x" * (1 << 20))),
    (
        "from_the_future",
        saved("2026-01-01T00:35:00.000001Z", 1.0, "a"),
    ),  # one microsecond after its batch's end + 5 min
)


@pytest.mark.parametrize(("reason", "line"), BROKEN)
def test_each_broken_line_is_found_again_with_its_number(
    reason: str, line: bytes, tmp_path: Path, governed: Governed
) -> None:
    sound = [saved(f"{START}:0{n}Z", 1.0) for n in range(3)] + [saved("2026-01-01T00:35:00Z", 1.0)]
    batch = BatchFile(parse_iso(f"{START}:00Z"), write_batch(tmp_path, STAMP, [*sound[:2], line, *sound[2:]]))
    (found,) = quarantined_lines(batch, governed.rules)
    assert (found.number, found.reason) == (3, reason)
    assert found.detail
    assert len(found.excerpt) <= EXCERPT_LENGTH


def test_an_account_is_the_index_of_the_batch(tmp_path: Path, governed: Governed) -> None:
    late = saved("2025-12-31T00:29:59Z", 1.0)  # a second older than 24 h before its batch's end
    copies = [saved(f"{START}:30Z", 1.0, "same"), saved(f"{START}:31Z", 1.0, "same")]
    torn = b'{"schema_version": 1, "ts'
    lines = [line for _, line in BROKEN] + [late, saved("2025-12-31T00:30:00Z", 1.0), *copies, torn]
    batch = BatchFile(parse_iso(f"{START}:00Z"), write_batch(tmp_path, STAMP, lines, last_newline=False))
    with loader() as connection:
        index = ingest(connection, batch, governed.rules, tmp_path / "events.parquet")
    told = account(batch, index, governed.rules)
    assert told.quarantined == Counter([*(reason for reason, _ in BROKEN), "torn"]) == index.quarantined
    assert Counter(line.reason for line in told.broken) == index.quarantined
    assert (told.lines, told.events, told.duplicates, told.too_late) == (len(lines), 2, 1, 1)
    assert told.lines == told.events + told.duplicates + told.too_late + sum(told.quarantined.values())
    batch.path.write_bytes(b"<html>\n")
    with pytest.raises(CannotDecide, match="changed"):
        account(batch, index, governed.rules)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"a" * 80, "a" * 80),  # just as long as an excerpt may be
        (b"a" * 81, "a" * 79 + "…"),
        ("ä".encode() * 81, "ä" * 79 + "…"),
        (b"\x1b[2J\xff\x00", r"\x1b[2J\xff\x00"),
        (b"\x1b" * 30, r"\x1b" * 19 + r"\x1" + "…"),  # escapes are longer than what they stand for
        (b"", ""),
    ],
)
def test_excerpt(content: bytes, shown: str) -> None:
    assert excerpt(content) == shown


def test_a_fixture_s_lines_keep_their_own_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [saved("2026-01-01T00:00:01Z", 1.0), saved(f"{START}:01Z", 1.0), saved("2026-01-01T00:00:02Z", 1.0)]
    fixture = tmp_path / "fixture.jsonl"
    fixture.write_bytes(b"\n".join([*lines, b"<html>", saved(f"{START}:02Z", 1.0), b""]))
    done = phasegate(capsys, "explain", "--phase=B", f"--fixture={fixture}", "--quarantined", "--format=json")
    assert (done.code, [row["line"] for row in done.document["quarantined"]]) == (0, [4])


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 0, ""),
        (("--quarantined",), 0, ""),
        (("--window=2026-01-01T10:37:00Z",), 0, ""),  # a time within a window means that window
        (("--logs=/nowhere/at/all",), 3, "there is no batch in /nowhere/at/all;"),
        (("--window=2026-01-02T01:30:00Z",), 3, "expected 20260102T013000Z.jsonl (or .jsonl.gz, .jsonl.zst) in"),
        (
            ("--window=2026-01-02T01:30:00Z", "--quarantined"),
            3,
            "20260102T011500Z.jsonl, after it 20260102T014500Z.jsonl;",
        ),
        (("--window=2026-01-02T12:00:00Z",), 3, "closes at 2026-01-02T12:20:00Z"),
        (("--slo=failure_rates",), 2, "did you mean 'failure_rate'?"),
        (("--slo=nope",), 2, "the policy has save_latency_p95, failure_rate, history_drift, collector_latency"),
        (("--phase=D",), 2, "there is no phase 'D'"),
        (("--window=2026-01-02T01:30:00",), 2, "names no zone"),
        (("--fixture=x.jsonl",), 2, "--fixture stands for --logs"),
    ],
)
def test_exit_codes(options: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("explain", "--phase=B", f"--logs={SAMPLE}", f"--as-of={SAMPLE_AS_OF}", "--no-cache")
    done = phasegate(capsys, *given, *options)
    assert (done.code, bool(done.out)) == (code, code == 0)
    assert said in done.err


def test_what_is_suggested_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--phase=B", f"--logs={SAMPLE}", f"--as-of={SAMPLE_AS_OF}", "--no-cache")
    first = phasegate(capsys, "explain", *options, "--window=2026-01-01T23:45:00Z")
    (command,) = [line.strip() for line in first.out.splitlines() if line.startswith("    phasegate explain")]
    second = phasegate(capsys, *shlex.split(command)[1:], "--no-cache")
    assert second.code == 0
    assert "window 2026-01-01 10:30–10:45 UTC" in second.out.splitlines()[0]
    assert "2.31 s from" in second.out


def test_no_line_but_a_command_is_wider_than_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    done = phasegate(capsys, "explain", "--phase=B", f"--logs={SAMPLE}", f"--as-of={SAMPLE_AS_OF}", "--no-cache")
    assert [line for line in done.out.splitlines() if cell_len(line) > 80 and "phasegate explain" not in line] == []


@pytest.mark.parametrize(
    ("phase", "events_of", "said"),
    [
        ("C", None, "the window's 15 events carry phase B, none C; --events-of=B judges them"),
        ("C", "B", "phase C · events of phase B · what-if"),
        ("B", None, "phase B · window 2026-01-01 00:15"),
    ],
)
def test_events_of_another_phase_are_told(
    phase: str, events_of: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (f"--phase={phase}", *([f"--events-of={events_of}"] if events_of else []), f"--as-of={AS_OF}")
    told = " ".join(phasegate(capsys, "explain", *options, f"--logs={logs(tmp_path)}", "--no-cache").out.split())
    assert said in told
    assert ("judges them" in told) is ("judges them" in said)


def test_events_that_came_in_another_batch_are_explained_and_the_missing_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_batch(tmp_path, "20260101T003000Z", [saved(f"{START}:01Z", 100.0)])
    options = ("--phase=B", f"--logs={tmp_path}", "--as-of=2026-01-01T00:50:00Z", f"--window={START}:00Z", "--no-cache")
    done = phasegate(capsys, "explain", *options)
    told = " ".join(done.out.split())
    assert done.code == 0
    assert f"No batch: expected {STAMP}.jsonl (or .jsonl.gz, .jsonl.zst) in" in told
    assert "before it is none, after it 20260101T003000Z.jsonl;" in told
    assert "Input: 1 event of the window · no line of its own batch" in told


def test_only_the_final_select_is_replaced(governed: Governed) -> None:
    window = window_at(parse_iso(f"{START}:00Z"), governed.policy.window)
    query = governed.queries["slo/failure_rate.sql"]
    with parser(ALLOWANCE) as connection:
        sql = rows_sql(connection, query, "worst", window, governed.tasks[1].lookback)
    assert sql.startswith("WITH saves AS (")
    assert "$phase" in sql
    assert sql.endswith("LIMIT 10")
    assert "quantile" not in json.dumps(sql)
