"""`phasegate validate`: faults of governed files that show only when they are used, and the logs' account."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from checker.governance.validation import validate_governed
from checker.reporter.notice_tells import template_faults
from tests.commands import ROOT, SAMPLE, SAMPLE_AS_OF, Done, phasegate, saved, write_batch


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def change(project: Path, name: str, old: str, new: str) -> None:
    path = project / name
    text = path.read_text("utf-8")
    assert old in text, f"{old!r} is not in {name}"
    path.write_text(text.replace(old, new), "utf-8")


def test_this_repository_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    done = phasegate(capsys, "validate")
    assert (done.code, done.err) == (0, "")
    assert [line.split("  ")[0] for line in done.out.splitlines()] == [
        "policy",
        "event schema",
        "SLO queries",
        "gate queries",
        "templates",
        "documents",
    ]


DRIFT, SAVES, LATENCY = (f"queries/slo/{n}.sql" for n in ("history_drift", "save_latency_p95", "collector_latency"))
GATE = "queries/gate/consecutive_batches.sql"
INCIDENT = "policy/templates/autosave-incident.j2"


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (LATENCY, "/ 1000 as value", "::bigint as value", f"{LATENCY}:7: returns value as BIGINT; expected DOUBLE"),
        (LATENCY, "as samples", "as count", f"{LATENCY}:7: returns window_start, value, count"),
        (LATENCY, "count(seals.latency_ms)", "sum(1)", f"{LATENCY}:7: returns samples as HUGEINT"),
        (SAVES, "left join saves", "join saves", "returns no row for the window"),
        (SAVES, "group by windows.window_start", "group by windows.window_start, saves.duration_ms", "twice"),
        (SAVES, "/ 1000 as value", "/ ('x' || count(*))::double as value", f"{SAVES}:18: over made-up events: "),
        (DRIFT, "lookback: 45 minutes", "lookback: 30 minutes", f"{DRIFT}:6: header: lookback: reads more than"),
        (DRIFT, "lookback: 45 minutes", "lookback: 0", f"{DRIFT}:6: header: lookback: reads more than"),
        (DRIFT, "<= windows.window_start", "<= windows.window_end", f"{DRIFT}:6: header: lookback: reads more than"),
        (DRIFT, "worst: drifts", "worst: drfts", "header: worst: there is no CTE 'drfts'; did you mean 'drifts'?"),
        (SAVES, "by duration_ms desc", "by duraton_ms desc", "header: worst: Binder Error"),
        (GATE, "$batches::double as required", "$batches as required", f"{GATE}:6: returns required as INTEGER"),
        (GATE, "\nfrom streak\n", "\nfrom (from streak where false) as streak\n", "returns no row"),
        (INCIDENT, "metric={{ metric }}", "", f"{INCIDENT}: does not tell 'metric'"),
        (INCIDENT, "{{ cmd }}", "", f"{INCIDENT}: does not tell 'cmd'"),
        (INCIDENT, "{{ metric }}", "{{ metrik }}", "no placeholder 'metrik'; did you mean 'metric'?"),
        ("schemas/event.schema.json", '"type": "number", "minimum": 0', '"type": "numbr", "minimum": 0', "numbr"),
    ],
)
def test_each_fault_is_told(name: str, old: str, new: str, said: str, project: Path) -> None:
    change(project, name, old, new)
    problems = [str(problem) for problem in validate_governed(project / "policy/policy.yaml", template_faults).problems]
    assert any(said in problem for problem in problems), problems


def test_a_lookback_of_what_is_read_is_sound_and_a_longer_one_too(project: Path) -> None:
    change(project, DRIFT, "lookback: 45 minutes", "lookback: 1 hour")
    assert validate_governed(project / "policy/policy.yaml", template_faults).problems == ()


def test_faults_of_every_kind_are_told_at_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(project, "policy/policy.yaml", "min_samples: 1", "min_samples: -1")
    change(project, DRIFT, "worst: drifts", "wurst: drifts")
    policy = f"--policy={project / 'policy/policy.yaml'}"
    first = phasegate(capsys, "validate", policy)
    assert (first.code, first.out) == (2, "")
    assert first.err.endswith("2 problems in the governed files; nothing was checked\n")
    change(project, "policy/policy.yaml", "min_samples: -1", "min_samples: 1")
    change(project, LATENCY, "/ 1000 as value", "::bigint as value")
    change(project, INCIDENT, "{{ cmd }}", "")
    second = phasegate(capsys, "validate", policy, "--format=json")
    assert second.code == 2
    assert [problem["path"] for problem in second.document["problems"]] == [INCIDENT, LATENCY, DRIFT]


def check_logs(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> Done:
    return phasegate(capsys, "validate", f"--logs={folder}", f"--as-of={SAMPLE_AS_OF}", "--no-cache", *more)


def test_every_line_of_the_sample_is_accounted_for(capsys: pytest.CaptureFixture[str]) -> None:
    done = check_logs(capsys, SAMPLE, "--format=json")
    told = done.document["logs"]
    lines = sum(path.read_bytes().count(b"\n") for path in SAMPLE.glob("*.jsonl"))
    torn = sum(not path.read_bytes().endswith(b"\n") for path in SAMPLE.glob("*.jsonl"))
    assert done.code == 1
    assert told["lines"] == lines + torn == accounted(told)
    assert all(batch["lines"] == accounted(batch) for batch in told["batches"])
    assert sum(batch["lines"] for batch in told["batches"]) == told["lines"]
    assert told["quarantined_by_reason"] == {"no_zone": 1, "not_json": 2, "wrong_type": 1}


def accounted(counts: Any) -> int:
    return int(counts["events"] + counts["duplicates"] + counts["too_late"] + counts["quarantined"])


def test_a_copy_in_another_batch_is_counted_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = saved("2026-01-01T00:05:00Z", 1.0, "same")
    write_batch(tmp_path, "20260101T000000Z", [line, saved("2026-01-01T00:06:00Z", 1.0)])
    write_batch(tmp_path, "20260101T001500Z", [line])
    done = check_logs(capsys, tmp_path, "--format=json")
    told = done.document["logs"]
    assert (done.code, told["lines"], told["events"], told["duplicates"]) == (0, 3, 2, 1)
    assert [batch["events"] for batch in told["batches"]] == [2, 1]


@pytest.mark.parametrize(
    ("contents", "code", "said"),
    [
        ({}, 3, "there is no batch"),
        ({"20260101T000000Z.jsonl": saved("2026-01-01T00:05:00Z", 1.0) + b"\n"}, 0, "1 line = 1 event + 0 duplicates"),
        ({"20260101T000000Z.jsonl": b"<html>\n"}, 1, "20260101T000000Z.jsonl:1: not_json"),
        ({"20260101T000000Z.jsonl.gz": b"no gzip"}, 1, "20260101T000000Z.jsonl.gz: "),
        ({"20260102T120000Z.jsonl": b"<html>\n"}, 3, "there is no batch"),  # its window has not ended yet
    ],
)
def test_exit_codes_of_logs(
    contents: dict[str, bytes], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    done = check_logs(capsys, tmp_path)
    assert done.code == code
    assert said in done.out + done.err
    assert str(tmp_path) in (done.err if code == 3 else done.out)


@pytest.mark.parametrize(("broken", "suggested"), [(3, 0), (4, 1)])
def test_what_shows_all_broken_lines_can_be_pasted(
    broken: int, suggested: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_batch(tmp_path, "20260101T000000Z", [b"<html>"] * broken)
    told = check_logs(capsys, tmp_path).out
    commands = [line.strip() for line in told.splitlines() if line.startswith("    phasegate ")]
    assert len(commands) == suggested
    for command in commands:
        shown = phasegate(capsys, *shlex.split(command)[1:], "--no-cache").out
        assert shown.count("not_json: ") == broken
