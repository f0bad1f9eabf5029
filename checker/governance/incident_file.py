"""`incidents.yaml` → past incidents: strict, every fault at its line, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from checker.errors import GovernedFilesInvalid, Problem
from checker.governance.past_incidents import PastIncident, past_incidents
from checker.policy.cursor import Cursor
from checker.policy.yaml_tree import Tree, read_yaml
from checker.schemas import Fault, tool_schema, validate
from checker.windows import parse_iso


def read_incidents(path: Path, shown: str) -> tuple[PastIncident, ...]:
    """The incidents in the file `path`, called `shown` in problems, the earliest first.

    Raises GovernedFilesInvalid with every fault.
    """
    tree = read_yaml(path, shown)
    problems = [*tree.problems, *_content_problems(tree)]
    if problems:
        raise GovernedFilesInvalid(problems)
    return past_incidents(tree.value)


def _content_problems(tree: Tree) -> Iterator[Problem]:
    if not tree.is_readable:
        return
    known = {(path, False) for path in tree.faulty}
    for faults in (validate(tree.value, tool_schema("incidents")), list(_faults(Cursor(tree.value)))):
        new = [fault for fault in faults if (fault.path, fault.on_key) not in known]
        known |= {(fault.path, fault.on_key) for fault in new if not fault.is_absence}
        yield from (tree.problem(fault.path, fault.message, fault.on_key) for fault in new)


def _faults(document: Cursor) -> Iterator[Fault]:
    """An id that stands twice, a time that is no day of the calendar, an end before the beginning."""
    first: dict[str, int] = {}
    for index, incident in enumerate(document.at("incidents").items):
        name = incident.at("id")
        if name.text is not None and first.setdefault(name.text, index) != index:
            yield name.fault(f"{name.text!r} is already the id of incidents[{first[name.text]}]; choose another")
        yield from _time_faults(incident.at("from"), incident.at("until"))


def _time_faults(begins: Cursor, ends: Cursor) -> Iterator[Fault]:
    known = [_instant(place) for place in (begins, ends)]
    for place, instant in zip((begins, ends), known, strict=True):
        if place.text is not None and instant is None:
            yield place.fault(f"{place.text!r} is no time; write one such as 2026-01-02T11:50:00Z")
    if known[0] and known[1] and known[0] >= known[1]:
        yield ends.fault(f"{ends.text} does not lie after the beginning, {begins.text}")


def _instant(place: Cursor) -> datetime | None:
    try:
        return None if place.text is None else parse_iso(place.text)
    except ValueError:
        return None
