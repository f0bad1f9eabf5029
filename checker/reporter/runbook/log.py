"""Everything that the ledger holds of an incident, in the order of time, as the Runbook's log. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from checker.ledger.records import Record
from checker.reporter.runbook.markdown import clock, code, fenced, md
from checker.reporter.runbook.view import IncidentView


def log_lines(view: IncidentView) -> Iterator[str]:
    """A block of Markdown for each record."""
    for record in view.records:
        told = _TOLD[record.kind](record) if record.kind in _TOLD else record.kind
        yield f"**{clock(record.at)}** · record {record.seq} · {told}"


def _incident(record: Record) -> str:
    data = record.data
    window = f", window {clock(record.window_start)}" if record.window_start else ""
    slos = f": {', '.join(map(code, data.get('slos', ())))}" if data.get("slos") else ""
    by = f" by {md(data['by'])}" if data.get("by") else ""
    step = f", step {data['step']} done" if data.get("step") else ""
    reason = f": {md(data['reason'])}" if data.get("reason") else ""
    cause = f" ({md(data['cause'])})" if data.get("cause") else ""
    return f"incident {md(data['event'])}{cause}{window}{slos}{by}{step}{reason}"


def _notice(record: Record) -> str:
    data = record.data
    state = f", {md(data['state'])}" if data.get("state") else ""
    return f"notice {code(data['notice'])} for {code(data['channel'])}{state}\n\n{fenced(data['text'])}"


def _delivery(record: Record) -> str:
    data = record.data
    receipt = f" ({code(data['receipt'])})" if data.get("receipt") else ""
    detail = f": {md(data['detail'])}" if data.get("detail") else ""
    return f"{md(data['result'])} {code(data['notice_id'])} by {md(data['transport'])}{receipt}{detail}"


def _rollback(record: Record) -> str:
    data = record.data
    number = f" (attempt {data['attempt']})" if data.get("attempt") else ""
    exit_code = f", exit code {data['exit_code']}" if "exit_code" in data else ""
    return (
        f"rollback {md(data['event'])}{number}: {md(data['from'])} → {md(data['to'])}"
        f" by {md(data['by'])}: {md(data['reason'])}{exit_code}"
    )


def _recovery(record: Record) -> str:
    data = record.data
    return f"recovery check of {md(data['window_end'])}: {'met' if data['met'] else 'not met'} ({md(data['outcome'])})"


def _approval(record: Record) -> str:
    data = record.data
    reason = f": {md(data['reason'])}" if data.get("reason") else ""
    return f"approved by {md(data['role'])} ({md(data['by'])}){reason}"


def _decision(record: Record) -> str:
    data = record.data
    return f"decision {md(data['decision'])}: {md(data['outcome'])}, `rollback_required={_boolean(data)}`"


def _boolean(data: Mapping[str, Any]) -> str:
    return "true" if data["rollback_required"] else "false"


_TOLD: Mapping[str, Callable[[Record], str]] = {
    "incident": _incident,
    "notice": _notice,
    "delivery": _delivery,
    "rollback": _rollback,
    "recovery": _recovery,
    "approval": _approval,
    "decision": _decision,
}
