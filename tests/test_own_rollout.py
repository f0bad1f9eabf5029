"""The walk through a rollout of one's own keeps its word: its files are sound, its commands print what it shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.own_rollout import PAGE, Shown, commands, files, records, run, write_project

TEXT = PAGE.read_text(encoding="utf-8")
ROOT = PAGE.parent.parent

# File, what stands there, what is mistyped in its place: the faults that the page shows.
MISTAKES = [
    ("policy/policy.yaml", "threshold: {canary: 500, full: 400}", "threshold: {canary: 500}"),
    ("policy/policy.yaml", "batches_in_a_row.sql", "batches_in_row.sql"),
    ("queries/slo/latency_p99.sql", "phase = $phase", "phase = $phse"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The page's project, in a folder of its own."""
    write_project(TEXT, tmp_path)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} in {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_page_gives_a_whole_project() -> None:
    folders = {str(Path(path).parent) for path in files(TEXT)}
    assert folders == {
        "policy", "policy/templates", "queries/slo", "queries/gate", "schemas", "logs/checkout",
        "tests/queries/slo", "tests/queries/gate",
    }  # fmt: skip
    assert [shown.command.split()[0] for shown in commands(TEXT)] == [
        "validate", "test", "check", "check", "advance", "status", "advance",
    ]  # fmt: skip


@pytest.mark.parametrize("shown", commands(TEXT), ids=lambda shown: shown.command)
def test_a_command_prints_what_the_page_shows(shown: Shown, tmp_path: Path) -> None:
    write_project(TEXT, tmp_path, with_ledger=shown.with_ledger)
    assert run(tmp_path, shown.command) == (shown.code, shown.output)


def test_all_faults_are_told_as_the_page_shows(project: Path) -> None:
    for path, old, new in MISTAKES:
        edit(project / path, old, new)
    faults = TEXT.split("<!-- faults -->\n```\n")[1].split("```")[0]
    assert run(project, "validate") == (2, faults.rstrip("\n"))


@pytest.mark.parametrize(("command", "code"), [("validate", 0), ("test", 1)])
def test_a_misspelt_event_in_sql_is_caught_by_the_tests(project: Path, command: str, code: int) -> None:
    edit(project / "queries/slo/latency_p99.sql", "'http.request'", "'http.requests'")
    assert run(project, command)[0] == code


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("check --phase canary", 3),  # the clock is now, and the logs are stale
        ("check --phase canary --format json --as-of 2026-03-01T11:05:00Z", 0),
        ("validate --logs --as-of 2026-03-01T11:20:00Z", 0),
    ],
)
def test_what_the_page_says_of_other_calls(project: Path, command: str, code: int) -> None:
    assert run(project, command)[0] == code


def test_explain_shows_the_rows_that_the_headers_name(project: Path) -> None:
    code, shown = run(project, "explain --phase canary --as-of 2026-03-01T11:20:00Z")
    assert code == 0
    assert "requests by duration_ms desc: 3 of 3" in shown


def test_a_violated_window_stays_in_the_verdict_with_a_ledger_alone(tmp_path: Path) -> None:
    later = tmp_path / "logs/checkout/20260301T111500Z.jsonl"
    check = "check --phase canary --as-of 2026-03-01T11:35:00Z"
    for with_ledger, code in ((False, 0), (True, 1)):
        write_project(TEXT, tmp_path, with_ledger=with_ledger)
        earlier = files(TEXT)["logs/checkout/20260301T104500Z.jsonl"]
        later.write_text(
            earlier.replace("T10:", "T11:").replace(":46:", ":16:").replace(":50:", ":20:").replace(":54:", ":24:")
        )
        assert run(tmp_path, check)[0] == code


def test_the_record_is_what_the_command_writes(project: Path) -> None:
    (command,) = (shown.command for shown in commands(TEXT) if shown.command.startswith("advance --phase off"))
    assert run(project, command)[0] == 0
    assert (project / "ledger/checkout.jsonl").read_text(encoding="utf-8").splitlines() == records(TEXT)


def test_a_phase_with_approvers_waits_for_their_approval(tmp_path: Path) -> None:
    write_project(TEXT, tmp_path, with_ledger=True)
    edit(tmp_path / "policy/policy.yaml", "audience: 5 %, approvers: []", "audience: 5 %, approvers: [SRE]")
    code, shown = run(tmp_path, "check --phase canary --as-of 2026-03-01T11:05:00Z")
    assert (code, shown.splitlines()[0].split()[-1]) == (0, "HOLD")
    assert "SRE" in shown


def test_the_files_can_be_taken_all_at_once(tmp_path: Path) -> None:
    script = TEXT.split("or take them all at once:\n\n```sh\n")[1].split("cd checkout-rollout")[0]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/own-rollout.md").write_text(TEXT, encoding="utf-8")
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True)
    taken = tmp_path / "checkout-rollout"
    found = {str(path.relative_to(taken)): path.read_text("utf-8") for path in taken.rglob("*") if path.is_file()}
    assert found == files(TEXT)
