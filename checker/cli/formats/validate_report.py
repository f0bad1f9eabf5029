"""What `validate` found, as text and as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checker.analyzer.quarantine import BatchAccount
from checker.cli.formats.explain_table import account_text
from checker.cli.formats.json_document import SCHEMA_VERSION
from checker.cli.formats.wording import reasons_text
from checker.governance.log_validation import LogReport
from checker.governance.validation import Validation
from checker.reporter.shell import command_line
from checker.units import counted, plain
from checker.windows import iso

FIRST_LINES = 3


@dataclass(frozen=True, slots=True)
class LogPlace:
    """How the call names the log folder, and the command that shows a batch's broken lines, but for its `--window`."""

    folder: str
    explain: tuple[str, ...]


def validation_text(validation: Validation) -> str:
    """One line for each kind of thing checked."""
    width = max(len(checked.kind) for checked in validation.checked)
    return "".join(f"{item.kind:<{width}}  {item.count:>3}  {item.how}\n" for item in validation.checked)


def logs_text(report: LogReport, place: LogPlace) -> str:
    """The account of the whole folder, then each batch with broken or odd lines and the first of the broken ones."""
    return "".join(f"{line}\n" for line in _log_lines(report, place))


def _log_lines(report: LogReport, place: LogPlace) -> Iterator[str]:
    yield f"logs in {plain(place.folder)}: {counted(len(report.batches), 'batch', 'batches')}"
    reasons = f" ({reasons_text(report.quarantined)})" if report.quarantined else ""
    yield (
        f"  {counted(report.lines, 'line')} = {counted(report.events, 'event')} + "
        f"{counted(report.duplicates, 'duplicate')} + {report.too_late:,} too late + "
        f"{sum(report.quarantined.values()):,} quarantined{reasons}"
    )
    for name, why in report.unreadable.items():
        yield f"  {plain(name)}: {plain(why)}"
    for batch in report.batches:
        if batch.duplicates or batch.too_late or batch.quarantined:
            yield from _batch_lines(batch, place)


def _batch_lines(batch: BatchAccount, place: LogPlace) -> Iterator[str]:
    yield f"  {plain(batch.name)}: {account_text(batch)}"
    for line in batch.broken[:FIRST_LINES]:
        yield f"    {plain(batch.name)}:{line.number}: {line.reason}: {line.detail}"
        yield f"      {line.excerpt}"
    if len(batch.broken) > FIRST_LINES:
        command = command_line((*place.explain, f"--window={iso(batch.start)}"))
        yield f"    … and {len(batch.broken) - FIRST_LINES:,} more; all of them:\n    {command}"


def validate_document(validation: Validation, report: LogReport | None) -> dict[str, Any]:
    """Problems, what was checked, and the logs' account (null where it was not asked for)."""
    return {
        "schema_version": SCHEMA_VERSION,
        "problems": [
            {"path": item.path, "line": item.line, "column": item.column, "message": item.message}
            for item in validation.problems
        ],
        "checked": [{"kind": item.kind, "count": item.count, "how": item.how} for item in validation.checked],
        "logs": None if report is None else _logs_document(report),
    }


def _logs_document(report: LogReport) -> dict[str, Any]:
    return {
        "lines": report.lines,
        "events": report.events,
        "duplicates": report.duplicates,
        "too_late": report.too_late,
        "quarantined": sum(report.quarantined.values()),
        "quarantined_by_reason": dict(report.quarantined),
        "copies_between_batches": report.copies_between,
        "unreadable": dict(report.unreadable),
        "batches": [_batch_document(batch) for batch in report.batches],
    }


def _batch_document(batch: BatchAccount) -> dict[str, Any]:
    return {
        "batch": batch.name,
        "window_start": iso(batch.start),
        "lines": batch.lines,
        "events": batch.events,
        "duplicates": batch.duplicates,
        "too_late": batch.too_late,
        "quarantined": sum(batch.quarantined.values()),
        "quarantined_by_reason": dict(batch.quarantined),
        "first_broken": [
            {"line": line.number, "reason": line.reason, "detail": line.detail, "excerpt": line.excerpt}
            for line in batch.broken[:FIRST_LINES]
        ],
    }
