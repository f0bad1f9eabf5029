"""Policies whose values or files do not go together: each fault at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from policies.project import edited, make_project, problems_of

CASES = {
    "phase_without_threshold": (
        "A: 2.5, B: 2.0, C: 1.8",
        "A: 2.5, B: 2.0",
        ["39:5: slos.save_latency_p95.threshold: no value for phase 'C' (phases: A, B, C)"],
    ),
    "threshold_of_unknown_phase": (
        "A: 2.5, B: 2.0, C: 1.8",
        "A: 2.5, B: 2.0, C: 1.8, D: 1.0",
        ["39:41: slos.save_latency_p95.threshold.D: no phase 'D' (phases: A, B, C)"],
    ),
    "unknown_gate": (
        "    gate: B\n",
        "    gate: b1\n",
        [
            "25:11: phases[1].gate: no gate 'b1' (gates: A, B, C)",
            "77:3: gates.B: no phase uses it; name it as a phase's 'gate' or remove it",
        ],
    ),
    "unused_gate": (
        "    gate: B\n",
        "    gate: A\n",
        ["77:3: gates.B: no phase uses it; name it as a phase's 'gate' or remove it"],
    ),
    "reserved_off": (
        "  - name: A\n",
        '  - name: "off"\n',
        [("14:11: phases[0].name: 'off' is reserved for what stands before the first phase; choose another name")],
    ),
    "reserved_complete": (
        "  - name: C\n",
        "  - name: Complete\n",
        [("26:11: phases[2].name: 'Complete' is reserved for what stands after the last gate; choose another name")],
    ),
    "name_twice": (
        "  - name: B\n",
        "  - name: A\n",
        ["20:11: phases[1].name: 'A' is already the name of phases[0]; choose another name"],
    ),
    "looser_lte": (
        "C: 1.8}",
        "C: 2.1}",
        [
            (
                "39:36: slos.save_latency_p95.threshold.C: 2.1 is looser than 2.0 in phase 'B'; change it, or "
                "give the reason for it in 'allow_looser'"
            )
        ],
    ),
    "differs_eq": (
        "{A: 0, B: 0, C: 0}",
        "{A: 0, B: 0, C: 1}",
        [
            (
                "59:32: slos.history_drift.threshold.C: 1 differs from 0 in phase 'B'; change it, or give the "
                "reason for it in 'allow_looser'"
            )
        ],
    ),
    "notice_phase": (
        "    phases: [A, B]\n",
        "    phases: [A, BB]\n",
        ["97:17: notices.autosave-warn.phases[1]: no phase 'BB'; did you mean 'B'? (phases: A, B, C)"],
    ),
    "automatic_not_own": (
        "    phases: [A, B]\n",
        "    phases: [A, B]\n    automatic: [C]\n",
        ["98:17: notices.autosave-warn.automatic[0]: phase 'C' is none of the notice's own (phases: A, B)"],
    ),
    "window_not_dividing": (
        "window: 15m",
        "window: 7m",
        [
            "7:9: window: 24 h is no whole number of windows of 7m; choose 5m, 15m or 1h, say",
            "123:10: collector.cycle: a window of 7m is no whole number of cycles of 15m",
        ],
    ),
    "window_above_a_day": (
        "window: 15m",
        "window: 2d",
        [
            "7:9: window: 24 h is no whole number of windows of 2d; choose 5m, 15m or 1h, say",
            "9:11: max_late: 'max_late' must be at least a window and the lateness (2d + 5m): "
            "an event is that old when its batch is sealed",
        ],
    ),
    "cycle": (
        "cycle: 15m",
        "cycle: 10m",
        ["123:10: collector.cycle: a window of 15m is no whole number of cycles of 10m"],
    ),
    "recovery": (
        "every: 5m, for: 30m",
        "every: 45m, for: 30m",
        ["120:21: rollback.recovery.every: 45m is longer than the whole recovery (30m)"],
    ),
    "max_late_below_lateness": (
        "max_late: 24h ",
        "max_late: 4m  ",
        [
            "9:11: max_late: 'max_late' must be at least a window and the lateness (15m + 5m): "
            "an event is that old when its batch is sealed"
        ],
    ),
    "max_late_below_a_window": (
        "max_late: 24h ",
        "max_late: 19m ",
        [
            "9:11: max_late: 'max_late' must be at least a window and the lateness (15m + 5m): "
            "an event is that old when its batch is sealed"
        ],
    ),
    "placeholder": (
        "--target={target}",
        "--target={targett}",
        [
            (
                "117:42: rollback.command[2]: '{targett}' is no placeholder; did you mean '{target}'? "
                "(placeholders: {target}, {phase}, {rollback_to}, {reason})"
            )
        ],
    ),
    "lone_brace": (
        "--target={target}",
        "--target={target",
        [
            (
                "117:42: rollback.command[2]: '{' is no placeholder (placeholders: {target}, {phase}, "
                "{rollback_to}, {reason})"
            )
        ],
    ),
    "placeholder_as_program": (
        "command: [autosave-release,",
        'command: ["{target}",',
        ["117:13: rollback.command[0]: the program is fixed; placeholders may stand in its arguments only"],
    ),
    "warn_at_on_eq": (
        "    comparison: eq\n",
        "    comparison: eq\n    warn_at: 0.8\n",
        [
            (
                "59:5: slos.history_drift.warn_at: does not go with comparison 'eq'; remove it: an exact value "
                "has no warning"
            )
        ],
    ),
    "warn_below_on_lte": (
        "    min_samples: 1\n",
        "    warn_below: 1\n",
        ["41:5: slos.save_latency_p95.warn_below: does not go with comparison 'lte'; write 'warn_at'"],
    ),
    "negative_limit": (
        "{A: 180, B: 120, C: 120}",
        "{A: -1, B: -1, C: -2}",
        [
            ("67:20: slos.collector_latency.threshold.A: a share of -1 lies past it; write 'warn_at: 1' (no warning)"),
            ("67:27: slos.collector_latency.threshold.B: a share of -1 lies past it; write 'warn_at: 1' (no warning)"),
            ("67:34: slos.collector_latency.threshold.C: a share of -2 lies past it; write 'warn_at: 1' (no warning)"),
        ],
    ),
    "two_lines": (
        "    title: Canary\n",
        "    title: |\n      Canary\n",
        [("15:12: phases[0].title: the text holds a line break or a tab; write it in one line (with >- to fold it)")],
    ),
    "misspelt_query": (
        "query: gate/continuous_compliance.sql",
        "query: gate/continuous_complience.sql",
        [
            (
                "79:12: gates.B.query: 'gate/continuous_complience.sql' does not exist in queries; did you mean "
                "'gate/continuous_compliance.sql'?"
            ),
            (
                "queries/gate/continuous_compliance.sql: no SLO or gate of policy/policy.yaml uses it; name it "
                "there or remove it"
            ),
        ],
    ),
    "misspelt_template": (
        "template: autosave-warn.j2",
        "template: autosave-wran.j2",
        [
            (
                "98:15: notices.autosave-warn.template: 'autosave-wran.j2' does not exist in policy/templates; "
                "did you mean 'autosave-warn.j2'?"
            ),
            ("policy/templates/autosave-warn.j2: no notice of policy/policy.yaml uses it; name it there or remove it"),
        ],
    ),
    "misspelt_event_schema": (
        "schemas/event.schema.json",
        "schemas/evnt.schema.json",
        [
            (
                "11:15: event_schema: 'schemas/evnt.schema.json' does not exist in the project; did you mean "
                "'schemas/event.schema.json'?"
            )
        ],
    ),
    "query_outside": (
        "query: slo/failure_rate.sql",
        "query: ../slo/failure_rate.sql",
        [
            (
                "47:12: slos.failure_rate.query: expected a .sql file below queries/slo/, such as "
                "slo/failure_rate.sql (no absolute path, no '..'), found '../slo/failure_rate.sql'"
            ),
            ("queries/slo/failure_rate.sql: no SLO or gate of policy/policy.yaml uses it; name it there or remove it"),
        ],
    ),
    "query_absolute": (
        "query: slo/failure_rate.sql",
        "query: /slo/failure_rate.sql",
        [
            (
                "47:12: slos.failure_rate.query: expected a .sql file below queries/slo/, such as "
                "slo/failure_rate.sql (no absolute path, no '..'), found '/slo/failure_rate.sql'"
            ),
            ("queries/slo/failure_rate.sql: no SLO or gate of policy/policy.yaml uses it; name it there or remove it"),
        ],
    ),
    "query_of_other_kind": (
        "query: slo/failure_rate.sql",
        "query: gate/consecutive_batches.sql",
        [
            (
                "47:12: slos.failure_rate.query: expected a .sql file below queries/slo/, such as "
                "slo/failure_rate.sql (no absolute path, no '..'), found 'gate/consecutive_batches.sql'"
            ),
            ("queries/slo/failure_rate.sql: no SLO or gate of policy/policy.yaml uses it; name it there or remove it"),
        ],
    ),
    "template_outside": (
        "template: autosave-warn.j2",
        "template: ../policy.j2",
        [
            (
                "98:15: notices.autosave-warn.template: expected a .j2 file below the policy's templates/, such "
                "as autosave-ok.j2 (no absolute path, no '..'), found '../policy.j2'"
            ),
            ("policy/templates/autosave-warn.j2: no notice of policy/policy.yaml uses it; name it there or remove it"),
        ],
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), CASES.values(), ids=CASES)
def test_fault_is_told_at_its_place(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    path = make_project(tmp_path)
    path.write_text(edited(old, new), encoding="utf-8")
    assert [problem.removeprefix("policy/policy.yaml:") for problem in problems_of(path)] == expected
