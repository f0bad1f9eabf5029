"""A replay as a table: one line a window, cut at 80 columns."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from checker.model import Decision, Judgement
from checker.units import plain

_WIDTHS = (17, 10, 9, 6)
_WIDTH = 80


def replay_header() -> str:
    """The line above the windows."""
    return _row("window (UTC)", "outcome", "decision", "gate", "not met")


def replay_row(decision: Decision) -> str:
    """One window: its outcome, the decision, whether the gate passed, and the SLOs that were not met."""
    gate = "error" if decision.gate.error else "pass" if decision.gate.passed else "open"
    broken = ", ".join(_broken(row) for row in decision.judgements if not row.status.is_met)
    return _row(f"{decision.window.start:%Y-%m-%d %H:%M}", decision.outcome, decision.verdict, gate, broken)


def _broken(row: Judgement) -> str:
    value = f" {row.value:.4g}" if row.value is not None and row.status != "no_data" else ""
    return plain(f"{row.slo}{value}")


def _row(*cells: str) -> str:
    *first, last = cells
    row = ("".join(cell.ljust(width) for cell, width in zip(first, _WIDTHS, strict=True)) + last).rstrip()
    return row if cell_len(row) <= _WIDTH else set_cell_size(row, _WIDTH - 1).rstrip() + "…"
