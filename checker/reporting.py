"""What the ledger holds reaches people: dashboard and Runbook, notices, and a rollback where the policy runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from checker.acting import rollback_teller
from checker.analyzer.governed import Governed
from checker.errors import PhasegateError, Refused
from checker.governance.approval_files import project_verifier
from checker.governance.signed_acts import with_counting_incidents
from checker.ledger.append import END_OF_TIME
from checker.ledger.records import End, Record, read_ledger
from checker.ledger.state import LedgerState, fold
from checker.ledger.values import RecordedNotice
from checker.pipeline import Past, Request, read_past, survey, windows_around
from checker.policy.model import COMPLETE, OFF, Policy
from checker.reporter.dashboard.write import write_dashboard
from checker.reporter.delivery import Carriers, Clock, Delivery, Post, Sent, reporting
from checker.reporter.rollback.execute import Desk, Outcome, execute
from checker.reporter.runbook.report import Evidence
from checker.reporter.runbook.view import IncidentView, subjects_of, view_of
from checker.reporter.runbook.write import REPORT, page_place, write_page, write_report
from checker.whole_file import safe_name, write_whole
from checker.windows import window_at

INITIATOR = "phasegate"
APPROVED_WITHIN = timedelta(days=7)  # how long after its end an incident's report is still renewed


@dataclass(slots=True)
class Reported:
    """What a run came to: what was sent, the rollback that was made, and what could not be written, in words."""

    sent: Sent = field(default_factory=Sent)
    rollback: Outcome | None = None
    refused: str = ""
    faults: list[str] = field(default_factory=list)
    kept: list[RecordedNotice] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether everything was delivered, written and done."""
        failed = self.rollback is not None and self.rollback.event != "ended"
        return self.sent.is_complete and not self.faults and not self.refused and not failed


