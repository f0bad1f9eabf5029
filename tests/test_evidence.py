"""Rows of the logs as a table: what is shown, what is said once, and that no row is wider than the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from checker.cli.formats.evidence import cell_text, evidence_table
from checker.cli.formats.layout import paint

HEADS = ("schema_version", "ts", "event", "phase", "duration_ms", "request_id")


def table(heads: tuple[str, ...], rows: list[tuple[Any, ...]], first: tuple[str, ...], width: int = 80) -> list[str]:
    return paint(evidence_table(heads, rows, first, width), colour=False).splitlines()


def row(duration_ms: float, request_id: str = "a") -> tuple[Any, ...]:
    return 1, "2026-01-01T00:00:01.250000Z", "saved", "B", duration_ms, request_id


def test_what_is_the_same_in_every_row_is_said_once() -> None:
    assert table(HEADS, [row(20.0), row(5.0)], ("duration_ms",)) == [
        "      duration_ms",
        "               20",
        "                5",
        "      in every row: schema_version 1, ts 2026-01-01T00:00:01.25Z, event saved,",
        "                    phase B, request_id a",
    ]


def test_the_order_s_own_column_stays_where_all_rows_are_equal() -> None:
    assert table(HEADS, [row(5.0), row(5.0, "b")], ("duration_ms",))[1:3] == [
        "                5  a",
        "                5  b",
    ]


def test_a_row_alone_keeps_everything_the_rest_below_it() -> None:
    assert table(HEADS, [row(5.0)], ("duration_ms",), width=60) == [
        "      ts                       duration_ms  request_id",
        "      2026-01-01T00:00:01.25Z            5  a",
        "      also: schema_version 1, event saved, phase B",
    ]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_line_is_wider_than_the_terminal_and_no_column_is_lost_unsaid(width: int) -> None:
    heads = tuple(f"column_{n:02}" for n in range(20))
    rows = [tuple(f"{'保' * 9}{n}{m}" for n in range(20)) for m in range(3)]
    lines = table(heads, rows, ("column_19",), width)
    assert max(map(cell_len, lines)) <= width
    assert all(head in " ".join(lines) for head in heads)
    assert "column_19" in lines[0]  # what the rows are ordered by


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "true"),
        (2653.80001, "2653.8"),
        ("2026-01-02T11:59:59.259000Z", "2026-01-02T11:59:59.259Z"),
        ("2026-01-02T11:59:50.000000Z", "2026-01-02T11:59:50Z"),
        ("2026-01-02T11:59:50Z", "2026-01-02T11:59:50Z"),
        ("2026-01-02T11:59:59.000001Z", "2026-01-02T11:59:59.000001Z"),
        ("x" * 27, "x" * 27),
        ("x" * 28, "x" * 26 + "…"),
        ("a\x1b[2J", r"a\x1b[2J"),
    ],
)
def test_a_cell(value: Any, text: str) -> None:
    assert cell_text(value) == text
