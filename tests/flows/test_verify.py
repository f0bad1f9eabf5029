"""The verification checklist over real batches, a recorded ledger and a written dashboard; each step can fail."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer.batches import LogFolder
from checker.pipeline import read_past, survey
from checker.policy.model import CrossCheck
from checker.reporter.dashboard.write import write_dashboard
from checker.verify.raw import RawEvent, Reading, read_events
from checker.verify.recompute import agree, quantile, recomputed
from checker.windows import iso, stamp
from tests.batches import FIRST, WINDOW, closed, event, start_of
from tests.commands import Done, phasegate
from tests.rollouts import POLICY, Rollout, governed_of

COUNT = 9
DRIFT = {"current_generation": 18, "index_generation": 11}
Run = Callable[..., Done]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine met windows of phase B, each checked, and the dashboard."""
    rollout = made(tmp_path_factory.mktemp("calm"), ["met"] * COUNT)
    request = rollout.request(closed(COUNT))
    write_dashboard(rollout.root / "reports" / "monitoring", survey(rollout.governed, request, read_past(request)))
    return rollout.root


@pytest.fixture(scope="module")
def violated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight met windows and one that is violated."""
    return made(tmp_path_factory.mktemp("violated"), [*["met"] * (COUNT - 1), "violation"]).root


def made(root: Path, kinds: list[str], extra: dict[int, list[dict[str, Any]]] | None = None) -> Rollout:
    rollout = Rollout(root, "B")
    rollout.enter()
    for kind in kinds:
        rollout.batches(kind, extra=extra)
        rollout.check()
    return rollout


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("verify", root, …)` in a copy of the rollout at `root`, which later calls find again."""

    def command(name: str, root: Path, *arguments: str, at: str = iso(closed(COUNT)), form: str = "json") -> Done:
        place = placed(tmp_path, root)
        where = ["--logs", place / "logs" / "autosave", "--ledger", place / "ledger" / "autosave.jsonl"]
        where += ["--reports", place / "reports"]
        form_ = ["--format", form] if name == "verify" else []
        return phasegate(capsys, name, *where, "--as-of", at, *form_, *arguments)

    return command


def placed(tmp_path: Path, root: Path) -> Path:
    place = tmp_path / root.name
    if not place.exists():
        shutil.copytree(root, place)
    return place


def results(done: Done) -> dict[str, str]:
    return {step["name"]: step["result"] for step in done.document["steps"]}


def step(done: Done, name: str) -> Any:
    return next(step for step in done.document["steps"] if step["name"] == name)


def faults(done: Done, name: str) -> list[str]:
    return [row["text"] for row in step(done, name)["evidence"] if row["is_fault"]]


def test_a_calm_rollout_passes_and_has_nothing_to_trace(calm: Path, run: Run) -> None:
    done = run("verify", calm)
    assert results(done) == {
        "logs": "passed",
        "dry_run": "passed",
        "dashboard": "passed",
        "drift": "passed",
        "notices": "passed",
        "trace": "not applicable",
    }
    assert (done.code, step(done, "trace")["missing"]) == (0, "nothing to trace: the ledger has no incident")
    assert [row["batch"] for row in step(done, "logs")["evidence"]] == [
        f"{stamp(start_of(number))}.jsonl" for number in range(1, COUNT)
    ]
    cards = {row["slo"]: row for row in step(done, "dashboard")["evidence"] if "slo" in row}
    assert cards["save_latency_p95"]["recomputed"] == pytest.approx(0.5)
    assert all(row["agrees"] for row in cards.values())
    assert run("verify", calm).out == done.out


def test_an_incident_is_traced_to_its_runbook(violated: Path, run: Run) -> None:
    lacking = faults(run("verify", violated), "trace")
    assert [row.strip() for row in lacking] == [
        "its delivery: MISSING", "the entry's delivery: MISSING", "Runbook: MISSING",
    ]  # fmt: skip
    assert run("report", violated).code == 0
    done = run("verify", violated)
    assert (done.code, set(results(done).values())) == (0, {"passed"})
    assert step(done, "dry_run")["evidence"][0]["rollback_required"] is True
    links = [row["link"] for row in step(done, "trace")["evidence"] if "link" in row]
    assert len(links) == 8
    assert "rollback, or its proposal" in links


