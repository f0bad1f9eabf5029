"""What a review did not judge, in words: nobody may take it for sound because nothing was said of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from checker.analyzer.governed import Governed
from checker.governance.reviewed import Consequences
from checker.units import counted

_MOST_NAMES = 8
_PRODUCED = (
    ".phasegate/",
    "ledger/",
    "logs/",
    "reports/",
    "telemetry/",
)  # what runs leave behind: no change of anything


def judged_paths(governed: Governed) -> frozenset[str]:
    """The project's files whose changes are judged: policy, queries, templates, event schema."""
    policy = governed.policy
    folder = policy.path.parent.relative_to(policy.root).as_posix()
    templates = (f"{folder}/templates/{name}" for name in governed.templates)
    queries = (f"queries/{path}" for path in governed.queries)
    return frozenset({f"{folder}/{policy.path.name}", policy.event_schema, *templates, *queries})


def not_looked_at(
    changed: Sequence[str], judged: frozenset[str], consequences: Consequences | None, queries: Sequence[str]
) -> Iterator[str]:
    """A line each: files that differ and were not judged, logs that were replayed among them, queries without a
    population.

    `queries` are those that changed and are a gate's.
    """
    left = [path for path in changed if path not in judged and not path.startswith(_PRODUCED)]
    tests = [path for path in left if path.startswith("tests/queries/")]
    others = [path for path in left if path not in tests]
    if tests:
        yield f"the queries' own tests changed ({_names(tests)}): run `phasegate test --mutate`"
    if others:
        yield f"{counted(len(others), 'other file')} changed: {_names(others)}"
    if consequences is None:
        yield "the consequences: nothing was replayed"
        return
    logs = [path for path in changed if path.startswith(f"{consequences.source}/")]
    if logs:
        told = f"{counted(len(logs), 'file')} of the logs that were replayed changed: {_names(logs)}"
        yield f"{told}: whoever writes them writes the consequences"
    for row in consequences.populations:
        if row.entered is None:
            yield f"which rows enter or leave {row.query} in phase {row.phase}: it {row.why}"
    for path in queries:
        yield f"which rows enter or leave {path}: a gate reads judgements, not events"


def _names(paths: Sequence[str]) -> str:
    more = len(paths) - _MOST_NAMES
    return ", ".join(paths[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
