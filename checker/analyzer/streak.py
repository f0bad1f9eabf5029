"""From which window on a streak counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from checker.analyzer.batch_index import ReleaseSeen
from checker.windows import ceil_to_window


def new_release_at(releases: Iterable[ReleaseSeen], before: datetime) -> datetime | None:
    """When the newest release that others came before was first seen, among events earlier than `before`.

    `releases` are in the order of their first events. The first release of all is not new.
    """
    seen: set[str] = set()
    newest = None
    for row in releases:
        if row.first_at < before and row.release not in seen:
            newest = row.first_at if seen else None
            seen.add(row.release)
    return newest


def streak_start(
    length: timedelta, phase_entry: datetime, release_at: datetime | None, digest_changed_at: datetime | None
) -> datetime:
    """Start of the first whole window after the phase's entry, the newest release and the last change of judging."""
    instants = [instant for instant in (phase_entry, release_at, digest_changed_at) if instant is not None]
    return ceil_to_window(max(instants), length)
