"""Where a command's telemetry came from, in the words of the call: options to repeat, the folder, what it lacks."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from checker.windows import iso, stamp

if TYPE_CHECKING:
    from checker.analyzer.batches import LogFolder
    from checker.policy.model import Policy

_OPTIONS = ("policy", "logs", "ledger", "as_of", "fixture", "events_of")


def source_arguments(context: click.Context) -> tuple[str, ...]:
    """The options of the call that say what is looked at, as a command suggested from it must repeat them."""
    given = (name for name in _OPTIONS if context.get_parameter_source(name) is ParameterSource.COMMANDLINE)
    return tuple(f"--{name.replace('_', '-')}={_text(context.params[name])}" for name in given)


def _text(value: object) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)


def shown_folder(policy: Policy, logs: Path | None) -> str:
    """The folder of batches as it was given, else the project's own, as it is reached from here."""
    return str(logs) if logs else os.path.relpath(policy.root / "logs" / policy.target)


def missing_batch(folder: LogFolder, start: datetime, shown: str) -> str:
    """Which file the window that starts at `start` lacks, in which folder, its neighbours, and where to look."""
    from checker.analyzer.batches import SUFFIXES

    before = [batch.path.name for batch in folder.batches if batch.start < start]
    after = [batch.path.name for batch in folder.batches if batch.start > start]
    first, *others = SUFFIXES
    return (
        f"expected {stamp(start)}{first} (or {', '.join(others)}) in {shown}; the batch before it is "
        f"{before[-1] if before else 'none'}, after it {after[0] if after else 'none'}; look whether the collector ran"
    )