def test_a_runbook_that_is_gone_breaks_the_trace(violated: Path, run: Run, tmp_path: Path) -> None:
    run("report", violated)
    next((tmp_path / violated.name / "reports").rglob("runbook.md")).unlink()
    done = run("verify", violated)
    assert (done.code, [row.strip() for row in faults(done, "trace")]) == (1, ["Runbook: MISSING"])


def test_a_rollback_decision_without_an_incident_is_named(tmp_path: Path, calm: Path, run: Run) -> None:
    from checker.ledger.append import Draft

    rollout = Rollout(placed(tmp_path, calm), "B")
    digests = dict.fromkeys(("judging_digest", "governed_digest", "inputs_digest"), "0" * 64)
    data = {"outcome": "violation", "decision": "rollback", "rollback_required": True, "violations": ["failure_rate"]}
    data |= digests | {"window_end": iso(start_of(COUNT)), "incident": None}
    rollout.record([Draft("decision", "B", data, window_start=start_of(COUNT - 1))], closed(COUNT))
    (told,) = faults(run("verify", calm), "trace")
    assert told.endswith("rolls back, and no incident was opened with it")


def with_card(name: str, value: float | None) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        next(card for card in document["cards"] if card["slo"] == name)["value"] = value

    return change


@pytest.mark.parametrize(
    ("value", "agrees"),
    [(0.5, True), (0.525, True), (0.5251, False), (0.475, True), (0.4749, False), (None, False)],
)
def test_a_card_may_be_five_percent_from_the_logs(
    calm: Path, run: Run, tmp_path: Path, value: float | None, agrees: bool
) -> None:
    rewrite(placed(tmp_path, calm), with_card("save_latency_p95", value))
    done = run("verify", calm)
    assert (done.code, faults(done, "dashboard") == []) == (0 if agrees else 1, agrees)


def rewrite(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = root / "reports" / "monitoring" / "dashboard.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda document: document.update(judged_by="A"), "judged by phase A, not by B"),
        (lambda document: document.update(target="other"), "it is of other, not of autosave"),
        (lambda document: document.update(as_of=iso(closed(COUNT) - timedelta(minutes=21))), "it is 21 min old"),
        (lambda document: document.update(as_of=iso(closed(COUNT) + WINDOW)), "later than the clock"),
        (lambda document: document["cards"].pop(0), "save_latency_p95: the dashboard has no card of it"),
        (lambda document: document.pop("cards"), "is not as its schema says"),
    ],
    ids=["phase", "target", "old", "future", "no-card", "no-cards"],
)
def test_a_dashboard_that_is_not_of_now(
    calm: Path, run: Run, tmp_path: Path, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    rewrite(placed(tmp_path, calm), change)
    done = run("verify", calm)
    assert done.code == 1
    assert any(told in row for row in faults(done, "dashboard"))


@pytest.mark.parametrize("content", [None, b"{", b"[" * 100_000, b"null"])
def test_a_dashboard_that_cannot_be_read(calm: Path, run: Run, tmp_path: Path, content: bytes | None) -> None:
    path = placed(tmp_path, calm) / "reports" / "monitoring" / "dashboard.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    done = run("verify", calm)
    assert (done.code, results(done)["dashboard"]) == (1, "failed")
    assert faults(done, "dashboard")[0].endswith("write it with `phasegate dashboard`")


def test_batches_that_are_missing_broken_or_not_sealed(calm: Path, run: Run, tmp_path: Path) -> None:
    logs = placed(tmp_path, calm) / "logs" / "autosave"
    gone, torn, unsealed = (logs / f"{stamp(start_of(number))}.jsonl" for number in (2, 3, 4))
    gone.unlink()
    (logs / f"{torn.name}.gz").write_bytes(gzip.compress(torn.read_bytes())[:-9])
    torn.unlink()
    unsealed.write_bytes(unsealed.read_bytes().splitlines(keepends=True)[0])
    told = faults(run("verify", calm), "logs")
    assert [row[:16] for row in told] == [stamp(start_of(number)) for number in (2, 3, 4)]
    assert "no batch" in told[0]
    assert "cannot be read" in told[1]
    assert "not sealed" in told[2]


def test_each_drift_stands_beside_what_the_collector_of_garbage_keeps(tmp_path: Path, run: Run) -> None:
    minute = timedelta(minutes=1)
    extra = {
        0: [event("autosave.history.gc", FIRST + minute, "B", max_generations=9, removed=0)],
        5: [event("autosave.history.drift", start_of(5) + minute, "B", **DRIFT)],
        6: [
            event("autosave.history.gc", start_of(6) + minute, "B", max_generations=5, removed=1),
            event("autosave.history.drift", start_of(6) + 2 * minute, "B", **DRIFT),
            event("autosave.history.drift", start_of(6) + 2 * minute, "A", **DRIFT),
        ],
    }
    rollout = made(tmp_path / "drifted", ["met"] * COUNT, extra)
    done = run("verify", rollout.root)
    rows = [row for row in step(done, "drift")["evidence"] if "within" in row]
    assert faults(done, "drift") == ["history_drift: 2 autosave.history.drift events in 8 windows"]
    assert [(row["apart"], row["limit"], row["within"]) for row in rows] == [(7.0, 9.0, True), (7.0, 5.0, False)]


def test_without_logs_there_is_nothing_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    where = ["--logs", tmp_path / "logs", "--no-ledger", "--reports", tmp_path, "--phase", "B"]
    done = phasegate(capsys, "verify", *where, "--as-of", "2026-01-01T03:00:00Z", "--format", "json")
    assert done.code == 3
    assert results(done) | {"notices": ""} == {
        **dict.fromkeys(("logs", "dry_run", "dashboard", "drift", "trace"), "not applicable"), "notices": "",
    }  # fmt: skip


def test_slos_without_a_cross_check_are_never_counted_as_agreed(calm: Path, tmp_path: Path, run: Run) -> None:
    place = placed(tmp_path, calm)
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(POLICY.parent.parent / folder, place / folder)
    path = place / "policy" / "policy.yaml"
    text = path.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith(("    cross_check: ",))]
    path.write_text("".join(kept), encoding="utf-8")
    done = run("verify", calm, "--policy", str(path))
    told = [row["text"] for row in step(done, "dashboard")["evidence"] if "not cross-checked" in row["text"]]
    assert [row.split(":")[0] for row in told] == ["save_latency_p95", "history_drift", "collector_latency"]
    assert [row["slo"] for row in step(done, "dashboard")["evidence"] if row.get("agrees")] == ["failure_rate"]
    start = text.index("    cross_check:\n")
    none = "".join(kept).replace(text[start : text.index("  history_drift:")], "")
    path.write_text(none, encoding="utf-8")
    done = run("verify", calm, "--policy", str(path))
    assert (done.code, results(done)["dashboard"]) == (3, "not applicable")


