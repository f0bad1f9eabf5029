"""What one value of the policy asks of another: phases and gates that exist, spans that fit, known placeholders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from checker.policy import cursor
from checker.policy.cursor import Cursor, phase_names, unknown
from checker.policy.durations import DAY, parse_duration
from checker.policy.model import (
    COMPLETE,
    MAX_MEASURING_DEADLINE,
    MAX_QUERY_DEADLINE,
    MAX_ROLLBACK_DEADLINE,
    OFF,
    Limits,
)
from checker.schemas import Fault, listed, nearest

_FREE_TEXT = "{reason}"  # names begin with a letter or a digit
PLACEHOLDERS = ("{target}", "{phase}", "{rollback_to}", "{reason}")
MAX_ARGUMENT_LENGTH = 500  # as the schema says; a longer argument is told of already
DEFAULT_LATENESS = "5m"
DEFAULT_MAX_LATE = "24h"

_BRACED = re.compile(r"\{[^{}]*\}|[{}]")


def one_line_faults(policy: Cursor) -> Iterator[Fault]:
    """Text that holds a line break or a tab: every text of a policy ends up in one line somewhere."""
    if policy.text is not None and ("\n" in policy.text or "\t" in policy.text):
        yield policy.fault("the text holds a line break or a tab; write it in one line (with >- to fold it)")
    for key, child in policy.entries.items():
        if "\n" in key or "\t" in key:
            yield child.key_fault("the key holds a line break or a tab")
    for child in (*policy.entries.values(), *policy.items):
        yield from one_line_faults(child)


def phase_faults(policy: Cursor) -> Iterator[Fault]:
    """Names that are reserved or stand twice, and gates that there are not."""
    gates = tuple(policy.at("gates").entries)
    seen: dict[str, int] = {}
    for index, phase in enumerate(policy.at("phases").items):
        name, gate = phase.at("name"), phase.at("gate")
        if name.text is not None:
            yield from _name_faults(name, seen)
            seen.setdefault(name.text, index)
        if gate.text is not None and gates and gate.text not in gates:
            yield gate.fault(unknown("gate", gate.text, gates, nearest(gate.text, gates)))


def _name_faults(name: Cursor, seen: dict[str, int]) -> Iterator[Fault]:
    text = str(name.text)
    if text.casefold() == OFF:
        yield name.fault(f"{text!r} is reserved for what stands before the first phase; choose another name")
    if text.casefold() == COMPLETE:
        yield name.fault(f"{text!r} is reserved for what stands after the last gate; choose another name")
    if text in seen:
        yield name.fault(f"{text!r} is already the name of phases[{seen[text]}]; choose another name")


def gate_faults(policy: Cursor) -> Iterator[Fault]:
    """Gates that no phase uses."""
    phases = policy.at("phases").items
    used = {phase.at("gate").text for phase in phases}
    if not phases or None in used:
        return
    for name, gate in policy.at("gates").entries.items():
        if name not in used:
            yield gate.key_fault("no phase uses it; name it as a phase's 'gate' or remove it")


def notice_faults(policy: Cursor) -> Iterator[Fault]:
    """Notices of phases that there are not, or sent in phases that are not theirs."""
    phases = phase_names(policy)
    for notice in policy.at("notices").entries.values():
        own = tuple(item.text for item in notice.at("phases").items if item.text is not None)
        for item in (*notice.at("phases").items, *notice.at("automatic").items):
            if item.text is not None and phases.all_known and item.text not in phases.names:
                yield item.fault(unknown("phase", item.text, phases.names, nearest(item.text, phases.names)))
            elif item.text is not None and item.text not in own:
                yield item.fault(f"phase {item.text!r} is none of the notice's own (phases: {listed(own)})")


def span_faults(policy: Cursor) -> Iterator[Fault]:
    """Spans that do not fit into each other."""
    window = policy.at("window")
    if window.duration is not None and DAY % window.duration:
        yield window.fault(f"24 h is no whole number of windows of {window.value}; choose 5m, 15m or 1h, say")
    cycle = policy.at("collector", "cycle")
    if window.duration and cycle.duration and window.duration % cycle.duration:
        yield cycle.fault(f"a window of {window.value} is no whole number of cycles of {cycle.value}")
    every, whole = policy.at("rollback", "recovery", "every"), policy.at("rollback", "recovery", "for")
    if every.duration and whole.duration and every.duration > whole.duration:
        yield every.fault(f"{every.value} is longer than the whole recovery ({whole.value})")
    yield from _lateness_faults(policy)


def _lateness_faults(policy: Cursor) -> Iterator[Fault]:
    lateness = policy.at("lateness").value or DEFAULT_LATENESS
    max_late = policy.at("max_late")
    shortest, longest = parse_duration(str(lateness)), parse_duration(str(max_late.value or DEFAULT_MAX_LATE))
    window = policy.at("window")
    if shortest and longest and window.duration and longest < window.duration + shortest:
        place = max_late if max_late.value is not None else policy.at("lateness")
        told = f"'max_late' must be at least a window and the lateness ({window.value} + {lateness})"
        yield place.fault(f"{told}: an event is that old when its batch is sealed")


def limit_faults(policy: Cursor) -> Iterator[Fault]:
    """Deadlines past their caps, and a query's that is longer than that of all queries together."""
    limits = policy.at("limits")
    query, measuring = limits.at("query_deadline"), limits.at("measuring_deadline")
    for deadline, most in ((query, MAX_QUERY_DEADLINE), (measuring, MAX_MEASURING_DEADLINE)):
        if deadline.duration and deadline.duration > most:
            yield deadline.fault(
                f"{deadline.value} is longer than a policy may ask for; write at most {_minutes(most)}"
            )
    of_one = query.duration or Limits().query_deadline
    of_all = measuring.duration or Limits().measuring_deadline
    if of_one <= MAX_QUERY_DEADLINE and of_one > of_all:
        told = f"{measuring.value} for all queries is shorter than one query's deadline"
        yield measuring.fault(f"{told} ({query.value or '30s, the default'}); write at least that")


