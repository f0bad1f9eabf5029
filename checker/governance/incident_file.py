"""`incidents.yaml` → past incidents: strict, every fault at its line, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from checker.errors import GovernedFilesInvalid, Problem
from checker.governance.past_incidents import PastIncident, past_incidents
from checker.policy.cursor import Cursor, span_faults
from checker.policy.yaml_tree import Tree, read_yaml
from checker.schemas import Fault, tool_schema, validate


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
    if tree.is_readable:
        yield from tree.told_once(validate(tree.value, tool_schema("incidents")), _faults(Cursor(tree.value)))


def _faults(document: Cursor) -> Iterator[Fault]:
    """An id that stands twice, a time that is no day of the calendar, an end before the beginning."""
    first: dict[str, int] = {}
    for index, incident in enumerate(document.at("incidents").items):
        name = incident.at("id")
        if name.text is not None and first.setdefault(name.text, index) != index:
            yield name.fault(f"{name.text!r} is already the id of incidents[{first[name.text]}]; choose another")
        yield from span_faults(incident.at("from"), incident.at("until"), "2026-01-02T11:50:00Z")