def test_for_people_it_fits_80_columns_and_holds_no_control_character(violated: Path, run: Run, tmp_path: Path) -> None:
    def hostile(document: dict[str, Any]) -> None:
        document["target"] = "\x1b[31m::error::\u202e"

    run("report", violated)
    rewrite(placed(tmp_path, violated), hostile)
    done = run("verify", violated, form="table")
    assert max(map(len, done.out.splitlines())) <= 80
    assert done.code == 1
    assert not {"\x1b", "\u202e"} & set(done.out)
    assert "\\x1b[31m" in done.out
    assert done.out.rstrip().endswith("6 steps: 5 passed, 1 failed")


def test_since_bounds_the_time(calm: Path, run: Run) -> None:
    done = run("verify", calm, "--since", iso(start_of(COUNT - 2)))
    assert len(step(done, "logs")["evidence"]) == 2
    assert run("verify", calm, "--since", iso(closed(COUNT))).code == 2


NEWEST = start_of(COUNT - 1)
END = start_of(COUNT)
MINUTE = timedelta(minutes=1)


def line(at: datetime, duration_ms: float, request_id: str, **fields: Any) -> str:
    save = event("autosave.save.completed", at, "B", duration_ms=duration_ms, request_id=request_id, **fields)
    return json.dumps(save)


