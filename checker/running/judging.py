"""One pass over what is to be judged: check, concerns, report, verify. A step that fails is told, and stops none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from checker.alarms import record_concerns, record_given_up
from checker.analyzer.governed import Governed
from checker.collector.retry import GivenUp
from checker.errors import PhasegateError
from checker.ledger.state import LedgerState
from checker.model import Decision, Status
from checker.pipeline import Past, Request, judging_phase, read_past
from checker.policy.model import COMPLETE, OFF
from checker.recording import check_and_record, recover_and_record
from checker.reporter.delivery import Carriers
from checker.reporter.health import Concern
from checker.reporter.recovery_plan import progress
from checker.reporting import Reporter
from checker.running.heartbeat import ping
from checker.running.instants import Since
from checker.running.watch import concerns_of
from checker.verify.model import Result
from checker.verify.run import verify
from checker.watching import watch
from checker.windows import iso, iso_or_none, parse_iso, stamp

VERDICTS = (Status.OK, Status.WARN, Status.VIOLATION)
SEND_DEADLINE_S = 60.0
MAX_VERIFIED_BYTES = 64 << 20  # of a batch; what is larger would hold up the next pass


@dataclass(frozen=True, slots=True)
class Order:
    """What the supervisor asks of a pass. `concerns` are its own; `silent_since` is when a verdict last came."""

    at: datetime
    given_up: tuple[GivenUp, ...] = ()
    concerns: tuple[Concern, ...] = ()
    silent_since: datetime | None = None
    checks: bool = True


@dataclass(slots=True)
class Pass:
    """One pass. `said` becomes what the supervisor hears of it: plain JSON."""

    governed: Governed
    request: Request
    ledger: Path
    reports: Path
    carriers: Carriers
    environ: Mapping[str, str]
    order: Order
    clock: Since = field(init=False)
    said: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = Since(self.order.at)
        self.said = {"kind": "judged", "at": iso(self.order.at)}

    def run(self) -> Mapping[str, Any]:
        """Do every step, and say what came of them. Raises nothing that a step met."""
        self._step("given up", self._given_up)
        if self.order.checks:
            self._step("recovery", self._recover)
            self._step("check", self._check)
        self._step("concerns", self._concerns)
        self._step("report", self._report)
        if "outcome" in self.said:
            self._step("verify", self._verify)
            self._step("heartbeat", self._ping)
        self._step("ledger", self._stand)
        return self.said | {"faults": self.faults}

    def _step(self, name: str, step: Callable[[], None]) -> None:
        try:
            step()
        except PhasegateError as fault:
            self.faults.append(f"{name}: {fault}")
        except OSError as fault:
            self.faults.append(f"{name}: {fault.strerror or fault}")
        except Exception as fault:
            self.faults.append(f"{name}: internal error: {type(fault).__name__}: {fault}")

    def _past(self) -> Past:
        return read_past(self._request())

    def _request(self) -> Request:
        return replace(self.request, as_of=self.clock.now())

    def _given_up(self) -> None:
        self._tell(record_given_up(self.governed, self._request(), self.clock.now, self.order.given_up))

    def _recover(self) -> None:
        self._tell(recover_and_record(self.governed, self._request(), self.clock.now))

    def _check(self) -> None:
        state = self._past().state
        if state.phase in (OFF, COMPLETE):
            self.said["stands_at"] = state.phase
            return
        phase = judging_phase(self.governed.policy, state, self.request.phase or self.governed.policy.phase_names[0])
        told = check_and_record(self.governed, replace(self.request, phase=phase), self.clock.now)
        self._tell(told.lines)
        self.said |= _verdict(told.result.decision)

    def _concerns(self) -> None:
        found = [*self.order.concerns, *self._silence()]
        if self.order.checks:
            found += concerns_of(watch(self.governed, self._request(), self._past()))
        self.said["concerns"] = [concern.told for concern in found]
        record_concerns(self.governed.policy, self.ledger, found, self.clock.now())

    def _silence(self) -> Sequence[Concern]:
        since, limit = self.order.silent_since, self.governed.policy.collector.no_verdict_after
        if since is None or self.said.get("is_verdict") or self.clock.now() - since < limit:
            return ()
        return (Concern(f"no_verdict/{iso(since)}", f"has had no verdict since {iso(since)}; look at /healthz"),)

    def _report(self) -> None:
        if not self._past().state.exists:
            return
        request = replace(self._request(), phase=self.said.get("phase", self.request.phase))
        reporter = Reporter(
            self.governed, request, self.ledger, self.reports, self.carriers, self.clock, SEND_DEADLINE_S
        )
        reported = reporter.run()
        self.faults += [f"report: {fault}" for fault in reported.faults]
        self.faults += [f"report: not delivered: {name}: {why}" for name, why in reported.sent.failed.items()]
        if reported.refused:
            self.faults.append(f"report: {reported.refused}")
        if reported.rollback is not None:
            self.said["rollback"] = {"id": reported.rollback.id, "event": reported.rollback.event}

    def _verify(self) -> None:
        """The checklist over the judged window alone: it reads every line a second time, by other code."""
        start = parse_iso(self.said["window"])
        size = sum(file.stat().st_size for file in self.request.logs.glob(f"{stamp(start)}.jsonl*"))
        if size > MAX_VERIFIED_BYTES:
            self._tell([f"not verified: the batch has {size:,} bytes; `phasegate verify` looks at it in its own time"])
            return
        steps = verify(self.governed, self._verifying(), self._past(), self.reports, start)
        self.said["verified"] = all(step.result is not Result.FAILED for step in steps)
        self.faults += [f"verify: {step.title} failed" for step in steps if step.result is Result.FAILED]

    def _verifying(self) -> Request:
        return replace(self._request(), phase=self.said["phase"])

    def _ping(self) -> None:
        if self.said["is_verdict"]:
            ping(self.environ)

    def _stand(self) -> None:
        """What the ledger says in the end: the outbox, and when a recovery is to be looked at next."""
        state = self._past().state
        self.said["outbox"] = sum(not notice.is_settled for notice in state.notices)
        self.said["recovery_next"] = iso_or_none(_next_check(self.governed, state))
        self.said.setdefault("stands_at", state.phase)

    def _tell(self, lines: Sequence[str]) -> None:
        self.said["told"] = [*self.said.get("told", ()), *lines]


def _verdict(decision: Decision) -> dict[str, Any]:
    return {
        "phase": decision.phase,
        "window": iso(decision.window.start),
        "outcome": decision.outcome.value,
        "decision": decision.verdict.value,
        "rollback_required": decision.rollback_required,
        "is_verdict": decision.outcome in VERDICTS,
        "slos": {
            row.slo: {"status": row.status.value, "value": row.value, "limit": row.threshold.limit}
            for row in decision.judgements
        },
    }


def _next_check(governed: Governed, state: LedgerState) -> datetime | None:
    rollback, incident = governed.policy.rollback, state.open_incident
    return progress(incident, rollback.recovery_every, rollback.recovery_for).next_due if incident else None
