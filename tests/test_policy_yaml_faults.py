"""Policies that YAML readers would read differently, or that hide something: refused at their place."""

from __future__ import annotations

from pathlib import Path

import pytest
from policies.project import edited, make_project, problems_of

CASES = {
    "duplicate_key": (
        "    warn_at: 0.8\n    min_samples: 1\n",
        "    warn_at: 0.8\n    min_samples: 1\n    warn_at: 0.9\n",
        ["42:5: slos.save_latency_p95.warn_at: the key stands here twice, first in line 40; remove one"],
    ),
    "duplicate_slo": (
        "  failure_rate:\n",
        "  save_latency_p95:\n",
        [
            "45:3: slos.save_latency_p95: the key stands here twice, first in line 34; remove one",
            ("queries/slo/failure_rate.sql: no SLO or gate of policy/policy.yaml uses it; name it there or remove it"),
        ],
    ),
    "anchor": (
        "threshold: {A: 2.5, B: 2.0, C: 1.8}",
        "threshold: &limits {A: 2.5, B: 2.0, C: 1.8}",
        ["39:16: slos.save_latency_p95.threshold: the anchor '&limits' is not read; remove it"],
    ),
    "alias": (
        "    approvers: [SRE]\n",
        "    approvers: *roles\n",
        ["24:16: phases[1].approvers: the alias '*roles' is not read; write the value out"],
    ),
    "merge_key": (
        "  recovery: {every: 5m, for: 30m}",
        "  recovery: {<<: {every: 5m}, every: 5m, for: 30m}",
        ["120:14: rollback.recovery: the merge key << is not read; write the keys out"],
    ),
    "tag": ("    gate: A\n", "    gate: !!str A\n", ["19:11: phases[0].gate: the tag '!!str' is not read; remove it"]),
    "numeric_key": (
        "threshold: {A: 2.5, B: 2.0, C: 1.8}",
        "threshold: {A: 2.5, B: 2.0, C: 1.8, 4: 1.0}",
        [
            '39:41: slos.save_latency_p95.threshold.4: a key must be text; write "4"',
            "39:41: slos.save_latency_p95.threshold.4: no phase '4' (phases: A, B, C)",
        ],
    ),
    "list_as_key": (
        "parameters: {batches: 8}",
        "parameters: {batches: 8, [a, b]: 1}",
        ["76:30: gates.A.parameters: a key must be text on its own, no alias, list or mapping"],
    ),
    "infinity": (
        "C: 1.8}",
        "C: .inf}",
        [
            (
                "39:36: slos.save_latency_p95.threshold.C: '.inf' is no finite number; write a number, or "
                '".inf" for text'
            )
        ],
    ),
    "nan": (
        "C: 1.8}",
        "C: .NaN}",
        [
            (
                "39:36: slos.save_latency_p95.threshold.C: '.NaN' is no finite number; write a number, or "
                '".NaN" for text'
            )
        ],
    ),
    "overflow": (
        "C: 1.8}",
        "C: 1e400}",
        [
            (
                "39:36: slos.save_latency_p95.threshold.C: '1e400' is no finite number; write a number that "
                "fits 64-bit floating point"
            )
        ],
    ),
    "huge_integer": (
        "{batches: 8}",
        "{batches: 99999999999999999999}",
        [
            (
                "76:27: gates.A.parameters.batches: '99999999999999999999' is too large a number; the largest "
                "is 9223372036854775807"
            )
        ],
    ),
    "yes": (
        "    gate: A\n",
        "    gate: yes\n",
        ["19:11: phases[0].gate: 'yes' is read as true by YAML 1.1; write true or \"yes\""],
    ),
    "off_unquoted": (
        "  - name: A\n",
        "  - name: off\n",
        ["14:11: phases[0].name: 'off' is read as false by YAML 1.1; write false or \"off\""],
    ),
    "capital_true": (
        "{batches: 8}",
        "{batches: True}",
        ["76:27: gates.A.parameters.batches: 'True' is read as true by YAML 1.1; write true or \"True\""],
    ),
    "letter_y_as_key": (
        "{batches: 8}",
        "{batches: 8, y: 1}",
        ["76:30: gates.A.parameters.y: 'y' is read as true by YAML 1.1; write true or \"y\""],
    ),
    "sexagesimal": (
        "window: 15m",
        "window: 1:30",
        ["7:9: window: '1:30' is not read alike by every YAML reader; write 90 or \"1:30\""],
    ),
    "octal": (
        "{batches: 8}",
        "{batches: 010}",
        [("76:27: gates.A.parameters.batches: '010' is not read alike by every YAML reader; write 10 or \"010\"")],
    ),
    "octal_1_2": (
        "{batches: 8}",
        "{batches: 0o10}",
        [("76:27: gates.A.parameters.batches: '0o10' is not read alike by every YAML reader; write 8 or \"0o10\"")],
    ),
    "hexadecimal": (
        "{batches: 8}",
        "{batches: 0x10}",
        [("76:27: gates.A.parameters.batches: '0x10' is not read alike by every YAML reader; write 16 or \"0x10\"")],
    ),
    "underscore": (
        "{batches: 8}",
        "{batches: 1_000}",
        [
            (
                "76:27: gates.A.parameters.batches: '1_000' is not read alike by every YAML reader; write 1000 "
                'or "1_000"'
            )
        ],
    ),
    "date": (
        "    title: Canary\n",
        "    title: 2026-01-02\n",
        ["15:12: phases[0].title: '2026-01-02' is read as a date by YAML 1.1; write \"2026-01-02\""],
    ),
    "bidi_in_text": (
        "    title: Canary\n",
        "    title: Can\u202eary\n",
        ["15:15: U+202E (RIGHT-TO-LEFT OVERRIDE) is not allowed; remove it"],
    ),
    "bidi_in_comment": (
        "# an older event",
        "# an \u2066older event",
        ["9:32: U+2066 (LEFT-TO-RIGHT ISOLATE) is not allowed; remove it"],
    ),
    "zero_width_in_name": (
        "target: autosave",
        "target: auto\u200bsave",
        ["4:13: U+200B (ZERO WIDTH SPACE) is not allowed; remove it"],
    ),
    "escaped_control": (
        "    title: Canary\n",
        '    title: "Can\\x07ry"\n',
        ["15:12: phases[0].title: the text holds U+0007 (no name), which is not allowed; remove it"],
    ),
    "byte_order_mark": (
        "# yaml-language-server",
        "\ufeff# yaml-language-server",
        ["1:1: U+FEFF (ZERO WIDTH NO-BREAK SPACE) is not allowed; remove it"],
    ),
    "second_document": (
        "  sources: []\n",
        "  sources: []\n---\na: 1\n",
        ["127:1: a second document starts here; a file holds one"],
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), CASES.values(), ids=CASES)
def test_fault_is_told_at_its_place(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    path = make_project(tmp_path)
    path.write_text(edited(old, new), encoding="utf-8")
    assert [problem.removeprefix("policy/policy.yaml:") for problem in problems_of(path)] == expected
