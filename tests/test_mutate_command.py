"""`phasegate test --mutate`: a weak fixture's survivors are told, each with the fixture to add; and the exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from checker.analyzer.governed import load_governed
from checker.cli.app import cli
from checker.engines.local import local_mapper
from checker.errors import PhasegateError
from checker.querytest import mutation
from checker.querytest.model import Suite
from checker.querytest.mutants import Fate
from checker.querytest.suite import read_suite

ROOT = Path(__file__).resolve().parent.parent
QUERY = "queries/slo/collector_latency.sql"
SEAL = "event: collector.latency, batch_start: '{window}', accepted: 0, duplicates: 0, quarantined: 0"
DEFAULTS = f"defaults: {{schema_version: 1, {SEAL}, errors_retryable: 0, errors_fatal: 0}}\ncases:\n"
WEAK = """
  - {name: a seal, phase: B, events: [{latency_ms: 41000}], expect: [{value: 41, samples: 1, status: ok}]}
"""
EDGES = """
  - name: exactly at the threshold
    phase: B
    events: [{latency_ms: =limit*1000}]
    expect: [{status: warn}]
  - name: just past it
    phase: B
    events: [{latency_ms: =limit*1000+1}]
    expect: [{status: violation, decision: rollback}]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The AutoSave project with a weak test of one query, and no other."""
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return fixture(tmp_path, WEAK)


def fixture(root: Path, cases: str, query: str = "slo/collector_latency", defaults: str = DEFAULTS) -> Path:
    path = root / "tests" / "queries" / f"{query}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(defaults + cases, encoding="utf-8")
    return root


def run(root: Path, *args: str) -> tuple[int, str]:
    ordered = ["test", "--policy", str(root / "policy" / "policy.yaml"), "--mutate", *args]
    result = CliRunner().invoke(cli, ordered)
    if isinstance(result.exception, PhasegateError):
        return result.exception.exit_code, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def document(root: Path, *args: str) -> Any:
    return json.loads(run(root, "collector_latency", "--format", "json", *args)[1])


def survivors(root: Path) -> set[tuple[str, str]]:
    return {(row["what"], row["nudge"]) for row in document(root)["mutants"] if row["fate"] == "survived"}


IN_SQL = {
    ("event = 'collector.latency' and phase = $phase", "and -> or"),
    ("event = 'collector.latency'", "dropped"),
    ("phase = $phase", "dropped"),
    ("max(seals.latency_ms)", "max -> min"),
    ("count(seals.latency_ms)", "count -> count(distinct)"),
    ("count(seals.latency_ms)", "count -> count(*)"),
    ("left join seals using (window_start)", "left join -> inner join"),
}
SLO = "slos.collector_latency"
AT_B = {(f"{SLO}.threshold.B", "120 -> 119"), (f"{SLO}.threshold.B", "120 -> 121")}
ROLLBACK = {(f"{SLO}.on_violation", "rollback -> hold"), (f"{SLO}.on_violation", "rollback -> observe")}
ELSEWHERE = {
    *((f"{SLO}.threshold.A", f"180 -> {other}") for other in (179, 181)),
    *((f"{SLO}.threshold.C", f"120 -> {other}") for other in (119, 121)),
    (f"{SLO}.on_no_data", "hold -> violation"),
}
WARNING = {(f"{SLO}.warn_at", "0.8 -> 0.7"), (f"{SLO}.warn_at", "0.8 -> 0.9")}


def test_what_a_weak_fixture_does_not_notice(root: Path) -> None:
    assert survivors(root) == IN_SQL | AT_B | ROLLBACK | ELSEWHERE | WARNING


def test_the_edges_notice_a_threshold_although_their_terms_name_it(root: Path) -> None:
    fixture(root, WEAK + EDGES)
    assert survivors(root) == IN_SQL | ELSEWHERE | WARNING


def test_a_row_without_a_decision_says_nothing_of_the_rollback(root: Path) -> None:
    fixture(root, WEAK + EDGES.replace(", decision: rollback", ""))
    assert survivors(root) == IN_SQL | ELSEWHERE | WARNING | ROLLBACK


def test_a_wrong_decision_fails(root: Path) -> None:
    fixture(root, WEAK + EDGES.replace("decision: rollback", "decision: hold"))
    code, out = run(root, "collector_latency")
    assert code == 1
    assert "decision: expected hold, found rollback" in out
    assert "mutants" not in out


def test_a_survivor_is_told_with_its_place_and_the_fixture_to_add(root: Path) -> None:
    code, out = run(root, "collector_latency")
    assert code == 1
    line = next(number for number, text in enumerate((root / QUERY).read_text().splitlines(), 1) if "max(" in text)
    said = " ".join(out.split())
    assert f" {QUERY}:{line}: max(seals.latency_ms): max -> min; no fixture noticed " in said
    advice = "add to tests/queries/slo/collector_latency.yaml a case that has rows for which max and min differ"
    assert f" {advice}: max(seals.latency_ms) " in said
    policy = (root / "policy/policy.yaml").read_text().splitlines()
    line = next(number for number, text in enumerate(policy, 1) if "A: 180" in text)
    assert f" policy/policy.yaml:{line}: {SLO}.threshold.A: 180 -> 179; no fixture noticed " in said
    assert out.endswith("27 mutants: 9 caught, 18 survived; 33.3 % caught (at least 90 %)\n")


@pytest.mark.parametrize(("at_least", "code"), [("33.3", 0), ("33.4", 1)])
def test_the_share_decides(root: Path, at_least: str, code: int) -> None:
    assert run(root, "collector_latency", "--at-least", at_least)[0] == code


def test_the_document_is_the_same_on_one_thread_and_on_two(root: Path) -> None:
    one, two = (run(root, "collector_latency", "--format", "json", "--threads", count) for count in "12")
    assert one == two
    found = json.loads(one[1])
    assert (found["caught"], found["survived"], found["refused"], found["reached"]) == (9, 18, 0, False)
    assert [row["fate"] for row in found["mutants"]].count("survived") == 18
    caught = next(row for row in found["mutants"] if row["nudge"] == "1000 -> 999")
    assert caught["case"]["name"] == "a seal"
    assert caught["case"]["message"].startswith("window 0: value: expected 41, found 41.04")


def test_nothing_to_mutate_is_not_passed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation, "sql_mutants", lambda *_: [])
    monkeypatch.setattr(mutation, "policy_mutants", lambda *_: [])
    assert run(root, "collector_latency", "--at-least", "0") == (
        3,
        "there is nothing to nudge: 0 mutants, none of which could be run",
    )


def test_without_tests_nothing_is_mutated(root: Path) -> None:
    code, out = run(root, "failure_rate")
    assert code == 3
    assert "nothing was tested" in out


def test_a_query_without_tests_has_survivors_alone(root: Path) -> None:
    loaded = load_governed(root / "policy" / "policy.yaml")
    untested = Suite((), ("gate/consecutive_batches.sql",))
    found = mutation.run_mutants(loaded, untested, local_mapper(1))
    assert found.outcomes
    assert {outcome.fate for outcome in found.outcomes} == {Fate.SURVIVED}
    assert not found.reaches(1)


def test_a_mutant_that_never_runs_is_refused_and_in_no_share(root: Path) -> None:
    query = root / "queries/slo/collector_latency.sql"
    text = query.read_text().replace("/ 1000 as value", "/ cast('1000' || '' as integer) as value")
    query.write_text(text)
    report = document(root)
    refused = [row for row in report["mutants"] if row["fate"] == "refused"]
    assert {(row["nudge"], row["what"]) for row in refused} == {("'1000' -> '1000~'", "'1000'"), ("'' -> '~'", "''")}
    assert report["refused"] == 2
    assert report["share"] == pytest.approx(100 * report["caught"] / (report["caught"] + report["survived"]))


def test_a_gate_is_asked_by_the_numbers_of_the_mutant(root: Path) -> None:
    loose = "  - {name: one, phase: A, history: [3 met], expect: {passed: false, criteria: []}}\n"
    fixture(root, loose, "gate/consecutive_batches", "cases:\n")
    code, out = run(root, "consecutive_batches")
    assert (code, "nothing was nudged" in out or "FAILED" in out) == (1, True)
    criterion = "{criterion: consecutive_batches, observed: 3, required: =batches, passed: false}"
    fixture(root, loose.replace("[]", f"[{criterion}]"), "gate/consecutive_batches", "cases:\n")
    loaded = load_governed(root / "policy" / "policy.yaml")
    found = mutation.run_mutants(loaded, read_suite(loaded, ["consecutive_batches"]), local_mapper(1))
    fates = {(row.mutant.place.what, row.mutant.told): row.fate for row in found.outcomes}
    assert fates["gates.A.parameters.batches", "8 -> 7"] is Fate.CAUGHT
    assert fates["bool_and(judgements.status in ('ok', 'warn'))", "bool_and -> bool_or"] is Fate.SURVIVED


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ("1 warn of failure_rate and error of history_drift", None),
        ("1 warn of failure_rate and error of failure_rate", "with 'and' each status is of another SLO"),
        ("1 warn and error of history_drift", "with 'and' each status is of another SLO"),
        ("1 warn of failure_rate and met of history_drift", "'met of history_drift' is not possible"),
        ("1 unjudged of failure_rate", "'unjudged of failure_rate' is not possible"),
    ],
)
def test_a_window_of_several_statuses(root: Path, history: str, message: str | None) -> None:
    criterion = "{criterion: consecutive_batches, observed: 0, required: 8, passed: false}"
    case = f"  - {{name: one, phase: A, history: [{history}], expect: {{passed: false, criteria: [{criterion}]}}}}\n"
    fixture(root, case, "gate/consecutive_batches", "cases:\n")
    ordered = ["test", "--policy", str(root / "policy" / "policy.yaml"), "consecutive_batches"]
    result = CliRunner().invoke(cli, ordered)
    assert (result.exit_code == 0) is (message is None)
    assert (message or "") in str(result.exception)


def test_at_least_goes_with_mutate_alone(root: Path) -> None:
    ordered = ["test", "--policy", str(root / "policy" / "policy.yaml"), "--at-least", "5"]
    found = CliRunner().invoke(cli, ordered).exception
    assert isinstance(found, PhasegateError)
    assert found.exit_code == 2


def test_at_least_is_a_number(root: Path) -> None:
    assert run(root, "--at-least", "nan") == (2, "--at-least nan: expected a number from 0 to 100")


def test_the_table_fits_a_terminal_of_80_columns(root: Path) -> None:
    lines = run(root, "collector_latency")[1].splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("    ") for line in lines)
