"""Durations as the policy writes them: `30s`, `15m`, `24h`, `3d`."""

from __future__ import annotations

import re
from datetime import timedelta

DAY = timedelta(days=1)

_DURATION = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": DAY}


def parse_duration(text: str) -> timedelta | None:
    """The time that `text` says, above 0; None where it is no duration."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _UNITS[match[2]] if match else None


def duration_of(text: str) -> timedelta:
    """The time that `text` says. Raises ValueError where it is no duration."""
    duration = parse_duration(text)
    if duration is None:
        raise ValueError(f"{text!r} is no duration")
    return duration
