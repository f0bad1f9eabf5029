"""The summary in Markdown: a golden text, and what a renderer makes of it."""

from __future__ import annotations

import pytest

from checker.cli.formats.markdown import code, to_markdown
from checker.model import GateResult, Notice
from tests import decisions as build
from tests.attacking.readers import made_of_markdown, rows_of_markdown
from tests.test_formats_table import VERDICTS

POLICY = build.policy()
SUMMARY = """\
## ROLLBACK (violation)

`AutoSave · phase B (30 %) · window 2026-01-02 11:45–12:00 UTC`

| SLO | value | threshold | margin | status | why |
| --- | --- | --- | --- | --- | --- |
| `save latency P95` | `2.31 s` | `≤ 2.0 s` | -16 % | violation | – |
| `failure rate` | `0.21 %` | `≤ 0.5 %` | 58 % | ok | – |
| `history drift` | `0` | `= 0` | – | ok | – |
| `collector latency` | `41 s` | `≤ 2 min` | 65 % | ok | – |

- `save latency P95 violation`

Rollback required: `phasegate rollback --target=autosave --phase=B '--reason=save_latency_p95 violation'`

`Gate to phase C`: not passed

- ✗ `0 of 96 windows met in a row`
- ✓ `0 critical alerts (need 0)`
- earliest advance, if every window is met from now: 2026-01-03 01:50 UTC

Input: `1,205 events of the window · batch: 1,205 lines`

Notice `autosave-ok → #rollout`

```
all is
well
```
"""


def test_a_summary_reads_as_its_golden_text() -> None:
    decision = build.violation(POLICY, reasons=("save_latency_p95 violation",), gate=build.gate(0))
    notice = Notice("autosave-ok", "#rollout", "all is\nwell", True, "B", build.window())
    shown = to_markdown(build.result(decision, notices=(notice,)), POLICY)
    without_earliest = "".join(line for line in SUMMARY.splitlines(True) if "earliest" not in line)
    assert shown == without_earliest  # no advance while a rollback is required


@pytest.mark.parametrize("name", VERDICTS)
def test_every_verdict_is_a_table_of_six_columns(name: str) -> None:
    decision = VERDICTS[name]()
    shown = to_markdown(build.result(decision), POLICY)
    assert rows_of_markdown(shown) == [6] * (1 + len(decision.judgements))
    assert made_of_markdown(shown) == []


@pytest.mark.parametrize(
    ("decision", "line"),
    [
        (build.decision(POLICY, gate=GateResult("B", "x", error="no column")), "- `could not be evaluated: no column`"),
        (build.decision(POLICY, gate=GateResult("B", "x")), "- `not passed, its query returned no row`"),
        (build.decision(POLICY, approvals_missing=("SRE", "Dev")), "- approvals missing: `SRE, Dev`"),
        (build.decision(POLICY, gate=build.gate(96)), "`Gate to phase C`: passed"),
        (build.decision(POLICY), "- earliest advance, if every window is met from now: 2026-01-03 01:50 UTC"),
    ],
)
def test_what_the_gate_still_wants(decision: object, line: str) -> None:
    assert line in to_markdown(build.result(decision), POLICY).splitlines()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "`plain`"),
        ("", "–"),
        (" \u00a0", "–"),
        ("a|b", r"`a\x7cb`"),
        ("`", r"`\x60`"),
        ("a\nb", r"`a\nb`"),
        ("x\\", "`x\\`"),  # in code a backslash is itself
    ],
)
def test_a_value_is_code(value: str, expected: str) -> None:
    assert code(value) == expected


@pytest.mark.parametrize(("ticks", "fence"), [(0, 3), (2, 3), (3, 4), (7, 8)])
def test_a_fence_is_longer_than_those_in_the_notice(ticks: int, fence: int) -> None:
    notice = Notice("ok", "#r", "`" * ticks or "x", True, "B", build.window())
    shown = to_markdown(build.result(build.decision(POLICY), notices=(notice,)), POLICY)
    assert shown.endswith(f"\n{'`' * fence}\n{'`' * ticks or 'x'}\n{'`' * fence}\n")


def test_a_notice_of_many_lines_says_how_many_are_left_out() -> None:
    notice = Notice("ok", "#r", "x\n" * 60, True, "B", build.window())
    shown = to_markdown(build.result(build.decision(POLICY), notices=(notice,)), POLICY)
    assert "… (10 more lines)" in shown
