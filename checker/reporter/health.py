"""Warnings of the loop's own: no verdict, a policy that was refused, too few events, a phase seen too often. Pure.

They are no outcomes of a window and have no template: one must arrive where nothing can be measured or rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from checker.ledger.append import Draft
from checker.ledger.state import LedgerState
from checker.policy.model import OFF, Policy
from checker.reporter.escape import marked, placed
from checker.reporter.render import markup_of

HEALTH = "health"


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that people should look at. `name` is its kind and what tells it from others of the kind: it is told
    once. `window_start` is the window it is about, None where it is about none."""

    name: str
    told: str
    window_start: datetime | None = None


def health_drafts(policy: Policy, state: LedgerState, concerns: Iterable[Concern]) -> Iterator[Draft]:
    """A notice for each concern that was not told before; none where the policy names no channel for them."""
    channel = policy.collector.channel
    for concern in concerns:
        name = f"{policy.target}/{HEALTH}/{concern.name}"
        if channel is None or name in state.notice_ids:
            continue
        words = f"⚠️ {marked(policy.title)} {marked(concern.told)}\n{marked(name)}"
        yield Draft(
            kind="notice",
            phase=state.phase or OFF,
            window_start=concern.window_start,
            id=name,
            data={
                "notice": HEALTH,
                "outcome": HEALTH,
                "channel": channel,
                "text": placed(words, markup_of(channel)),
            },
        )