@dataclass(slots=True)
class Reporter:
    """One run over a ledger; `reports` is the folder that dashboard, Runbooks and kept notices lie in."""

    governed: Governed
    request: Request
    ledger: Path
    reports: Path
    carriers: Carriers
    clock: Clock
    deadline_s: float
    reported: Reported = field(default_factory=Reported)
    _shown: End | None = None  # the end of the ledger that is shown

    def run(self) -> Reported:
        """Show, send, and roll back where the policy has it run here. Raises NotRecorded, LedgerInvalid.

        Every notice is tried once before a rollback is made, and those that failed again after it: people hear of the
        incident first, and an outage of theirs holds nothing up.
        """
        with reporting(self.ledger):
            self._show()
            post = Post(self.carriers, self._page, self._keep)
            delivery = Delivery(self.governed.policy, self.ledger, post, self.clock, self.deadline_s)
            delivery.once()
            self._roll_back()
            delivery.look()
            self.reported.sent = delivery.run()
            self._show()
        self.reported.faults = list(dict.fromkeys(self.reported.faults))
        return self.reported

    def _past(self) -> Past:
        return read_past(replace(self.request, as_of=self.clock.now(), ledger=self.ledger))

    def _show(self) -> None:
        """Renew the dashboard and every page; what cannot be written is told at the end, and stops nothing."""
        past = self._past()
        if self._shown == past.end:
            return
        self._shown = past.end
        self._try("the dashboard", lambda: self._dashboard(past))
        for subject in subjects_of(past.state):
            self._try(f"the Runbook of {subject}", lambda subject=subject: self._renew(past, subject))  # type: ignore[misc]

    def _try(self, what: str, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as fault:
            self.reported.faults.append(f"{what} cannot be written: {fault.strerror or fault}")
        except PhasegateError as fault:
            self.reported.faults.append(f"{what} is not renewed: {fault}")
        except Exception as fault:  # a page that stumbles over a value holds up no notice and no rollback
            self.reported.faults.append(f"{what} is not renewed: internal error: {type(fault).__name__}: {fault}")

    def _dashboard(self, past: Past) -> None:
        if past.state.phase is None and not self.request.phase:
            return  # no phase is known that could judge
        request = replace(self.request, as_of=self.clock.now())
        write_dashboard(self.reports / "monitoring", survey(self.governed, request, past))

    def _renew(self, past: Past, subject: str) -> None:
        view = self._view(past.state, past.records, subject)
        write_page(self.reports, view)
        report = (self.reports / page_place(subject)).parent / REPORT
        if view.incident is not None and view.incident.violations and (not report.exists() or _may_change(view)):
            evidence, why = self._evidence(past, view)
            write_report(self.reports, view, evidence, why)

    def _evidence(self, past: Past, view: IncidentView) -> tuple[Evidence | None, str]:
        incident = view.incident
        if incident is None or incident.window_start is None:
            return None, "the ledger names no window"
        window = window_at(incident.window_start, self.governed.policy.window)
        request = replace(self.request, phase=view.phase, events_of=None, as_of=self.clock.now())
        try:
            around, rows = windows_around(self.governed, request, past, window)
        except PhasegateError as fault:
            return None, str(fault)
        return Evidence(window, around, rows), ""

    def _view(self, state: LedgerState, records: tuple[Record, ...], subject: str) -> IncidentView:
        policy = self.governed.policy
        counted = with_counting_incidents(policy, state, lambda instant: project_verifier(policy, instant)())
        return view_of(policy, subject, counted, records, self.clock.now())

    def _page(self, state: LedgerState, subject: str) -> str:
        records = read_ledger(self.ledger, END_OF_TIME).records
        return f"reports/{write_page(self.reports, self._view(state, records, subject))}"

    def _keep(self, notice: RecordedNotice) -> str:
        place = f"notices/{safe_name(notice.id)}.txt"
        write_whole(self.reports / place, f"{notice.channel}\n\n{notice.text}\n".encode("utf-8", "backslashreplace"))
        self.reported.kept.append(notice)
        return f"reports/{place}"

    def _roll_back(self) -> None:
        """Run the policy's rollback where its mode is to execute and the open incident asks for it.

        Where a person must, that is told each time until it is done: an incident that nobody answers is never silent.
        """
        policy = self.governed.policy
        records = read_ledger(self.ledger, END_OF_TIME).records
        state = fold(records)
        incident = state.open_incident
        if policy.rollback.mode != "execute" or incident is None or not incident.rollback_required:
            return
        if waits := waits_for_a_person(policy, state, incident.id, self.clock.now()):
            self.reported.refused = f"NOT ROLLED BACK: {incident.id}: {waits}"
            return
        view = self._view(state, records, incident.id)
        request = replace(self.request, phase=incident.phase, as_of=self.clock.now())
        desk = Desk(policy, self.ledger, self.clock, rollback_teller(self.governed, request))
        try:
            self.reported.rollback = execute(desk, incident.phase, INITIATOR, view.reason, incident.id)
        except Refused as fault:
            self.reported.refused = str(fault)


def _may_change(view: IncidentView) -> bool:
    """Whether the report is renewed: as long as the incident is open, and for a week to come for its approvals."""
    incident = view.incident
    return incident is not None and (incident.closed_at is None or view.as_of - incident.closed_at < APPROVED_WITHIN)


def waits_for_a_person(policy: Policy, state: LedgerState, incident: str, now: datetime) -> str:
    """Why the tool does not roll back by itself, empty where it does."""
    if state.phase is None:
        return "the ledger names no phase; enter it with `phasegate advance --phase off`, or roll back by hand"
    if state.phase in (OFF, COMPLETE):
        return f"the rollout is {state.phase}"
    if state.rollback_unknown is not None:
        return f"the outcome of {state.rollback_unknown.id} is unknown; record it with --done or --failed"
    failed = sum(row.incident == incident and row.event == "failed" for row in state.rollbacks)
    if failed >= policy.rollback.tries:
        return f"its command failed {failed} times; look at its output, and run `phasegate rollback --yes`"
    recent = sum(row.at > now - policy.rollback.max_rollbacks_within for row in state.rollbacks_ended)
    if recent >= policy.rollback.max_rollbacks:
        return f"there were {recent} rollbacks already; a further one is a person's: `phasegate rollback --yes`"
    return ""