def rollback_faults(policy: Cursor) -> Iterator[Fault]:
    """A deadline of the rollback's command past its cap."""
    deadline = policy.at("rollback", "deadline")
    if deadline.duration and deadline.duration > MAX_ROLLBACK_DEADLINE:
        most = _minutes(MAX_ROLLBACK_DEADLINE)
        yield deadline.fault(f"{deadline.value} is longer than a policy may ask for; write at most {most}")


def freeze_faults(policy: Cursor) -> Iterator[Fault]:
    """Freezes that name no day of the calendar, or end before they begin."""
    for freeze in policy.at("freezes").items:
        begins, ends = freeze.at("from"), freeze.at("until")
        keys = set(freeze.entries) & {"from", "until", "days"}
        if freeze.entries and keys not in ({"from", "until"}, {"days"}):
            yield freeze.key_fault("must have either both 'from' and 'until', or 'days'")
        yield from cursor.span_faults(begins, ends, "2026-12-19T00:00:00Z")


def _minutes(time: timedelta) -> str:
    return f"{int(time / timedelta(minutes=1))}m"


def command_faults(policy: Cursor) -> Iterator[Fault]:
    """Placeholders that the rollback's command cannot have."""
    for index, argument in enumerate(policy.at("rollback", "command").items):
        found = tuple(dict.fromkeys(_BRACED.findall((argument.text or "")[:MAX_ARGUMENT_LENGTH])))
        for braced in found:
            if braced not in PLACEHOLDERS:
                hint = nearest(braced, PLACEHOLDERS)
                yield argument.fault(f"{braced!r} is no placeholder{hint} (placeholders: {listed(PLACEHOLDERS)})")
        if index == 0 and found:
            yield argument.fault("the program is fixed; placeholders may stand in its arguments only")
        elif (argument.text or "").startswith(_FREE_TEXT):
            yield argument.fault(f"a text that begins with '-' would be an option here; write '--name={_FREE_TEXT}'")
