"""Where a rollout stands, over a stretch of windows: what dashboard, Runbook and reports are made from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from checker.analyzer.judge import JudgedWindow
from checker.ledger.state import LedgerState
from checker.model import Decision, Provenance
from checker.policy.model import Policy


@dataclass(frozen=True, slots=True)
class Survey:
    """Judged windows in a row, oldest first, the decision over them, and what the ledger comes to.

    `phase` is the one whose thresholds judge: the current one; the first where the rollout is `off`, the last where it
    is `complete`. `stands_at` is the ledger's word for where it is (a phase, `off`, `complete`), None where the ledger
    names none. Every window is judged as of `as_of`, with violations that the ledger holds against it.
    """

    policy: Policy
    phase: str
    stands_at: str | None
    as_of: datetime
    windows: tuple[JudgedWindow, ...]
    decision: Decision
    state: LedgerState
    provenance: Provenance
