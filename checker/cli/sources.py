"""Where a command looks, in the words of the call: options to repeat, the folder, what is missing in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from checker.cli.common import NO_LEDGER
from checker.errors import UsageError
from checker.windows import iso, parse_iso, stamp

if TYPE_CHECKING:
    from checker.policy.model import Policy

_OPTIONS = ("policy", "logs", "ledger", "as_of", "fixture", "events_of")


def source_arguments(context: click.Context) -> tuple[str, ...]:
    """The options of the call that say what is looked at, as a command suggested from it must repeat them."""
    given = (name for name in _OPTIONS if context.get_parameter_source(name) is ParameterSource.COMMANDLINE)
    return tuple(_option(name, context.params[name]) for name in given)


def _option(name: str, value: object) -> str:
    if (name, value) == ("ledger", NO_LEDGER):
        return "--no-ledger"
    return f"--{name.replace('_', '-')}={_text(value)}"


def _text(value: object) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)


def shown_folder(policy: Policy, logs: Path | None) -> str:
    """The folder of batches as it was given, else the project's own, as it is reached from here."""
    return str(logs) if logs else os.path.relpath(policy.root / "logs" / policy.target)


def named_folder(logs: Path | None, root: Path) -> str:
    """The folder as others know it: by its path in the project `root`, else by its name; no path of this machine."""
    if logs is None:
        return ""
    place = logs.resolve()
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else f"…/{place.name}"


def clock_in(root: Path, shown: str) -> datetime:
    """The time in the project's file `shown`, which goes with its sample of logs. Raises UsageError for none."""
    from checker.policy.governed_text import read_governed_text

    try:
        return parse_iso((read_governed_text(root, shown).text or "").strip())
    except ValueError:
        raise UsageError(f"{shown}: is no time such as 2026-01-02T11:45:00Z; name logs with --logs") from None


@dataclass(frozen=True, slots=True)
class Place:
    """Where batches are looked for: the folder, and how the call names it; a fixture's own folder has no name."""

    folder: Path
    shown: str
    is_fixture: bool = False

    def missing(self, start: datetime) -> str:
        """Which file the window that starts at `start` lacks, where, what is there instead, and what to look at."""
        from checker.analyzer.batches import SUFFIXES, LogFolder

        if self.is_fixture:
            return f"{self.shown} has no line of it"
        batches = LogFolder(self.folder).batches
        before = [batch.path.name for batch in batches if batch.start < start]
        after = [batch.path.name for batch in batches if batch.start > start]
        earlier, later = before[-1] if before else "none", after[0] if after else "none"
        first, *others = SUFFIXES
        return (
            f"expected {stamp(start)}{first} (or {', '.join(others)}) in {self.shown}; the batch before it is "
            f"{earlier}, after it {later}; look whether the collector ran"
        )
