"""`phasegate status`: what ledger and logs tell of where a rollout stands."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.cli.app import COMMANDS
from checker.cli.formats.status_report import age
from tests.commands import ROOT, SAMPLE, SAMPLE_AS_OF, phasegate
from tests.ledgers import LedgerBuilder


def status(capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    done = phasegate(capsys, "status", f"--as-of={SAMPLE_AS_OF}", "--no-cache", "--format=json", *options)
    assert done.code == 0, done.err
    return done.document


def ledger(folder: Path, built: LedgerBuilder) -> str:
    return f"--ledger={built.write(folder / 'ledger.jsonl')}"


def in_phase_b() -> LedgerBuilder:
    entered = LedgerBuilder().phase_change("off", "A", at="2026-01-01T00:00:00Z")
    return entered.phase_change("A", "B", at="2026-01-01T09:00:00Z")


def test_without_a_ledger_the_phases_of_the_logs_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = status(capsys, f"--logs={SAMPLE}")
    assert (told["ledger"], told["phase"], told["gate"]) == (False, None, None)
    assert list(told["phases_in_logs"]) == ["B"]
    assert (told["newest_batch"], told["newest_batch_age_s"]) == ("2026-01-02T11:45:00Z", 300)
    text = phasegate(capsys, "status", f"--as-of={SAMPLE_AS_OF}", f"--logs={SAMPLE}", "--no-cache").out
    assert "there is no ledger" in text
    assert "ended 5 min ago" in text


def test_without_the_ledger_that_is_there_it_is_as_if_there_were_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "project"
    for name in ("policy", "queries", "schemas"):
        shutil.copytree(ROOT / name, project / name)
    asked = ("explain", f"--policy={project / 'policy/policy.yaml'}", f"--logs={SAMPLE}", "--phase=B", "--no-cache")
    asked = (*asked, f"--as-of={SAMPLE_AS_OF}")
    without = phasegate(capsys, *asked)
    (project / "ledger").mkdir()
    (project / "ledger/autosave.jsonl").write_bytes(b"[]\n")
    refused = phasegate(capsys, *asked)
    assert (refused.code, refused.out) == (3, "")
    assert "ledger/autosave.jsonl:1: expected a mapping" in refused.err
    told = phasegate(capsys, *asked, "--no-ledger")
    assert (told.code, told.out.replace(" --no-ledger", "")) == (without.code, without.out)
    assert " --no-ledger" in told.out  # a command that it suggests looks at the same


WRITERS = {"advance", "approve", "incident", "pause", "resume", "rollback"}  # without a ledger they are nothing


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - WRITERS))
def test_whoever_takes_a_ledger_can_be_told_to_take_none(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = phasegate(capsys, command, "--help").out
    assert ("--ledger PATH" in told) == ("--no-ledger" in told)


def test_the_gate_of_the_ledger_s_phase_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = status(capsys, f"--logs={SAMPLE}", ledger(tmp_path, in_phase_b()))
    assert (told["phase"], told["since"]) == ("B", "2026-01-01T09:00:00Z")
    assert [(row["observed"], row["required"]) for row in told["gate"]["criteria"]] == [(41, 96), (0, 0)]
    assert told["gate"]["earliest_pass"] == "2026-01-03T01:50:00Z"
    assert told["approvals_missing"] == ["SRE"]


def test_incident_rollback_pause_and_notices_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = in_phase_b().notice(at="2026-01-01T09:15:00Z")
    built.incident("opened", "inc-1", slos=["failure_rate"], at="2026-01-01T10:45:00Z", window="2026-01-01T10:30:00Z")
    built.rollback("begun", "B", "A", incident="inc-1", at="2026-01-01T11:00:00Z")
    built.pause(at="2026-01-01T11:30:00Z", until="2026-01-03T00:00:00Z")
    given = (f"--logs={SAMPLE}", ledger(tmp_path, built))
    told = status(capsys, *given)
    assert (told["incident"]["id"], told["incident"]["slos"]) == ("inc-1", ["failure_rate"])
    assert told["incident"]["rollback_required"]
    assert (told["rollback"]["event"], told["rollback_unknown"]) == ("begun", True)
    assert told["pause"]["until"] == "2026-01-03T00:00:00Z"
    assert [notice["notice"] for notice in told["notices"]] == ["autosave-ok"]
    text = phasegate(capsys, "status", f"--as-of={SAMPLE_AS_OF}", "--no-cache", *given).out
    text = " ".join(text.split())
    assert all(part in text for part in ("inc-1 open since", "outcome unknown", "not delivered", "until 2026-01-03"))


@pytest.mark.parametrize("phase", ["off", "complete", "D"])
def test_a_phase_without_a_gate_of_the_policy_is_told_alone(
    phase: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = LedgerBuilder().phase_change("C", phase, at="2026-01-01T00:00:00Z")
    told = status(capsys, f"--logs={tmp_path}", ledger(tmp_path, built))
    assert (told["phase"], told["gate"], told["newest_batch"]) == (phase, None, None)


def test_nothing_can_be_told_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = phasegate(capsys, "status", f"--logs={tmp_path}", "--no-cache")
    assert (done.code, done.out) == (3, "")
    assert "neither a ledger nor a batch" in done.err


def test_records_and_batches_after_the_clock_do_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    early = "--as-of=2025-12-31T00:00:00Z"
    done = phasegate(capsys, "status", f"--logs={SAMPLE}", ledger(tmp_path, in_phase_b()), early, "--no-cache")
    assert done.code == 3


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=-5), "0 s"),  # a batch that ends after the clock
        (timedelta(seconds=59), "59 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(seconds=3_661), "1 h 1 min"),
        (timedelta(days=2, minutes=5), "2 d"),
        (timedelta(days=2, hours=3, minutes=5), "2 d 3 h"),
    ],
)
def test_age(span: timedelta, text: str) -> None:
    assert age(span) == text
