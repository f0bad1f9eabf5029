"""What the governance section asks of the rest: phases that exist, roles with people, no more approvals than people."""

from __future__ import annotations

from collections.abc import Iterator

from checker.policy.cursor import Cursor, phase_names, unknown
from checker.schemas import Fault, listed, nearest

_PEOPLE = "governance.people"


def governance_faults(policy: Cursor) -> Iterator[Fault]:
    """Phases that there are not, roles without people, rules that can never be met."""
    governance = policy.at("governance")
    people = _people(governance)
    rules = governance.at("approvals").items
    yield from _phase_faults(policy, [governance.at("signed_phases"), *(rule.at("phases") for rule in rules)])
    for persons in governance.at("people").entries.values():
        yield from _double_faults(persons)
    for rule in rules:
        yield from _role_faults(rule, people)
    yield from _signer_faults(policy, people)


def _people(governance: Cursor) -> dict[str, set[str]]:
    """Each role's people; a letter's case makes no other person."""
    return {
        role: {item.text.casefold() for item in persons.items if item.text is not None}
        for role, persons in governance.at("people").entries.items()
    }


def _phase_faults(policy: Cursor, lists: list[Cursor]) -> Iterator[Fault]:
    phases = phase_names(policy)
    for item in (item for names in lists for item in names.items):
        if item.text is not None and phases.all_known and item.text not in phases.names:
            yield item.fault(unknown("phase", item.text, phases.names, nearest(item.text, phases.names)))


def _double_faults(persons: Cursor) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for item in persons.items:
        if item.text is None:
            continue
        first = seen.setdefault(item.text.casefold(), item.text)
        if first != item.text:
            yield item.fault(f"{item.text!r} is {first!r} once more; name each person once")


def _role_faults(rule: Cursor, people: dict[str, set[str]]) -> Iterator[Fault]:
    for role, count in rule.at("roles").entries.items():
        if role not in people:
            told = f"no role {role!r} in {_PEOPLE}{nearest(role, people)} (roles: {listed(people)})"
            yield count.key_fault(f"{told}; list there who may speak for it")
        elif count.number is not None and count.number > len(people[role]):
            asked = f"asks for {count.number} of {role!r}, but {_PEOPLE} lists {len(people[role])}"
            yield count.fault(f"{asked}; ask for fewer, or list more")


def _signer_faults(policy: Cursor, people: dict[str, set[str]]) -> Iterator[Fault]:
    """A signed phase whose approver nobody may speak for: it could never be left."""
    signed = {item.text: item for item in policy.at("governance", "signed_phases").items if item.text is not None}
    for phase in policy.at("phases").items:
        place = signed.get(phase.at("name").text or "")
        for approver in phase.at("approvers").items if place else ():
            if place and approver.text is not None and approver.text not in people:
                told = f"phase {place.text!r} is left with the approval of {approver.text!r}"
                yield place.fault(f"{told}, for whom {_PEOPLE} lists nobody; list there who may speak for the role")
