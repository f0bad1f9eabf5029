"""Two revisions of the governed files side by side: what differs in meaning, and which way each difference goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

from checker.analyzer.governed import Governed, load_governed
from checker.analyzer.parser import Parser, parser
from checker.errors import GovernedFilesInvalid, Problem
from checker.governance.direction import Change, Direction, Place, worst
from checker.governance.other_changes import engine_changes, signer_change, template_change
from checker.governance.policy_review import policy_changes
from checker.governance.policy_tree import policy_tree
from checker.governance.query_changes import QueryText, are_same, query_change
from checker.governance.query_words import text_diff
from checker.governance.reviewed import RenderedDiff
from checker.governance.rule_kinds import Sides
from checker.governance.signatures import SIGNERS
from checker.governance.validation import validate_governed
from checker.policy.model import Policy
from checker.policy.yaml_tree import Tree, read_yaml
from checker.reporter.notice_diff import Situation, renderings, same_words
from checker.reporter.notice_tells import template_faults
from checker.reviewing.revision import Revision
from checker.reviewing.schemas import schema_changes_of
from checker.schemas import tool_schema
from checker.units import shortened

PINNED = ("constraints.txt", "requirements.txt")


@dataclass(frozen=True, slots=True)
class Compared:
    """Both revisions, sound, and what differs between them."""

    base: Revision
    head: Revision
    before: Governed
    after: Governed
    changes: tuple[Change, ...]
    templates: tuple[RenderedDiff, ...]

    @property
    def direction(self) -> Direction:
        """The worst direction of the changes."""
        return worst(change.direction for change in self.changes)


def compare(base: Revision, head: Revision, engine_of_ledger: str | None = None) -> Compared:
    """What head changes of base's governed files.

    Raises GovernedFilesInvalid where head is not sound in every respect that `validate` looks at, or its event schema
    breaks with the base's; and where base cannot be read.
    """
    _check(head)
    return compare_sound(base, head, engine_of_ledger)


def compare_sound(base: Revision, head: Revision, engine_of_ledger: str | None = None) -> Compared:
    """What head, which was validated, changes. Raises as `compare` does, but for what only `validate` sees."""
    after = load_governed(head.policy)
    before = _loaded(base)
    with _same_queries(before, after) as (same_query, text):
        changes = [
            *_policy_changes(base, head, before, after, same_query),
            *_query_changes(before, after, text),
            *_template_changes(before, after),
        ]
    changes += schema_changes_of(base, head, before.policy, after.policy)
    changes += _column_order(before, after)
    changes += filter(None, [signer_change(base.signers, head.signers, f"{head.policy.parent.name}/{SIGNERS}")])
    pins = {path: (base.text(path), head.text(path)) for path in PINNED}
    changes += engine_changes(pins, engine_of_ledger, after.engine)
    return Compared(base, head, before, after, _ordered(changes), _rendered(before, after))


def _ordered(changes: list[Change]) -> tuple[Change, ...]:
    return tuple(sorted(changes, key=lambda change: -change.direction.severity))


def _check(head: Revision) -> None:
    found = validate_governed(head.policy, template_faults)
    if found.problems:
        raise GovernedFilesInvalid(found.problems)


def _loaded(base: Revision) -> Governed:
    try:
        return load_governed(base.policy)
    except GovernedFilesInvalid as fault:
        told = (Problem(f"{base.name}:{row.path}", row.line, row.column, row.message) for row in fault.problems)
        raise GovernedFilesInvalid(told) from fault


SameQuery = Callable[[str, str], bool]


@contextmanager
def _same_queries(before: Governed, after: Governed) -> Iterator[tuple[SameQuery, Callable[[str, str], QueryText]]]:
    """Whether base's query and head's are proved the same, by their paths; and a side's query with its tree."""
    sides = {"base": before, "head": after}
    with parser(after.allowance) as reader:

        @cache
        def text(side: str, path: str) -> QueryText:
            return _query_text(reader, path, sides[side].queries[path].sql)

        def same(base: str, head: str) -> bool:
            known = base in before.queries and head in after.queries
            return known and are_same(text("base", base), text("head", head))

        yield same, text


