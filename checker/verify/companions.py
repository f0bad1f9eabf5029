"""Step 4: events that should not be, each beside the newest event that says how far its fields may lie apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from checker.analyzer.ingest import cause_of
from checker.policy.model import Companion
from checker.units import counted, number
from checker.verify.cards import reading_of
from checker.verify.model import Evidence, Look, Step
from checker.verify.raw import RawEvent, read_events
from checker.windows import iso

TITLE = "events that should not be, beside what limits them"
MAX_LISTED = 100


def companions_step(look: Look) -> Step:
    """The step; not applicable where no SLO of the policy names such events, or there are no logs."""
    named = {name: slo.companion for name, slo in look.governed.policy.slos.items() if slo.companion is not None}
    if not named:
        return Step("drift", TITLE, missing="no SLO of the policy has a companion")
    if not look.folder.batches:
        return Step("drift", TITLE, missing="there are no logs")
    evidence: list[Evidence] = []
    for name, companion in named.items():
        try:
            evidence += _of_slo(look, name, companion)
        except (OSError, EOFError, ValueError) as fault:
            why = f"{name}: the logs cannot be read: {cause_of(fault)}"
            evidence.append(Evidence(why, {"slo": name}, is_fault=True))
    return Step("drift", TITLE, tuple(evidence))


def _of_slo(look: Look, name: str, companion: Companion) -> Iterator[Evidence]:
    fields = (*companion.between, companion.limit_field)
    reading = reading_of(look, look.request.as_of)
    events = read_events(look.folder, reading, look.first, look.newest.start, fields)
    found = [row for row in events if row.event == companion.event and row.phase == look.request.phase]
    told = f"{name}: {counted(len(found), f'{companion.event} event')} in {counted(len(look.windows), 'window')}"
    yield Evidence(told, {"slo": name, "event": companion.event, "count": len(found)}, is_fault=bool(found))
    limits = [row for row in events if row.event == companion.limit_event]
    if found and (not limits or limits[0].ts > found[0].ts):
        before = look.first - look.governed.policy.max_late
        earlier = read_events(look.folder, reading, before, look.first - look.governed.policy.window, fields)
        limits = [*(row for row in earlier if row.event == companion.limit_event), *limits]
    for row in found[:MAX_LISTED]:
        yield _beside(companion, row, _newest_before(limits, row.ts))
    if len(found) > MAX_LISTED:
        yield Evidence(f"… and {len(found) - MAX_LISTED:,} more", {"not_listed": len(found) - MAX_LISTED})


def _newest_before(limits: Sequence[RawEvent], at: datetime) -> RawEvent | None:
    return next((row for row in reversed(limits) if row.ts <= at), None)


def _beside(companion: Companion, row: RawEvent, limit: RawEvent | None) -> Evidence:
    values = [row.number(name) for name in companion.between]
    apart = abs(values[0] - values[1]) if values[0] is not None and values[1] is not None else None
    most = limit.number(companion.limit_field) if limit else None
    is_within = apart <= most if apart is not None and most is not None else None
    fields = ", ".join(
        f"{name} {'n/a' if value is None else number(value)}"
        for name, value in zip(companion.between, values, strict=True)
    )
    if limit is None or most is None:
        told = f"no {companion.limit_event} with {companion.limit_field} came before: cannot be compared"
    else:
        verdict = {True: "within it", False: "beyond it", None: "cannot be compared"}[is_within]
        told = f"{companion.limit_field} {number(most)} by {companion.limit_event} of {iso(limit.ts)}: {verdict}"
    return Evidence(
        f"{iso(row.ts)}: {fields}; {told}",
        {
            "ts": iso(row.ts),
            "between": dict(zip(companion.between, values, strict=True)),
            "apart": apart,
            "limit": most,
            "limit_ts": iso(limit.ts) if limit else None,
            "within": is_within,
        },
    )
