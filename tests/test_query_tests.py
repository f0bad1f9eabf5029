"""`phasegate test`: that a wrong expectation fails, that a faulty file is told at its place, and the exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from checker.analyzer.governed import Governed, load_governed
from checker.cli.app import cli
from checker.engines.local import local_mapper
from checker.errors import PhasegateError
from checker.model import Status
from checker.querytest.model import Report
from checker.querytest.suite import QueryTestsInvalid, read_suite, run_suite

ROOT = Path(__file__).resolve().parent.parent
QUERY = "save_latency_p95"
SHOWN = f"tests/queries/slo/{QUERY}.yaml"
DEFAULTS = "defaults: {schema_version: 1, event: autosave.save.completed, request_id: 'save-{n}'}\n"
CASE = "  - name: one\n    phase: B\n    events: [{repeat: 4, duration_ms: 500}]\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The AutoSave project without its tests."""
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def write(root: Path, text: str, name: str = f"slo/{QUERY}") -> Path:
    path = root / "tests" / "queries" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def governed(root: Path) -> Governed:
    return load_governed(root / "policy" / "policy.yaml")


def report(root: Path, text: str, query: str = QUERY, kind: str = "slo") -> Report:
    write(root, text, f"{kind}/{query}")
    loaded = governed(root)
    return run_suite(loaded, read_suite(loaded, [query]), local_mapper(1))


def failures(root: Path, text: str, query: str = QUERY, kind: str = "slo") -> list[tuple[int, str]]:
    return [(fail.line, fail.message) for result in report(root, text, query, kind).results for fail in result.failures]


def problems(root: Path, text: str, query: str = QUERY, kind: str = "slo") -> list[str]:
    write(root, text, f"{kind}/{query}")
    with pytest.raises(QueryTestsInvalid) as caught:
        read_suite(governed(root), [query])
    assert caught.value.exit_code == 2
    return [str(problem) for problem in caught.value.problems]


def run(root: Path, *args: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["test", "--policy", str(root / "policy" / "policy.yaml"), *args])
    if isinstance(result.exception, PhasegateError):
        return result.exception.exit_code, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def test_the_shipped_tests_pass_and_leave_no_query_out() -> None:
    loaded = load_governed(ROOT / "policy" / "policy.yaml")
    suite = read_suite(loaded)
    assert suite.untested == ()
    found = run_suite(loaded, suite, local_mapper(2))
    assert [(result.case.name, result.failures) for result in found.failed] == []
    assert {result.case.query for result in found.results} == set(loaded.queries)


def test_the_shipped_slo_tests_cover_every_edge() -> None:
    loaded = load_governed(ROOT / "policy" / "policy.yaml")
    seen: dict[str, set[Status]] = {}
    broken = set()
    for case in read_suite(loaded).cases:
        for row in getattr(case, "rows", ()):
            seen.setdefault(case.name.query, set()).add(row.status)
            if row.quarantined:
                broken.add(case.name.query)
    for slo in loaded.policy.slos.values():
        expected = {Status.OK, Status.VIOLATION, Status.NO_DATA}
        if any(threshold.warn_limit is not None for threshold in slo.thresholds.values()):
            expected.add(Status.WARN)
        assert expected <= seen[slo.query]
        assert slo.query in broken


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ("{value: 0.5, samples: 4, status: ok}", None),
        ("{status: ok}", None),
        ("{value: 0.50001, samples: 4, status: ok}", "window 0: value: expected 0.50001, found 0.5"),
        ("{value: null, status: ok}", "window 0: value: expected no value, found 0.5"),
        ("{value: 0.5, samples: 5, status: ok}", "window 0: samples: expected 5, found 4"),
        ("{value: 0.5, samples: 4, status: warn}", "window 0: status: expected warn, found ok"),
        ("{status: ok, quarantined: 1}", "window 0: quarantined: expected 1, found 0"),
        ("{window: +15m, status: ok}", "window +15m: status: expected ok, found no_data (0 samples, 1 needed)"),
    ],
)
def test_an_slo_case_can_fail(root: Path, expect: str, message: str | None) -> None:
    text = f"{DEFAULTS}cases:\n{CASE}    expect:\n      - {expect}\n"
    assert failures(root, text) == ([] if message is None else [(7, message)])