# in the newest window's batch and in the one before it: what does not count would be far from what does
ODD_LINES = [
    *(line(NEWEST + MINUTE, 400 + number, f"s-{number}") for number in range(40)),
    line(NEWEST + 2 * MINUTE, 9000, "s-1"),  # a later copy
    line(NEWEST + MINUTE, 9000, "s-2", zz="greater bytes"),  # a copy of the same time
    line(NEWEST + MINUTE, 90_000, "not valid", schema_version=2),  # not as the schema says
    '{"schema_version": 1, "duration_ms": 9000',
    '{"event": "autosave.save.completed", "event": "autosave.save.completed"}',
    line(END + 6 * MINUTE, 9000, "future"),
    line(NEWEST - timedelta(days=2), 9000, "too-late"),
    line(NEWEST - MINUTE, 9000, "of the window before"),
    json.dumps(event("autosave.save.error", NEWEST + MINUTE, "B", code="E1", retryable=True, request_id="e-1")),
    json.dumps(event("autosave.save.error", NEWEST + MINUTE, "A", code="E1", retryable=True, request_id="e-2")),
]
EARLY_LINES = [
    line(NEWEST + MINUTE / 2, 450, "s-4"),
    line(NEWEST + 3 * MINUTE, 9000, "s-5"),
    line(NEWEST + 6 * MINUTE, 90_000, "from the future of its batch"),
]


def test_other_code_comes_to_the_values_of_the_check_over_odd_lines(calm: Path, run: Run, tmp_path: Path) -> None:
    logs = placed(tmp_path, calm) / "logs" / "autosave"
    for start, lines in ((NEWEST, ODD_LINES), (NEWEST - WINDOW, EARLY_LINES)):
        path = logs / f"{stamp(start)}.jsonl"
        path.write_text("".join(f"{text}\n" for text in lines) + path.read_text(encoding="utf-8"), encoding="utf-8")
    run("report", calm)
    done = run("verify", calm)
    cards = [row for row in step(done, "dashboard")["evidence"] if "agrees" in row]
    assert {row["slo"]: row["recomputed"] for row in cards} == {
        row["slo"]: pytest.approx(row["card"], rel=1e-12) for row in cards
    }
    assert len(cards) == 4
    assert 0.43 < cards[0]["card"] < 0.5
    assert faults(done, "logs") == []


@pytest.mark.parametrize(("max_late", "read"), [(29, 0), (30, 1)])
def test_a_line_that_is_too_late_counts_for_no_window(tmp_path: Path, max_late: int, read: int) -> None:
    path = tmp_path / f"{stamp(start_of(1))}.jsonl"
    path.write_text(f"{line(FIRST, 9000, 'late')}\n", encoding="utf-8")
    schema = governed_of(POLICY).rules.schema
    reading = Reading(WINDOW, 5 * MINUTE, max_late * MINUTE, schema.document, schema.dedup_key, closed(9))
    assert len(read_events(LogFolder(tmp_path), reading, FIRST, FIRST, ["duration_ms"])) == read


def raw(kind: str, window: int = 0, phase: str = "B", **fields: Any) -> RawEvent:
    return RawEvent(start_of(window), start_of(window), kind, phase, fields)


SAVES = [*(raw("saved", ms=value) for value in (40, 10, 30, 20)), raw("failed"), raw("saved", phase="A", ms=9000)]


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (CrossCheck("quantile", frozenset(["saved"]), "ms", level=0.5), 25.0),
        (CrossCheck("quantile", frozenset(["saved"]), "ms", level=0.95), 38.5),
        (CrossCheck("largest", frozenset(["saved"]), "ms", scale=0.001), 0.04),
        (CrossCheck("smallest", frozenset(["saved"]), "ms"), 10.0),
        (CrossCheck("mean", frozenset(["saved"]), "ms"), 25.0),
        (CrossCheck("share", frozenset(["failed"]), among=frozenset(["saved", "failed"]), scale=100), 20.0),
        (CrossCheck("count_per_window", frozenset(["saved"])), 4.0),
        (CrossCheck("count_per_window", frozenset(["failed"]), over=WINDOW * 2), 0.5),
        (CrossCheck("largest", frozenset(["nothing"]), "ms"), None),
        (CrossCheck("share", frozenset(["none"]), among=frozenset(["none"])), None),
    ],
)  # fmt: skip
def test_each_way_to_recompute(check: CrossCheck, expected: float | None) -> None:
    found = recomputed(check, SAVES, "B", FIRST, WINDOW, [FIRST, FIRST - WINDOW])
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("card", "logs", "expected"),
    [(None, None, True), (0.0, 0.0, True), (0.0001, 0.0, False), (0.0, None, False), (-1.0, -1.04, True)],
)
def test_when_two_values_agree(card: float | None, logs: float | None, expected: bool) -> None:
    assert agree(card, logs, 0.05) is expected


def test_a_quantile_of_one_value_is_that_value() -> None:
    assert quantile([7.0], 0.95) == 7.0
