"""The design's checklist, step by step, over the newest closed windows. Writes nothing but the cache."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from checker.analyzer.batches import LogFolder
from checker.analyzer.governed import Governed
from checker.errors import CannotDecide, QueryFailed, UsageError
from checker.model import Status
from checker.pipeline import Past, Request, check
from checker.verify.cards import cards_step
from checker.verify.companions import companions_step
from checker.verify.logs import logs_step
from checker.verify.model import Evidence, Look, Step
from checker.verify.notices import notices_step
from checker.verify.trace import trace_step
from checker.windows import ceil_to_window, iso, newest_closed

DRY_RUN = "a dry run of the verdict"


def verify(
    governed: Governed, request: Request, past: Past, reports: Path, since: datetime | None = None
) -> tuple[Step, ...]:
    """The six steps, over the closed windows from `since` (by default as many as the policy's verification spans).

    Raises UsageError where none is closed since then, and what `check` raises of governed files.
    """
    policy = governed.policy
    newest = newest_closed(request.as_of, policy.window, policy.lateness)
    first = ceil_to_window(newest.end - policy.verification.span if since is None else since, policy.window)
    if first > newest.start:
        raise UsageError(f"--since {iso(first)}: no window since then is closed; the newest begins {iso(newest.start)}")
    look = Look(governed, request, past, LogFolder(request.logs), reports, first, newest)
    return (
        logs_step(look),
        dry_run_step(look),
        cards_step(look),
        companions_step(look),
        notices_step(look),
        trace_step(look),
    )


def dry_run_step(look: Look) -> Step:
    """What a check says now: passed where it comes to a verdict, be it a violation; nothing is recorded."""
    if not look.folder.batches:
        return Step("dry_run", DRY_RUN, missing="there are no logs")
    try:
        result = check(look.governed, replace(look.request, with_notices=True), look.past)
    except (CannotDecide, QueryFailed) as fault:
        return Step("dry_run", DRY_RUN, (Evidence(str(fault), is_fault=True),))
    decision = result.decision
    is_decided = decision.outcome not in (Status.NO_DATA, Status.ERROR) and decision.gate.error is None
    what_if = ", a what-if" if decision.what_if else ""
    told = [
        f"phase {decision.phase}{what_if}, window {iso(decision.window.start)}:"
        f" {decision.outcome.value}, {decision.verdict.value},"
        f" rollback_required={'true' if decision.rollback_required else 'false'}"
    ]
    told += [] if is_decided else [decision.gate.error or "it cannot be decided"]
    values = {
        "phase": decision.phase,
        "what_if": decision.what_if,
        "window": iso(decision.window.start),
        "outcome": decision.outcome.value,
        "decision": decision.verdict.value,
        "rollback_required": decision.rollback_required,
        "reasons": list(decision.reasons),
        "notices": [notice.id for notice in result.notices],
    }
    return Step("dry_run", DRY_RUN, (Evidence("; ".join(told), values, is_fault=not is_decided),))
