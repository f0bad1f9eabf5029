"""What the supervisor allows a pass: longer where the policy that holds now has it roll back."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from checker.running.orders import Orders
from checker.running.supervisor import PASS_DEADLINE_S, Parts, Supervisor
from tests.batches import FIRST, closed, start_of
from tests.rollouts import governed_of


@pytest.mark.parametrize(("mode", "more_s"), [("propose", 0.0), ("execute", 420.0)])
def test_a_pass_has_the_deadline_of_the_policy_that_holds(tmp_path: Path, mode: str, more_s: float) -> None:
    governed = governed_of()
    parts = Parts(lambda *_: None, lambda *_: None, lambda *_: None)
    loop = Supervisor(governed, parts, tmp_path, lambda: closed(1), lambda _: 0.0, threading.Event(), lambda _: None)
    rollback = replace(governed.policy.rollback, mode=mode, deadline=timedelta(minutes=7))
    loop.governed = replace(governed, policy=replace(governed.policy, rollback=rollback))  # renewed since it began
    loop.orders = Orders(loop.governed.policy, FIRST, sealed=start_of(0))
    loop._order()
    assert not loop._pass.is_free
    assert loop._pass.deadline_s == PASS_DEADLINE_S + more_s
    assert loop._pass.wait() == [{"kind": "ended"}]
