"""What a policy may say for `verify`: each fault of a cross-check, a companion or the span at its place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from policies.project import edited, make_project, problems_of

from checker.analyzer.governed import load_governed, read_parts
from checker.policy.model import CrossCheck, Verification
from tests.flows.test_record import changed_policy
from tests.rollouts import POLICY, governed_of

PLACE = "    unit: s\n"
CHECK = f"{PLACE}    cross_check: {{%s}}\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("how: largest, events: [x], field: ms", None),
        ("how: count_per_window, events: [x], over: 1h, scale: 2", None),
        ("how: largest, events: [x]", "cross_check: 'field' is missing; largest needs events, field"),
        ("how: quantile, events: [x], field: ms", "'level' is missing; quantile needs events, field, level"),
        ("how: mean, events: [x], field: ms, level: 0.5", "cross_check.level: mean has no use for it; remove it"),
        ("how: share, events: [x], among: [z]", "cross_check.events[0]: 'x' is not in 'among'"),
        ("how: count_per_window, events: [x], over: 20m", "over: is not a whole number of windows of 15m"),
        ("how: count_per_window, events: [x], over: 999d", "over: is not a whole number of windows of 15m"),
        ("how: median, events: [x], field: ms", "cross_check.how: expected one of quantile"),
        ("how: quantile, events: [x], field: ms, level: 1", "cross_check.level: expected less than 1"),
        ("how: largest, events: [], field: ms", "cross_check.events: expected at least 1 in the list"),
        ("how: largest, events: [x], field: 'a b'", "cross_check.field: expected a field of an event"),
        ("how: largest, events: [x], field: ms, wehn: 1", "cross_check.wehn: unknown key"),
        ("events: [x]", "cross_check: 'how' is missing"),
    ],
)
def test_a_cross_check_is_told_at_its_place(tmp_path: Path, said: str, told: str | None) -> None:
    path = make_project(tmp_path)
    path.write_text(edited(PLACE, CHECK % said), encoding="utf-8")
    problems = problems_of(path)
    if told is None:
        assert problems == []
        return
    (problem,) = problems
    assert problem.startswith("policy/policy.yaml:")
    assert told in problem


def test_a_span_holds_a_window_at_least(tmp_path: Path) -> None:
    path = make_project(tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\nverification: {{span: 10m}}\n", encoding="utf-8")
    (problem,) = problems_of(path)
    assert problem.endswith("verification.span: is shorter than one window (15m)")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("field: latency_ms", "field: latency", "'latency' is not in schemas/event.schema.json; did you mean"),
        ("field: latency_ms", "field: code", "collector_latency.cross_check.field: 'code' holds no number"),
        ("[current_generation, index", "[generation, index", "companion.between: 'generation' is not in schemas"),
        ("field: max_generations", "field: severity", "companion.within.field: 'severity' holds no number"),
    ],
)
def test_fields_are_held_against_the_event_schema(tmp_path: Path, old: str, new: str, told: str) -> None:
    problems = read_parts(changed_policy(tmp_path, old, new)).problems
    assert len(problems) == 1
    assert told in str(problems[0])


def test_what_verify_looks_at_changes_no_verdict(tmp_path: Path) -> None:
    changed = load_governed(changed_policy(tmp_path, "level: 0.95", "level: 0.5"))
    known = governed_of()
    assert changed.judging_digest == known.judging_digest
    assert changed.governed_digest != known.governed_digest


def test_the_shipped_policy_cross_checks_every_slo() -> None:
    policy = governed_of(POLICY).policy
    assert policy.verification == Verification(timedelta(hours=2), 0.05)
    assert all(isinstance(slo.cross_check, CrossCheck) for slo in policy.slos.values())
