"""How long to wait before a message is sent again: longer each time, up to a cap, as long as a run has time. Pure.

There is no jitter: one process delivers at a time, so nobody's pauses could come into step with it.
"""

from __future__ import annotations

from checker.reporter.messages import NotDelivered

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


def next_pause(attempt: int, fault: NotDelivered, remaining_s: float) -> float | None:
    """Seconds until the attempt after `attempt` (from 1), None where another makes no sense or comes too late.

    What the other side asks for is honoured, however long; the own pause doubles from FIRST_PAUSE_S.
    """
    if fault.is_final:
        return None
    own_s = min(FIRST_PAUSE_S * 2 ** min(attempt - 1, 30), LONGEST_PAUSE_S)
    pause_s = max(own_s, fault.retry_after_s or 0.0)
    return pause_s if pause_s < remaining_s else None
