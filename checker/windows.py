"""UTC window arithmetic: windows are aligned to the epoch, half-open, and named by their start. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from checker.model import Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STAMP = "%Y%m%dT%H%M%SZ"
_STAMP_PATTERN = re.compile(r"[0-9]{8}T[0-9]{6}Z")


def floor_to_window(instant: datetime, length: timedelta) -> datetime:
    """Start of the window that holds `instant`."""
    return instant - (instant - EPOCH) % length


def ceil_to_window(instant: datetime, length: timedelta) -> datetime:
    """Start of the first window that starts at or after `instant`."""
    floor = floor_to_window(instant, length)
    return floor if floor == instant else floor + length


def window_at(start: datetime, length: timedelta) -> Window:
    """The window that starts at `start`."""
    return Window(start, start + length)


def newest_closed(as_of: datetime, length: timedelta, lateness: timedelta) -> Window:
    """The newest window whose end lies at least `lateness` before `as_of`."""
    end = floor_to_window(as_of - lateness, length)
    return Window(end - length, end)


def closed_at(window: Window, lateness: timedelta) -> datetime:
    """The instant from which `window` counts as closed."""
    return window.end + lateness


def windows_between(first: datetime, end: datetime, length: timedelta) -> Iterator[Window]:
    """Every window from the one that starts at `first`, up to but without the one that starts at `end`."""
    start = first
    while start < end:
        yield Window(start, start + length)
        start += length


def stamp(start: datetime) -> str:
    """`20260101T001500Z`: the name of a window's batch file."""
    return start.strftime(_STAMP)


def parse_stamp(text: str) -> datetime | None:
    """The instant that `20260101T001500Z` names, or None where `text` is no such name."""
    if not _STAMP_PATTERN.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def iso(instant: datetime) -> str:
    """`2026-01-02T11:45:00Z`, with microseconds only where there are any."""
    text = instant.astimezone(UTC).isoformat().replace("+00:00", "")
    return f"{text}Z"


def iso_or_none(instant: datetime | None) -> str | None:
    """The instant as `iso` writes it; None where there is none."""
    return None if instant is None else iso(instant)


def parse_iso(text: str) -> datetime:
    """The instant that an ISO 8601 text with a zone names, in UTC.

    Raises ValueError where `text` is no time or names no zone.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} names no zone; write 2026-01-02T11:45:00Z")
    return instant.astimezone(UTC)
