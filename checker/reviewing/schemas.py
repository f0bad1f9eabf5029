"""The event schemas of two revisions: what differs, and a break without a new version is refused."""

from __future__ import annotations

import json
from typing import Any

from checker.errors import GovernedFilesInvalid, Problem
from checker.governance.direction import Change
from checker.governance.schema_changes import SchemaDifference, breaking, changes, differences
from checker.policy.model import Policy
from checker.reviewing.revision import Revision

_WAY_OUT = "give the schema a new 'schema_version' beside the old one, or take the change back"


def schema_changes_of(base: Revision, head: Revision, before: Policy, after: Policy) -> tuple[Change, ...]:
    """What head's event schema changes. Raises GovernedFilesInvalid for every break without a new version."""
    documents = _document(base, before), _document(head, after)
    found = differences(*documents)
    broken = breaking(found, *documents)
    if broken:
        raise GovernedFilesInvalid(Problem(after.event_schema, 0, 0, _told(row, base.name)) for row in broken)
    return changes(found, after.event_schema)


def _document(revision: Revision, policy: Policy) -> Any:
    return json.loads((revision.root / policy.event_schema).read_bytes())


def _told(row: SchemaDifference, base: str) -> str:
    place = ".".join(part for part in (row.event, row.field) if part) or "the schema"
    return f"{place}: {row.kind} against {base}: {row.before or 'nothing'} → {row.after or 'nothing'}; {_WAY_OUT}"
