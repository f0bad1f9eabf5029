"""Makes a rollback: recorded as begun before its command starts, and as what it came to when it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from checker.errors import NotRecorded, Refused
from checker.ledger.append import Draft, LedgerWriter, writing
from checker.ledger.state import LedgerState, fold
from checker.policy.model import Policy
from checker.reporter.rollback.guard import Move, command_of, guarded_command, move, proposal_of, refusals
from checker.reporter.rollback.run import Ran, run_command
from checker.reporter.shell import command_line
from checker.windows import stamp

PAUSES_S = (1.0, 2.0, 5.0, 10.0)  # before another try

# The notices that tell of an event (`proposed`, `begun`, `ended`) of the rollback with this id.
Tell = Callable[[LedgerState, str, str, Move], Sequence[Draft]]


class Clock(Protocol):
    """The instant that records are made at, and a way to wait."""

    def now(self) -> datetime:
        """UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """Where rollbacks are recorded, by which clock, and who hears of them."""

    policy: Policy
    ledger: Path
    clock: Clock
    tell: Tell


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rollback came to: its last event, how many attempts were made, and how the last of them ended.

    `records` are the numbers of its records; none where what it came to was recorded already.
    """

    id: str
    event: str
    move: Move
    records: tuple[int, ...]
    attempts: int = 0
    ran: Ran | None = None


def propose(desk: Desk, phase: str, by: str, reason: str, incident: str | None = None) -> Outcome:
    """Record that a rollback is proposed, once; nothing is run. Raises Refused, NotRecorded.

    It is for the open incident, where there is one; another `incident` is refused, here and below.
    """
    with writing(desk.ledger) as writer:
        state, made = _allowed(desk, writer, phase, by, reason, incident)
        if known := proposal_of(state, made):
            return Outcome(known.id, "proposed", made, ())
        name = _new_id(state, desk.clock.now())
        return Outcome(name, "proposed", made, _append(desk, writer, state, name, "proposed", made))


def execute(desk: Desk, phase: str, by: str, reason: str, incident: str | None = None) -> Outcome:
    """Run the policy's command, again after each recorded failing exit, as often as the policy says.

    A program that cannot be started is not tried again: it would not start then either. Raises Refused where it may not
    be run, and NotRecorded; after the command was run that says what it came to.
    """
    name, attempt = "", 0
    records: list[int] = []
    while True:
        attempt += 1
        with writing(desk.ledger) as writer:
            state, made = _allowed(desk, writer, phase, by, reason, incident)
            known = proposal_of(state, made)
            name = name or (known.id if known else _new_id(state, desk.clock.now()))
            command = command_of(desk.policy, made)
            begun = {"command": list(command), "attempt": attempt}
            records += _append(desk, writer, state, name, "begun", made, begun)
        ran = run_command(command, desk.policy.rollback.deadline.total_seconds())
        event = {0: "ended", None: "timed_out"}.get(ran.exit_code, "failed")
        answered = _record_answer(desk, name, event, made, attempt, ran)
        records += answered
        if event != "failed" or not ran.started or attempt >= desk.policy.rollback.tries:
            return Outcome(name, event, made, tuple(records) if answered else (), attempt, ran)
        desk.clock.sleep(PAUSES_S[min(attempt, len(PAUSES_S)) - 1])


def settle(desk: Desk, phase: str, by: str, reason: str, incident: str | None = None, *, done: bool) -> Outcome:
    """Record what a person saw: a rollback made by hand (`done`), or that one of unknown outcome was not made.

    Raises Refused, NotRecorded.
    """
    with writing(desk.ledger) as writer:
        state = fold(writer.ledger.records)
        unknown = state.rollback_unknown
        if unknown is None and not done:
            raise Refused("--failed settles a rollback whose outcome is unknown; there is none")
        if unknown is not None and unknown.phase_from != phase:
            raise Refused(f"{unknown.id}, whose outcome is unknown, leaves phase {unknown.phase_from}, not {phase}")
        if unknown is not None and incident not in (None, unknown.incident):
            raise Refused(f"{unknown.id}, whose outcome is unknown, is for {unknown.incident or 'no incident'}")
        if unknown is not None:
            made = Move(unknown.phase_from, unknown.phase_to, unknown.incident, by, reason)
            name = unknown.id
        else:
            state, made = _allowed(desk, writer, phase, by, reason, incident)
            known = proposal_of(state, made)
            name = known.id if known else _new_id(state, desk.clock.now())
        event = "ended" if done else "failed"
        return Outcome(name, event, made, _append(desk, writer, state, name, event, made))


def _allowed(
    desk: Desk, writer: LedgerWriter, phase: str, by: str, reason: str, incident: str | None
) -> tuple[LedgerState, Move]:
    state = fold(writer.ledger.records)
    if reasons := refusals(desk.policy, state, phase, incident):
        raise Refused("\n".join(["no rollback:", *(f"  {reason}" for reason in reasons)]))
    return state, move(desk.policy, state, phase, by, reason)


def _new_id(state: LedgerState, now: datetime) -> str:
    name = f"rollback-{stamp(now)}"
    taken = {rollback.id for rollback in state.rollbacks}
    return name if name not in taken else f"{name}-{len(taken) + 1}"


def _append(
    desk: Desk,
    writer: LedgerWriter,
    state: LedgerState,
    name: str,
    event: str,
    made: Move,
    more: Mapping[str, object] | None = None,
) -> tuple[int, ...]:
    draft = Draft(
        kind="rollback",
        phase=made.phase_from,
        id=name,
        data={
            "event": event,
            "from": made.phase_from,
            "to": made.phase_to,
            "incident": made.incident,
            "by": made.by,
            "reason": made.reason,
            **(more or {}),
        },
    )
    records = writer.append_now([*desk.tell(state, event, name, made), draft], desk.clock.now())
    return tuple(record.seq for record in records if record.kind == "rollback")


def _record_answer(desk: Desk, name: str, event: str, made: Move, attempt: int, ran: Ran) -> tuple[int, ...]:
    answer = {"attempt": attempt, "exit_code": ran.exit_code, "output": ran.output}
    try:
        with writing(desk.ledger) as writer:
            state = fold(writer.ledger.records)
            if _is_settled(state, name, event, made, ran):
                return ()
            return _append(desk, writer, state, name, event, made, answer)
    except NotRecorded as fault:
        raise NotRecorded(_unrecorded(desk, fault, name, event, made, ran)) from fault


def _is_settled(state: LedgerState, name: str, event: str, made: Move, ran: Ran) -> bool:
    """Whether a person recorded the same of it while its command ran.

    A phase that was left since must not be entered again by a late answer: where they recorded something else, only a
    rollback that was made after all is still to be recorded, and only while nothing has followed. Else raises Refused.
    """
    if state.rollback_unknown is not None and state.rollback_unknown.id == name:
        return False
    newest = next(row for row in reversed(state.rollbacks) if row.id == name)
    if newest.event == event:
        return True
    if event == "ended" and state.rollback_unknown is None and state.phase in (None, made.phase_from):
        return False
    raise Refused(
        f"{name} was recorded as {newest.event} by {newest.by} while its command ran, which {_came_to(ran)};"
        f" nothing more was recorded: look which phase your users are in (the ledger says {state.phase})"
    )


def _came_to(ran: Ran) -> str:
    return "was stopped at its deadline" if ran.exit_code is None else f"ended with exit code {ran.exit_code}"


def _unrecorded(desk: Desk, fault: NotRecorded, name: str, event: str, made: Move, ran: Ran) -> str:
    what = {
        "ended": "the rollback WAS executed",
        "failed": f"the rollback's command failed (exit {ran.exit_code})",
        "timed_out": "the rollback's command was stopped at its deadline; its outcome is unknown",
    }[event]
    how = {"ended": "--done", "failed": "--failed"}.get(event, "--done (or --failed, as you find it)")
    command = command_line((*guarded_command(desk.policy, made), f"--by={made.by}"))
    return f"{fault}\n{what}, and {name} is recorded as begun only: once the ledger can be written, {command} {how}"
