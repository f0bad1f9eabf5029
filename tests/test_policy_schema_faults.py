"""Policies that do not follow their schema: each fault at its place, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from policies.project import edited, make_project, problems_of

CASES = {
    "unknown_key": (
        "    min_samples: 1\n",
        "    min_sample: 1\n",
        ["41:5: slos.save_latency_p95.min_sample: unknown key 'min_sample'; did you mean 'min_samples'?"],
    ),
    "unknown_key_far": (
        "target: autosave",
        "target: autosave\nfoo: 1",
        [
            (
                "5:1: foo: unknown key 'foo' (known: schema_version, target, title, window, lateness, max_late, "
                "max_quarantined, event_schema, allow_looser, phases, slos, gates, \u2026)"
            )
        ],
    ),
    "missing_key": ('    unit: "%"\n', "", ["45:3: slos.failure_rate: 'unit' is missing"]),
    "missing_top": ("window: 15m\n", "", ["3:1: 'window' is missing"]),
    "number_for_text": (
        "    title: Canary\n",
        "    title: 5\n",
        ["15:12: phases[0].title: expected text that is not empty, found 5"],
    ),
    "text_for_number": (
        "A: 2.5",
        "A: fast",
        ["39:20: slos.save_latency_p95.threshold.A: expected a number, found 'fast'"],
    ),
    "nothing_for_text": (
        "    title: Canary\n",
        "    title:\n",
        ["15:11: phases[0].title: expected text that is not empty, found nothing"],
    ),
    "mapping_for_list": (
        "    approvers: [SRE]\n",
        "    approvers: {SRE: 1}\n",
        ["24:16: phases[1].approvers: expected a list, found a mapping"],
    ),
    "schema_version": ("schema_version: 1", "schema_version: 2", ["3:17: schema_version: expected 1, found 2"]),
    "duration_number": (
        "lateness: 5m ",
        "lateness: 5 ",
        [
            (
                "8:11: lateness: expected a duration such as 30s, 15m, 24h or 3d (a whole number above 0, at "
                "most 999d), found 5"
            )
        ],
    ),
    "duration_zero": (
        "lateness: 5m ",
        "lateness: 0m ",
        [
            (
                "8:11: lateness: expected a duration such as 30s, 15m, 24h or 3d (a whole number above 0, at "
                "most 999d), found '0m'"
            )
        ],
    ),
    "duration_unit": (
        "max_late: 24h ",
        "max_late: 1w ",
        [
            (
                "9:11: max_late: expected a duration such as 30s, 15m, 24h or 3d (a whole number above 0, at "
                "most 999d), found '1w'"
            )
        ],
    ),
    "share_above_one": (
        "max_quarantined: 0.05",
        "max_quarantined: 5",
        ["10:18: max_quarantined: expected at most 1, found 5"],
    ),
    "comparison": (
        "comparison: eq",
        "comparison: lt",
        [("58:17: slos.history_drift.comparison: expected one of lte, gte, eq, found 'lt'; did you mean 'lte'?")],
    ),
    "min_samples_zero": (
        "min_samples: 1",
        "min_samples: 0",
        ["41:18: slos.save_latency_p95.min_samples: expected at least 1, found 0"],
    ),
    "min_samples_float": (
        "min_samples: 1",
        "min_samples: 1.5",
        ["41:18: slos.save_latency_p95.min_samples: expected a whole number, found 1.5"],
    ),
    "on_no_data": (
        "on_no_data: hold",
        "on_no_data: holds",
        [
            (
                "42:17: slos.save_latency_p95.on_no_data: expected one of hold, violation, found 'holds'; did "
                "you mean 'hold'?"
            )
        ],
    ),
    "warn_at_zero": (
        "    warn_at: 0.8\n    min_samples",
        "    warn_at: 0\n    min_samples",
        ["40:14: slos.save_latency_p95.warn_at: expected more than 0, found 0"],
    ),
    "warn_at_above": (
        "    warn_at: 0.8\n    min_samples",
        "    warn_at: 1.1\n    min_samples",
        ["40:14: slos.save_latency_p95.warn_at: expected at most 1, found 1.1"],
    ),
    "empty_text": (
        "    title: Canary\n",
        '    title: ""\n',
        ["15:12: phases[0].title: expected text that is not empty, found ''"],
    ),
    "bad_target": (
        "target: autosave",
        "target: auto save",
        [
            (
                "4:9: target: expected a name of at most 64 letters, digits, '_', '.' and '-' that starts with "
                "a letter or digit, found 'auto save'"
            )
        ],
    ),
    "role_twice": ("[SRE, Dev Lead]", "[SRE, SRE]", ["18:16: phases[0].approvers: 'SRE' stands in the list twice"]),
    "channel": (
        '    channel: "#incident-autosave"',
        "    channel: incident-autosave",
        [
            (
                "100:14: notices.autosave-incident.channel: expected a Slack channel such as "
                "\"#autosave-rollout\" (in quotes), runbook, pagerduty or webhook, found 'incident-autosave'"
            )
        ],
    ),
    "outcome": (
        "outcome: violation",
        "outcome: violated",
        [
            (
                "101:14: notices.autosave-incident.outcome: expected one of ok, warn, violation, no_verdict, "
                "rollback, recovered, found 'violated'; did you mean 'violation'?"
            )
        ],
    ),
    "mode": (
        "mode: propose",
        "mode: execut",
        ["118:9: rollback.mode: expected one of propose, execute, found 'execut'; did you mean 'execute'?"],
    ),
    "after_windows": (
        "after_windows: 2",
        "after_windows: 0",
        ["107:20: notices.autosave-no-verdict.after_windows: expected at least 1, found 0"],
    ),
    "reserved_parameter": (
        "{batches: 8}",
        "{batches: 8, since: 1}",
        [
            (
                "76:30: gates.A.parameters.since: expected a parameter of lower-case letters, digits and '_', "
                "other than phase, since and until, found 'since'"
            )
        ],
    ),
    "no_phases_in_notice": (
        "    phases: [A, B]\n",
        "    phases: []\n",
        ["97:13: notices.autosave-warn.phases: expected at least 1 in the list, found an empty list"],
    ),
    "sources": (
        "sources: []",
        "sources: [a.jsonl]",
        ["126:13: collector.sources[0]: expected a mapping, found 'a.jsonl'"],
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), CASES.values(), ids=CASES)
def test_fault_is_told_at_its_place(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    path = make_project(tmp_path)
    path.write_text(edited(old, new), encoding="utf-8")
    assert [problem.removeprefix("policy/policy.yaml:") for problem in problems_of(path)] == expected
