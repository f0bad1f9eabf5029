"""Words that the verdict and its explanation share: what broke a streak, what is whose, reasons by their titles."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from checker.cli.formats.replay_table import replay_header, replay_row
from checker.cli.formats.table import render_table
from checker.cli.formats.wording import break_found, earliest_text, input_text, titled
from checker.model import InputCounts, Status
from checker.reporter.shell import command_line
from tests import decisions as build

POLICY = build.policy()
P95 = POLICY.slos["save_latency_p95"]


@pytest.mark.parametrize(
    ("value", "status", "reason", "found"),
    [
        (2.31, Status.VIOLATION, None, "2.31 s"),
        (None, Status.VIOLATION, "0 samples, 1 needed", "0 samples, 1 needed"),  # no data that counts as a violation
        (None, Status.NO_DATA, "the window has no batch", "no batch"),
        (None, Status.NO_DATA, None, "no samples"),
        (1.2, Status.NO_DATA, "60 of 600 lines are broken, more than 5 %", "no_data"),  # its value says nothing
        (1.2, Status.NO_DATA, "x" * 24, "x" * 24),
        (1.2, Status.NO_DATA, "x" * 25, "no_data"),
    ],
)
def test_a_break_is_told_by_its_value_only_where_that_is_why(
    value: float | None, status: Status, reason: str | None, found: str
) -> None:
    assert break_found(build.judgement("save_latency_p95", value, POLICY, status=status, reason=reason), P95) == found


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (InputCounts(), "0 events of the window · no batch that could be read"),
        (InputCounts(1, 0, 3), "3 events of the window · no line of its own batch"),  # they came in a later batch
        (InputCounts(1, 1, 1), "1 event of the window · batch: 1 line"),
        (InputCounts(3, 1_210, 1_200), "1,200 events of the window from 3 batches · batch: 1,210 lines"),
        (InputCounts(1, 9, 7, 1, 1), "7 events of the window, 1 duplicate · batch: 9 lines, 1 too late"),
        (
            InputCounts(1, 484, 481, 0, 0, 1, {"wrong_type": 1}),
            "481 events of the window · batch: 484 lines, 1 quarantined (wrong_type)",
        ),
        (
            InputCounts(1, 9, 6, 0, 0, 3, {"torn": 1, "not_json": 2}),
            "6 events of the window · batch: 9 lines, 3 quarantined (2 not_json, 1 torn)",
        ),
    ],
)
def test_the_input_says_what_is_the_windows_and_what_its_batch_s(counts: InputCounts, text: str) -> None:
    assert input_text(counts) == text


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("save_latency_p95 violation", "save latency P95 violation"),
        ("my_save_latency_p95 violation", "my_save_latency_p95 violation"),
        ("continuous_compliance: 41 of 96", "41 of 96 windows met in a row"),
        ("paused: release frozen", "paused: release frozen"),
    ],
)
def test_a_reason_has_titles(reason: str, text: str) -> None:
    assert titled(reason, POLICY, build.decision(POLICY)) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "2026-01-03 01:50 UTC"),
        ({"rollback_required": True}, ""),
        ({"gate": build.gate(96)}, ""),
        ({"gate": build.gate(earliest_pass=None)}, ""),
    ],
)
def test_the_earliest_advance_is_told_where_there_is_one(changes: dict[str, Any], text: str) -> None:
    assert earliest_text(build.decision(POLICY, **changes)) == text


@pytest.mark.parametrize(
    ("what_if", "events_of", "head"),
    [
        (False, "B", "AutoSave · phase B (30 %) · window 2026-01-02 11:45–12:00 UTC"),
        (True, "B", "AutoSave · phase B (30 %) · what-if"),  # the ledger's phase is another
        (True, "A", "AutoSave · phase B · events of phase A · what-if"),
        (False, "A", "AutoSave · phase B · events of phase A · what-if"),
    ],
)
def test_the_first_line_says_whose_events_they_are(what_if: bool, events_of: str, head: str) -> None:
    made = build.decision(POLICY, what_if=what_if, events_of=events_of)
    first = render_table(build.result(made), POLICY, colour=False, width=80).splitlines()[0]
    assert first.removesuffix("HOLD").rstrip() == head


def test_a_suggested_command_looks_where_the_call_looked() -> None:
    nothing = build.judgements(
        POLICY, save_latency_p95=None, failure_rate=None, history_drift=None, collector_latency=None
    )
    source = ("--logs=my logs", "--as-of=2026-01-02T12:05:00Z")
    result = build.result(build.decision(POLICY, judgements=nothing))
    text = render_table(result, POLICY, colour=False, width=80, source=source)
    assert f"phasegate explain --phase=B --window=2026-01-02T11:45:00Z {command_line(source)}\n" in text


def test_no_line_of_a_replay_is_wider_than_80_columns() -> None:
    nothing = build.judgements(
        POLICY, save_latency_p95=None, failure_rate=None, history_drift=None, collector_latency=None
    )
    rows = (nothing, build.judgements(POLICY))
    lines = [replay_header(), *(replay_row(build.decision(POLICY, judgements=each)) for each in rows)]
    assert [cell_len(line) <= 80 for line in lines] == [True] * 3
    assert [line.endswith("…") for line in lines] == [False, True, False]
