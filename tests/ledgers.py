"""Builds valid, chained ledgers for tests: `LedgerBuilder().phase_change("off", "A").decision(START).write(path)`.

Every method appends one record and returns the builder. `at` is a time as text; without it the record is made one
minute after the one before. Digests are given as short labels: `digest("policy-1")` is what the record then carries.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from checker.ledger.records import GENESIS, Ledger, Record, parse_ledger
from checker.ledger.state import LedgerState, fold
from checker.windows import iso, parse_iso

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
WINDOW = timedelta(minutes=15)


def digest(label: str) -> str:
    """A SHA-256 digest (hex) that stands for `label`."""
    return hashlib.sha256(label.encode()).hexdigest()


class LedgerBuilder:
    """A ledger under construction, with `phase` the one that its newest record speaks of."""

    def __init__(self, phase: str = "off") -> None:
        self.phase = phase
        self.lines: list[bytes] = []
        self.now = FIRST - timedelta(minutes=1)

    def record(
        self,
        kind: str,
        data: Mapping[str, Any],
        *,
        at: str | None = None,
        name: str | None = None,
        window: str | None = None,
        **fields: Any,
    ) -> Self:
        """Append a record of `kind`; None in `data` is left out. `fields` overwrite, to make a faulty record say."""
        self.now = self.now + timedelta(minutes=1) if at is None else parse_iso(at)
        seq = len(self.lines) + 1
        document = {
            "schema_version": 1,
            "seq": seq,
            "at": iso(self.now),
            "kind": kind,
            "phase": self.phase,
            "window_start": window,
            "id": name or f"{kind}-{seq}",
            "prev": hashlib.sha256(self.lines[-1]).hexdigest() if self.lines else GENESIS,
            "data": {key: value for key, value in data.items() if value is not None or key == "incident"},
        }
        self.lines.append(json.dumps(document | fields, separators=(",", ":"), ensure_ascii=False).encode())
        return self

    def phase_change(self, source: str, to: str, **where: Any) -> Self:
        """The rollout goes from the phase `source` to the phase `to`."""
        self.phase = to
        return self.record("phase_change", {"from": source, "to": to, "by": "Ada", "reason": "as planned"}, **where)

    def decision(
        self,
        window: str,
        *,
        outcome: str = "ok",
        decision: str = "hold",
        violations: Sequence[str] = (),
        judging: str = "policy-1",
        inputs: str = "logs-1",
        rollback_required: bool | None = None,
        **where: Any,
    ) -> Self:
        """What was decided for the 15 minutes from `window` on; violations make the outcome one, and a rollback."""
        data = {
            "outcome": "violation" if violations else outcome,
            "decision": "rollback" if violations else decision,
            "rollback_required": bool(violations) if rollback_required is None else rollback_required,
            "judging_digest": digest(judging),
            "governed_digest": digest(judging),
            "inputs_digest": digest(inputs),
            "violations": list(violations),
            "window_end": iso(parse_iso(window) + WINDOW),
        }
        return self.record("decision", data, window=window, **where)

    def notice(self, notice: str = "autosave-ok", *, outcome: str = "ok", **where: Any) -> Self:
        """A notice of the policy's rule `notice`."""
        data = {"notice": notice, "outcome": outcome, "channel": "#autosave-rollout", "text": "all is well"}
        return self.record("notice", data, **where)

    def delivery(self, notice_id: str, *, result: str = "delivered", **where: Any) -> Self:
        """An attempt to deliver the notice whose record has the id `notice_id`."""
        return self.record("delivery", {"notice_id": notice_id, "transport": "slack", "result": result}, **where)

    def incident(
        self,
        event: str,
        incident: str,
        *,
        slos: Sequence[str] = (),
        cause: str = "violation",
        by: str | None = "Ada",
        reason: str | None = "seen",
        **where: Any,
    ) -> Self:
        """The incident called `incident` was opened, added, cancelled or ended."""
        tells_cause = event in ("opened", "added")
        data = {
            "event": event,
            "by": by,
            "reason": reason,
            "cause": cause if tells_cause else None,
            "slos": list(slos) if tells_cause else None,
        }
        return self.record("incident", data, name=incident, **where)

    def rollback(
        self,
        event: str,
        source: str,
        to: str,
        *,
        incident: str | None = None,
        name: str = "rollback-1",
        **where: Any,
    ) -> Self:
        """A rollback from `source` to `to` was proposed, begun, ended or failed."""
        data = {"event": event, "from": source, "to": to, "incident": incident, "by": "Ada", "reason": "violation"}
        self.phase = to if event == "ended" else source
        return self.record("rollback", data, name=name, **where)

    def approval(
        self,
        role: str,
        *,
        subject: str = "advance",
        judging: str = "policy-1",
        incident: str | None = None,
        **where: Any,
    ) -> Self:
        """An approval by `role`: of an advance under `judging`, of a change to it, or of `incident`."""
        bounds: dict[str, dict[str, str | None]] = {
            "advance": {"judging_digest": digest(judging)},
            "change": {"governed_digest": digest(judging)},
            "incident": {"incident": incident},
        }
        data = {"subject": subject, "role": role, "by": "Ada", **bounds[subject]}
        return self.record("approval", data, **where)

    def pause(self, *, until: str | None = None, **where: Any) -> Self:
        """The rollout is paused, until a time or until somebody resumes it."""
        return self.record("pause", {"by": "Ada", "reason": "holidays", "until": until}, **where)

    def resume(self, **where: Any) -> Self:
        """The rollout is resumed."""
        return self.record("resume", {"by": "Ada", "reason": "back at work"}, **where)

    def content(self) -> bytes:
        """The bytes of the ledger's file."""
        return b"".join(line + b"\n" for line in self.lines)

    def write(self, path: Path) -> Path:
        """Write the file, its folder included."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content())
        return path

    def read(self, as_of: datetime = END_OF_TIME) -> Ledger:
        """The ledger, read back as it stood at `as_of`."""
        return parse_ledger(self.content(), "ledger/autosave.jsonl", as_of)

    def records(self) -> tuple[Record, ...]:
        """All its records."""
        return self.read().records

    def state(self) -> LedgerState:
        """What its records come to."""
        return fold(self.records())
