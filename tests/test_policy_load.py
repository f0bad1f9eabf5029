"""What a sound policy comes to: values, defaults, warning lines; and that faults are told all at once."""

from __future__ import annotations

import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from policies.project import AUTOSAVE, FOLDER, edited, make_project, problems_of

from checker.errors import GovernedFilesInvalid
from checker.model import Comparison, OnViolation
from checker.policy.durations import parse_duration
from checker.policy.load import load_policy
from checker.policy.thresholds import warn_limit_at

REAL = FOLDER.parent.parent / "policy" / "policy.yaml"
MERGE = (FOLDER / "merge.yaml").read_text(encoding="utf-8")


def test_the_governed_policy_of_this_project_says_what_the_design_says(tmp_path: Path) -> None:
    policy = load_policy(make_project(tmp_path, REAL.read_text(encoding="utf-8")))
    assert policy.phase_names == ("A", "B", "C")
    limits = {name: [slo.thresholds[phase].limit for phase in "ABC"] for name, slo in policy.slos.items()}
    assert limits == {
        "save_latency_p95": [2.5, 2.0, 1.8],
        "failure_rate": [1.0, 0.5, 0.3],
        "history_drift": [0.0, 0.0, 0.0],
        "collector_latency": [180.0, 120.0, 120.0],
    }
    assert policy.gate_of("B").parameters == {"hours": 24, "max_critical_alerts": 0}
    assert policy.notices["autosave-ok"].automatic == ("B", "C")
    assert policy.notices["autosave-warn"].automatic == ("A", "B")
    assert policy.rollback.command[0] == "autosave-release"
    assert policy.collector.retry == tuple(timedelta(seconds=pause) for pause in (30, 60, 120, 240))
    assert (policy.phase_before("A"), policy.phase_after("C")) == ("off", "complete")


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    policy = load_policy(make_project(tmp_path, MERGE))
    assert (policy.title, policy.lateness, policy.max_late) == ("merge", timedelta(minutes=5), timedelta(hours=24))
    assert (policy.max_quarantined, policy.allow_looser, policy.notices) == (0.05, None, {})
    assert (policy.phases[0].title, policy.phases[0].duty, policy.phases[0].approvers) == ("A-1", "", ())
    slo = policy.slos["restore_success"]
    assert (slo.title, slo.min_samples, slo.no_data_is_violation, slo.note) == ("restore_success", 1, False, "")
    assert slo.on_violation is OnViolation.ROLLBACK
    assert (policy.rollback.mode, policy.rollback.max_rollbacks) == ("propose", 2)
    assert policy.rollback.max_rollbacks_within == timedelta(hours=24)
    assert (policy.rollback.recovery_every, policy.rollback.recovery_for) == (
        timedelta(minutes=5),
        timedelta(minutes=30),
    )
    assert (policy.collector.cycle, policy.collector.delay_limit) == (timedelta(hours=1), timedelta(minutes=5))
    assert policy.collector.retry == tuple(timedelta(seconds=pause) for pause in (30, 60, 120, 240))


def test_a_notice_left_at_its_defaults(tmp_path: Path) -> None:
    notice = load_policy(make_project(tmp_path)).notices["autosave-incident"]
    assert (notice.automatic, notice.repeat, notice.after_windows) == (("A", "B", "C"), "on_change", 1)


def test_objectives_that_must_be_at_least_met(tmp_path: Path) -> None:
    policy = load_policy(make_project(tmp_path, MERGE))
    restore, merge = policy.slos["restore_success"], policy.slos["auto_merge_rate"]
    assert restore.comparison is Comparison.GTE
    assert [restore.thresholds[phase].warn_limit for phase in policy.phase_names] == [0.995, 0.998, 0.998]
    assert {threshold.warn_limit for threshold in merge.thresholds.values()} == {0.85}
    assert (merge.no_data_is_violation, merge.on_violation) == (True, OnViolation.OBSERVE)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    warn_below: 0.85\n", "", ["17:3: slos.auto_merge_rate: 'warn_below' is missing"]),
        ("warn_below: 0.85", "warn_below: 0.8", []),  # at the threshold: no warning
        (
            "warn_below: 0.85",
            "warn_below: 0.79",
            [
                f"22:17: slos.auto_merge_rate.warn_below: 0.79 is below the threshold 0.8 of phase '{phase}'"
                for phase in ("A-1", "A-2", "B-0")
            ],
        ),
        (
            "warn_below: {A-1: 0.995, ",
            "warn_below: {A1: 0.995, ",
            [
                "16:5: slos.restore_success.warn_below: no value for phase 'A-1'",
                "16:18: slos.restore_success.warn_below.A1: no phase 'A1'; did you mean 'A-1'?",
            ],
        ),
        (
            "    warn_below: 0.85\n",
            "    warn_at: 0.8\n    warn_below: 0.85\n",
            ["22:5: slos.auto_merge_rate.warn_at: "],
        ),
        (
            "A-2: 0.995, B-0: 0.995}",
            "A-2: 0.995, B-0: 0.9}",
            ["15:45: slos.restore_success.threshold.B-0: 0.9 is looser"],
        ),
    ],
)
def test_faults_of_objectives_that_must_be_at_least_met(
    tmp_path: Path, old: str, new: str, expected: list[str]
) -> None:
    assert old in MERGE
    found = problems_of(make_project(tmp_path, MERGE.replace(old, new, 1)))
    assert len(found) == len(expected)
    for problem, start in zip(found, expected, strict=True):
        assert problem.removeprefix("policy/policy.yaml:").startswith(start)