def test_a_misspelt_event_cannot_pass_for_none(root: Path) -> None:
    text = f"{DEFAULTS}cases:\n{CASE.replace('repeat: 4', 'at: -15m')}    expect: [{{status: no_data}}]\n".replace(
        "500", "-5"
    )
    assert failures(root, text) == [(3, "window 2025-12-31T23:45:00Z: 1 quarantined (1 invalid_value)")]


@pytest.mark.parametrize(
    ("expect", "messages"),
    [
        ("{criterion: consecutive_batches, observed: 3, required: =batches, passed: false}", []),
        (
            "{criterion: consecutive_batches, observed: 4, required: 9, passed: true}",
            [
                "criterion consecutive_batches: observed: expected 4, found 3",
                "criterion consecutive_batches: required: expected 9, found 8",
                "criterion consecutive_batches: expected passed, found not passed",
            ],
        ),
        (
            "{criterion: other, observed: 3, required: 8, passed: false}",
            ["criterion other: expected it here, found consecutive_batches"],
        ),
        (
            "{criterion: consecutive_batches, observed: 3, required: 8, passed: false, since: -30m}",
            ["criterion consecutive_batches: since: expected 2025-12-31T23:30:00Z, found 2025-12-31T23:15:00Z"],
        ),
        (
            "{criterion: consecutive_batches, observed: 3, required: 8, passed: false, reason: none}",
            ["criterion consecutive_batches: reason: expected 'none', found nothing"],
        ),
        ("", ["criterion consecutive_batches: the gate returned it, the case does not expect it"]),
    ],
)
def test_a_gate_case_can_fail(root: Path, expect: str, messages: list[str]) -> None:
    text = (
        "cases:\n  - name: one\n    phase: A\n    history: [3 met]\n    expect:\n      passed: false\n"
        f"      criteria: [{expect}]\n"
    )
    assert [message for _, message in failures(root, text, "consecutive_batches", "gate")] == messages


def test_every_fault_of_a_file_is_told_at_its_place(root: Path) -> None:
    text = f"""{DEFAULTS}cases:
  - name: one
    phase: D
    expect: [{{status: ok}}]
  - name: two
    phase: B
    events:
      - {{duration_ms: =limt*1000, at: +7m}}
      - {{duration_ms: {{every: 3}}}}
      - {{repeat: 0.5, duration_ms: 1}}
      - {{duration_ms: {{each: [1, 2]}}, retry_count: {{each: [1, 2, 3]}}}}
    expect:
      - {{window: +7m, status: ok}}
  - name: two
    phase: B
    from: -20m
    missing: [0]
    events: [{{duration_ms: 5}}]
    expect: [{{status: no_data}}]
"""
    assert [line.split(":", 1)[1] for line in problems(root, text)] == [
        "4:12: cases[0].phase: no phase 'D' (phases: A, B, C)",
        "9:23: cases[1].events[0].duration_ms: no number 'limt'; did you mean 'limit'? (there are: limit, warn)",
        "10:23: cases[1].events[1].duration_ms: expected a value, {each: [1, 2]} or {spread: [1, 9]}, found a mapping",
        "11:18: cases[1].events[2].repeat: 0.5 comes to 0.5; expected a whole number, 0 or more",
        "12:9: cases[1].events[3]: its lists have 2 and 3 values; give each as many",
        "14:18: cases[1].expect[0].window: no window starts at 2026-01-01T00:07:00Z; a window is 0:15:00 long",
        "15:11: cases[2].name: two cases are called 'two'; a name tells one case",
        "17:11: cases[2].from: no window starts at 2025-12-31T23:40:00Z; a window is 0:15:00 long",
        "19:14: cases[2].events[0]: its window has no batch; say in which one it came, as in batch: +15m",
    ]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ("3 mett", "no status 'mett'; did you mean 'met'?"),
        ("met", "expected '95 met', '=lookback-1 met' or '1 violation of <SLO>', found 'met'"),
        ("1 violation of latency", "'violation of latency' is not possible"),
        ("1 met of failure_rate", "'met of failure_rate' is not possible"),
        ("=hours met", "no number 'hours' (there are: batches, lookback)"),
        ("0 met", "has 0 windows; expected 1 to 10000"),
        ("999999 met", "has 999999 windows"),
    ],
)
def test_a_faulty_history(root: Path, history: str, message: str) -> None:
    expect = "{passed: false, criteria: []}"
    text = f"cases:\n  - name: one\n    phase: A\n    history: ['{history}']\n    expect: {expect}\n"
    assert message in " ".join(problems(root, text, "consecutive_batches", "gate"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cases: []\n", f"{SHOWN}:1:8: cases: expected at least 1 in the list, found an empty list"),
        ("cases:\n  - nam: x\n", "unknown key 'nam'; did you mean 'name'?"),
        ("cases:\n  - {name: x, phase: B, expect: [{status: fine}]}\n", "expected one of ok, warn, violation"),
        ("cases:\n  - {name: x, phase: B, expect: [{window: soon, status: ok}]}\n", "expected 0, +15m, -45m"),
        ("cases: [\n", "is no YAML"),
        ("cases: yes\n", "write true"),
    ],
)
def test_a_file_that_does_not_follow_the_schema(root: Path, text: str, message: str) -> None:
    assert message in " ".join(problems(root, text))


