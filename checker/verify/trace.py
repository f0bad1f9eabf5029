"""Step 6: `rollback_required` followed from the decision to the Runbook, record by record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from checker.ledger.records import Record
from checker.ledger.values import Incident
from checker.regular import open_regular
from checker.reporter.outbox import RUNBOOK
from checker.reporter.runbook.write import page_place
from checker.units import counted
from checker.verify.model import Evidence, Look, Step
from checker.windows import iso

TITLE = "rollback_required from the decision to the Runbook"
_DELIVERED = ("delivered", "kept")


def trace_step(look: Look) -> Step:
    """The step over the incidents opened in the time, else the newest one; not applicable where there is none."""
    records, state = look.past.records, look.past.state
    evidence = [*_lost(look, records)]
    chosen = [row for row in state.incidents if row.opened_at >= look.first] or list(state.incidents[-1:])
    for incident in chosen:
        evidence += _traced(look, incident, records)
    missing = "" if evidence else "nothing to trace: the ledger has no incident"
    return Step("trace", TITLE, tuple(evidence), missing)


def _lost(look: Look, records: Sequence[Record]) -> Iterator[Evidence]:
    """Decisions to roll back of the time that no incident answers."""
    opened = {record.at for record in records if record.kind == "incident" and record.data["event"] == "opened"}
    rolled = [row for row in records if row.kind == "decision" and row.data["decision"] == "rollback"]
    for record in rolled:
        if record.at >= look.first and record.at not in opened:
            told = f"decision {record.seq} of {iso(record.at)} rolls back, and no incident was opened with it"
            yield Evidence(told, {"decision": record.seq, "missing": ["incident"]}, is_fault=True)


def _traced(look: Look, incident: Incident, records: Sequence[Record]) -> Iterator[Evidence]:
    if incident.cause != "violation":
        told = f"{incident.id}: its cause is {incident.cause}, which rolls nothing back"
        yield Evidence(told, {"incident": incident.id, "cause": incident.cause})
        return
    links = dict(_links(look, incident, records))
    lacking = [name for name, link in links.items() if link is None]
    for name, link in links.items():
        told = f"{name}: {link if link is not None else 'MISSING'}"
        yield Evidence(
            f"{incident.id}: {told}" if name == next(iter(links)) else f"  {told}",
            {"incident": incident.id, "link": name, "found": link},
            is_fault=link is None,
        )
    end = "unbroken" if not lacking else f"broken; missing: {', '.join(lacking)}"
    yield Evidence(f"  {counted(len(links) - len(lacking), 'link')} of {len(links)}: {end}", {"missing": lacking})


def _links(look: Look, incident: Incident, records: Sequence[Record]) -> Iterator[tuple[str, str | None]]:
    """Each link's name, and the records that make it."""
    own = [record for record in records if incident.id in (record.id, record.data.get("incident"))]
    decisions = [record for record in own if record.kind == "decision" and record.data["rollback_required"]]
    opened = [record for record in own if record.kind == "incident" and record.data["event"] == "opened"]
    notices = [record for record in own if record.kind == "notice"]
    told = [record for record in notices if record.data["outcome"] == "violation"]
    entries = [record for record in notices if record.data["channel"] == RUNBOOK]
    rollbacks = [record for record in own if record.kind == "rollback"]
    yield "decision with rollback_required", _numbers(decisions)
    yield "incident opened", _numbers(opened)
    yield "incident notice", _numbers(told)
    yield "its delivery", _numbers(_deliveries(records, told), "result")
    yield "Runbook entry", _numbers(entries)
    yield "the entry's delivery", _numbers(_deliveries(records, entries), "result")
    yield "Runbook", _page(look.reports, incident.id)
    proposed = [record for record in entries if record.data.get("state") == "proposed"]
    yield "rollback, or its proposal", _numbers(rollbacks, "event") or _numbers(proposed, "state")


def _deliveries(records: Sequence[Record], notices: Sequence[Record]) -> list[Record]:
    """What delivered every one of `notices`; nothing where one of them was not."""
    wanted = {notice.id for notice in notices}
    made = [
        record
        for record in records
        if record.kind == "delivery" and record.data["notice_id"] in wanted and record.data["result"] in _DELIVERED
    ]
    return made if wanted == {record.data["notice_id"] for record in made} else []


def _numbers(records: Sequence[Record], tells: str = "") -> str | None:
    """`record 12`, `records 12, 14 (begun, ended)`; None where there is none."""
    if not records:
        return None
    numbers = ", ".join(str(record.seq) for record in records)
    words: list[Any] = [record.data.get(tells) for record in records] if tells else []
    said = f" ({', '.join(map(str, words))})" if words else ""
    return f"record{'s' if len(records) > 1 else ''} {numbers}{said}"


def _page(reports: Path, subject: str) -> str | None:
    """The Runbook's place below the folder of reports, where a regular file lies there that names the incident."""
    place = page_place(subject)
    try:
        with open_regular(reports / place):
            return place
    except (OSError, ValueError):
        return None
