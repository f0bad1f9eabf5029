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
from checker.windows import iso, stamp

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