@pytest.mark.parametrize("threshold", ["{A: 2.5, B: 2.0, C: 2.1}", "{A: 1, B: 2, C: 3}"])
def test_a_reason_lets_a_later_phase_be_looser(tmp_path: Path, threshold: str) -> None:
    text = edited("{A: 2.5, B: 2.0, C: 1.8}", threshold)
    assert all("looser" in problem for problem in problems_of(make_project(tmp_path, text)))
    path = make_project(tmp_path, text.replace("window: 15m", "window: 15m\nallow_looser: C runs on slower machines"))
    assert load_policy(path).allow_looser == "C runs on slower machines"


@pytest.mark.parametrize(
    ("limit", "share", "expected"),
    [
        (2.0, 0.8, 1.6),
        (0.7, 0.8, 0.56),  # 0.5599999999999999 in binary: 0.56 itself would warn
        (1.8, 0.8, 1.44),
        (120, 0.8, 96.0),
        (2.5, 1, 2.5),
        (0, 0.8, 0.0),
    ],
)
def test_warning_line_lies_where_the_digits_put_it(limit: float, share: float, expected: float) -> None:
    assert warn_limit_at(limit, share) == expected


@pytest.mark.parametrize("limits", ["{A: 0, B: 0, C: 0}", "{A: -1, B: -1, C: -2}"])
def test_no_warning_where_a_share_has_no_room(tmp_path: Path, limits: str) -> None:
    text = edited("{A: 180, B: 120, C: 120}\n    warn_at: 0.8", f"{limits}\n    warn_at: 1")
    thresholds = load_policy(make_project(tmp_path, text)).slos["collector_latency"].thresholds
    assert all(threshold.warn_limit == threshold.limit for threshold in thresholds.values())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("15m", 900),
        ("24h", 86400),
        ("3d", 259200),
        ("0m", None),
        ("15", None),
        ("1.5h", None),
        ("5 m", None),
    ],
)
def test_durations(text: str, seconds: int | None) -> None:
    assert parse_duration(text) == (None if seconds is None else timedelta(seconds=seconds))


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    text = AUTOSAVE
    for old, new in (
        ("window: 15m", "window: 7m"),
        ("cycle: 15m", "cycle: 7m"),
        ("    title: Canary", "    titel: Canary"),
        ("    approvers: [SRE]", "    approvers: [no]"),
        ("C: 1.8}", "C: .nan}"),
        ("A: 1.0, B: 0.5, C: 0.3", "A: 1.0, B: 0.5"),
        ("    gate: C\n", "    gate: D\n"),
        ("query: slo/history_drift.sql", "query: slo/history_drif.sql"),
        ("count: 2", "count: two"),
        ("--to={rollback_to}", "--to={rolback_to}"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    path = make_project(tmp_path)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GovernedFilesInvalid) as caught:
        load_policy(path)
    places = [(problem.path, problem.line) for problem in caught.value.problems]
    assert places == [("policy/policy.yaml", line) for line in (7, 15, 24, 31, 39, 50, 56, 81, 117, 119)] + [
        ("queries/slo/history_drift.sql", 0)
    ]
    assert str(caught.value).endswith("11 problems in the governed files; nothing was checked")


def test_a_policy_can_travel_to_another_process(tmp_path: Path) -> None:
    policy = load_policy(make_project(tmp_path))
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_a_sound_policy_is_loaded_without_the_slow_validator(tmp_path: Path) -> None:
    path = make_project(tmp_path)
    program = (
        "import pathlib, sys; from checker.policy.load import load_policy; load_policy(pathlib.Path(sys.argv[1]));"
        "sys.exit(' '.join({'jsonschema', 'duckdb', 'jinja2'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert run.stderr.strip() == ""