PASSES = f"{DEFAULTS}cases:\n{CASE}    expect: [{{status: ok}}]\n"


@pytest.mark.parametrize(
    ("text", "args", "code", "said"),
    [
        (PASSES, [QUERY], 0, "1 passed"),
        (PASSES, [f"slo/{QUERY}"], 0, "1 passed"),
        (PASSES, [], 1, "6 queries have no tests"),
        (PASSES, ["--allow-untested"], 0, "NOT TESTED"),
        (PASSES.replace("status: ok", "status: warn"), [QUERY], 1, f"{SHOWN}:6: window 0: status: expected warn"),
        (PASSES, ["failure_rate"], 3, "nothing was tested"),
        (PASSES, ["failure_rates"], 2, "did you mean 'failure_rate'?"),
        ("cases: 1\n", [QUERY], 2, "1 problem in the query tests; nothing was tested"),
        (None, [], 3, "nothing was tested"),
        (None, ["--allow-untested"], 3, "nothing was tested"),
    ],
)
def test_exit_codes(root: Path, text: str | None, args: list[str], code: int, said: str) -> None:
    if text is not None:
        write(root, text)
    found, output = run(root, *args)
    assert (found, said in output) == (code, True), output


def test_a_file_of_no_query_is_a_fault(root: Path) -> None:
    write(root, PASSES)
    write(root, PASSES, "slo/save_latency_p59")
    code, output = run(root)
    assert code == 2
    assert "tests/queries/slo/save_latency_p59.yaml: tests no query that the policy uses" in output


def test_the_document(root: Path) -> None:
    write(root, PASSES.replace("status: ok", "status: warn"))
    _, output = run(root, "--format", "json")
    document = json.loads(output)
    assert (document["passed"], document["failed"], len(document["untested"])) == (0, 1, 6)
    assert document["cases"] == [
        {
            "query": f"slo/{QUERY}.sql",
            "name": "one",
            "phase": "B",
            "file": SHOWN,
            "line": 3,
            "passed": False,
            "failures": [{"line": 6, "message": "window 0: status: expected warn, found ok"}],
        }
    ]


def test_the_documented_example_runs(root: Path) -> None:
    blocks = (ROOT / "docs" / "query-tests.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
    slo, gate = (block.split("```")[0] for block in blocks)
    assert failures(root, slo) == []
    assert failures(root, gate, "continuous_compliance", "gate") == []
