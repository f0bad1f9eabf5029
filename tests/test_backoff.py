"""How long is waited before a message is sent again."""

from __future__ import annotations

import pytest

from checker.reporter.messages import NotDelivered
from checker.reporter.transports.backoff import next_pause


@pytest.mark.parametrize(
    ("attempt", "fault", "remaining_s", "pause_s"),
    [
        (1, NotDelivered("x"), 60, 1),
        (2, NotDelivered("x"), 60, 2),
        (5, NotDelivered("x"), 60, 16),
        (6, NotDelivered("x"), 60, 30),
        (99, NotDelivered("x"), 60, 30),
        (1, NotDelivered("x", retry_after_s=7), 60, 7),
        (6, NotDelivered("x", retry_after_s=7), 60, 30),
        (1, NotDelivered("x", retry_after_s=45), 60, 45),
        (1, NotDelivered("x", retry_after_s=60), 60, None),
        (1, NotDelivered("x"), 1, None),
        (1, NotDelivered("x", is_final=True), 60, None),
    ],
)
def test_pauses(attempt: int, fault: NotDelivered, remaining_s: float, pause_s: float | None) -> None:
    assert next_pause(attempt, fault, remaining_s) == pause_s
