"""A duration on the command line, as the policy writes it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from checker.policy.durations import parse_duration

if TYPE_CHECKING:
    _DurationType = click.ParamType[timedelta]
else:
    _DurationType = click.ParamType  # generic in newer versions alone


class Duration(_DurationType):
    """A time such as 30s, 15m or 24h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The time that the text says."""
        found = value if isinstance(value, timedelta) else parse_duration(value)
        if found is None:
            self.fail(f"{value!r} is no duration such as 30s, 15m or 24h", param, ctx)
        return found
