"""Who must approve a change of the policy, and which approvals count. Pure: who signed is asked of `verify`.

People, rules and durations are those of the base. Whatever cannot be told makes it not enough.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime

from checker.governance.approval_document import Entry, Found
from checker.governance.approval_subjects import Reviewed, Verify, change_payload, refusal
from checker.governance.direction import Change, Direction
from checker.governance.reviewed import Approvals, Required, Signed
from checker.policy.governing import Governance
from checker.policy.model import Policy
from checker.schemas import listed
from checker.units import counted

SPENT = "lies in the base: it was given for a change that was merged before; approve again"
NOBODY = "(no role)"  # asked for where the base names no approver at all: nobody can approve


def required(base: Policy, changes: Iterable[Change]) -> tuple[Required, ...]:
    """What `changes` ask for by the rules of the policy `base`, by role; nothing where none needs approval.

    Every rule that fits a change in a phase that it concerns adds its roles, and per role the largest count holds.
    Where no rule fits in a phase, each approver of the phase is asked once. `missing` is the whole count.
    """
    asked: dict[str, Required] = {}
    for change in changes:
        if not change.direction.needs_approval:
            continue
        for phase in change.phases or base.phase_names:
            for row in _asked_in(base, change, phase):
                if row.role not in asked or row.count > asked[row.role].count:
                    asked[row.role] = row
    return tuple(asked.values())


def _asked_in(base: Policy, change: Change, phase: str) -> Iterator[Required]:
    about = f"{change.subject} ({change.direction.value}, phase {phase})"
    rules = [(index, rule) for index, rule in enumerate(base.governance.rules) if rule.fits(change.direction, phase)]
    for index, rule in rules:
        for role, count in rule.roles.items():
            yield Required(role, count, count, f"governance.approvals[{index}]: {about}")
    if not rules:
        yield from _fallback(base, phase, about)


def _fallback(base: Policy, phase: str, about: str) -> Iterator[Required]:
    """Those who decide the move out of the phase, or, where it has none in base, out of any; never nobody."""
    own = base.phase(phase).approvers if phase in base.phase_names else ()
    roles = own or tuple(dict.fromkeys(role for row in base.phases for role in row.approvers))
    told = f"no rule of governance.approvals fits {about}, so every approver of"
    whose = f"phase {phase}" if own else "every phase"
    for role in roles:
        listed_nobody = "" if base.governance.people_of(role) else "; governance.people of the base lists nobody for it"
        yield Required(role, 1, 1, f"{told} {whose} is asked{listed_nobody}")
    if not roles:
        yield Required(NOBODY, 1, 1, f"no rule of governance.approvals fits {about}, and the base names no approver")


def approvals_of(
    base: Policy,
    reviewed: Reviewed,
    changes: Sequence[Change],
    found: Found,
    verify: Verify,
    authors: AbstractSet[str],
    as_of: datetime,
    spent: Collection[Entry] = (),
) -> Approvals:
    """Who must approve, who has, and whether that is enough. Raises nothing for what the approvals' file holds.

    `found` is the file of `reviewed.digest` in head, `verify` asks base's policy/allowed_signers. `authors` are all
    names of those who made the change (e-mail addresses, logins): an approval of theirs counts, but not alone. `spent`
    are the approvals of the same digest that base has.
    """
    asked = required(base, changes)
    people = {name.casefold() for name in authors if name.strip()}
    problems = list(found.problems)
    present: tuple[Signed, ...] = ()
    if found.document is not None and found.document.digest != reviewed.digest:
        problems.append(
            f"{found.path}: is of digest {found.document.digest}, not of what is reviewed here ({reviewed.digest}):"
            " base or head has changed since; approve again"
        )
    elif found.document is not None:
        present = judged(found.document.entries, reviewed, base.governance, verify, as_of, spent)
    left = tuple(_left(row, present) for row in asked)
    objection = _alone(present, people) if asked else _unasked(reviewed)
    problems += [objection] if objection else []
    is_enough = objection is None and not any(row.missing for row in left)
    return Approvals(reviewed.digest, left, present, tuple(problems), is_enough)


def judged(
    entries: Iterable[Entry],
    reviewed: Reviewed,
    governance: Governance,
    verify: Verify,
    as_of: datetime,
    spent: Collection[Entry] = (),
) -> tuple[Signed, ...]:
    """Each approval of `reviewed` with who gave it; a second one of the same person for the same role is refused.

    So are those that are `spent`: who brings a change again that was taken back after its merge has the old ones there.
    """
    present: list[Signed] = []
    for entry in entries:
        terms = entry.terms
        answer = refusal(change_payload(reviewed, terms), terms, entry.signature, governance, verify, as_of)
        signed = Signed(
            role=terms.role,
            name=terms.name,
            reason=terms.reason,
            signed_at=terms.signed_at,
            expires_at=terms.expires_at,
            refused=SPENT if entry in spent else answer.refused,
            principals=answer.principals,
        )
        present.append(replace(signed, refused=signed.refused or _twice(signed, present)))
    return tuple(present)


def _twice(signed: Signed, earlier: Sequence[Signed]) -> str | None:
    same = (row for row in earlier if row.refused is None and row.role == signed.role and _same(row, signed))
    return next((f"{row.name} has approved for {row.role!r} already ({listed(row.principals)})" for row in same), None)


def _same(one: Signed, other: Signed) -> bool:
    return not _folded(one.principals).isdisjoint(_folded(other.principals))


def _folded(names: Iterable[str]) -> set[str]:
    return {name.casefold() for name in names}


def _left(row: Required, present: Sequence[Signed]) -> Required:
    given = sum(signed.refused is None and signed.role == row.role for signed in present)
    return replace(row, missing=max(0, row.count - given))


def _unasked(reviewed: Reviewed) -> str | None:
    """Why nothing being asked is not enough: the change is said to go a way of which none of its parts speaks."""
    if not Direction(reviewed.direction).needs_approval:
        return None
    return f"the change is {reviewed.direction}, and none of its parts says why; nobody can be asked to approve it"


def _alone(present: Sequence[Signed], authors: AbstractSet[str]) -> str | None:
    """Why those who approved do not suffice, whatever their number: no other than the authors is among them."""
    given = [signed for signed in present if signed.refused is None]
    if given and not authors:
        return "who made the change is not known, so whether another person approved cannot be told; give --author"
    if given and all(_folded(signed.principals) & authors for signed in given):
        names = listed(sorted({name for signed in given for name in signed.principals}))
        told = f"{counted(len(given), 'approval')} of the change's own authors alone ({names})"
        return f"{told}; somebody else must approve too"
    return None