def _query_text(reader: Parser, path: str, sql: str) -> QueryText:
    return QueryText(path, sql, reader.select(sql))


def _policy_changes(
    base: Revision, head: Revision, before: Governed, after: Governed, same_query: SameQuery
) -> Iterator[Change]:
    trees = _document(base, before.policy), _document(head, after.policy)
    nodes = [policy_tree(tree.value, tool_schema("policy")) for tree in trees]

    def same_template(old: str, new: str) -> bool:
        return same_words(before.templates[old], after.templates[new])

    yield from policy_changes(Sides(nodes[0], nodes[1], same_query, same_template), trees)


def _document(revision: Revision, policy: Policy) -> Tree:
    return read_yaml(revision.policy, policy.path.relative_to(policy.root).as_posix())


def _query_changes(before: Governed, after: Governed, text: Callable[[str, str], QueryText]) -> Iterator[Change]:
    """A change for each pair of queries that the same SLO, or the same phase's gate, uses."""
    pairs: dict[tuple[str, str], list[str]] = {}
    known = {(name, phase): path for name, phase, path in _uses(before.policy)}
    for name, phase, used in _uses(after.policy):
        old = known.get((name, phase))
        if old is not None:
            pairs.setdefault((old, used), []).extend([phase] if phase else [])
    for (old, new), phases in pairs.items():
        change = query_change(text("base", old), text("head", new), tuple(dict.fromkeys(phases)))
        if change is not None and not (old != new and change.direction is Direction.NEUTRAL):
            yield change


def _column_order(before: Governed, after: Governed) -> Iterator[Change]:
    """Another order of the same columns of `events`, where a query reads all of them and can tell."""
    orders = [list(side.rules.schema.columns) for side in (before, after)]
    can_tell = any(query.columns is None for side in (before, after) for query in side.queries.values())
    if can_tell and orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1]):
        yield Change(
            kind="event_schema",
            subject="event_schema",
            rule="schema-order",
            direction=Direction.UNKNOWN,
            before=shortened(", ".join(orders[0])),
            after=shortened(", ".join(orders[1])),
            why="the columns of events stand in another order, and a query that reads all of them can tell",
            place=Place(after.policy.event_schema),
        )


def _uses(policy: Policy) -> Iterator[tuple[str, str, str]]:
    """(SLO or gate, phase of the gate or "", path of its query)."""
    yield from ((slo.name, "", slo.query) for slo in policy.slos.values())
    yield from (("", phase.name, policy.gate_of(phase.name).query) for phase in policy.phases)


def _template_changes(before: Governed, after: Governed) -> Iterator[Change]:
    pairs: dict[tuple[str, str], list[str]] = {}
    for name, rule in after.policy.notices.items():
        old = before.policy.notices.get(name)
        if old is not None:
            pairs.setdefault((old.template, rule.template), []).extend(rule.phases)
    for (old_name, new_name), phases in pairs.items():
        texts = before.templates[old_name], after.templates[new_name]
        folder = after.policy.templates_root.relative_to(after.policy.root).as_posix()
        is_same = same_words(*texts)
        change = template_change(*texts, f"{folder}/{new_name}", tuple(dict.fromkeys(phases)), is_same)
        yield from [change] if change is not None else []


def _rendered(before: Governed, after: Governed) -> tuple[RenderedDiff, ...]:
    """What people read before and after, of each notice whose template's text differs, over head's own thresholds."""
    found: list[RenderedDiff] = []
    for name, rule in after.policy.notices.items():
        old = before.policy.notices.get(name)
        if old is not None and before.templates[old.template] != after.templates[rule.template]:
            alone = replace(after.policy, notices={name: rule})
            texts = before.templates[old.template], after.templates[rule.template]
            found += _differing(*(renderings(alone, {rule.template: text}) for text in texts))
    return tuple(found)


def _differing(was: Mapping[Situation, str], now: Mapping[Situation, str]) -> Iterator[RenderedDiff]:
    for place, text in now.items():
        before = was[place]
        if before != text:
            yield RenderedDiff(*place, text_diff(before, text, " ".join(place)))
