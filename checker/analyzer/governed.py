"""The governed files, whole: policy, queries, event schema, and the digests that stand for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from checker.analyzer import event_schema
from checker.analyzer.event_schema import EventSchema
from checker.analyzer.parser import parser
from checker.analyzer.queries import Query, read_query
from checker.analyzer.rules import IngestRules, ingest_rules
from checker.analyzer.sandbox import allowance_of, engine_version, expect_children
from checker.analyzer.second_look import collector_problems, second_look_problems
from checker.analyzer.span_events import SloTask
from checker.child.allowance import Allowance
from checker.errors import GovernedFilesInvalid, Problem
from checker.policy.governed_text import read_governed_text
from checker.policy.load import load_policy
from checker.policy.model import Limits, Policy
from checker.schemas import parse_schema, schema_faults


@dataclass(frozen=True, slots=True)
class Governed:
    """Sound governed files, as they were read: they stay so while the files change.

    `queries` are by their path below `queries/`, `templates` are texts by name; `allowance` is for all queries of this
    command.
    """

    policy: Policy
    queries: Mapping[str, Query]
    templates: Mapping[str, str]
    rules: IngestRules
    governed_digest: str
    judging_digest: str
    engine: str
    allowance: Allowance

    @property
    def tasks(self) -> tuple[SloTask, ...]:
        """What to measure in a window, in the policy's order."""
        window = self.policy.window
        return tuple(
            SloTask(slo.name, self.queries[slo.query], self.queries[slo.query].lookback_length(window))
            for slo in self.policy.slos.values()
        )

    @property
    def lookback(self) -> timedelta:
        """The longest lookback of an SLO: how far before a window its judgements may read."""
        return max(task.lookback for task in self.tasks)

    def gate_query(self, phase: str) -> Query:
        """The query of the gate for leaving `phase`."""
        return self.queries[self.policy.gate_of(phase).query]


@dataclass(frozen=True, slots=True)
class Parts:
    """What could be read of the governed files, faulty or not. `queries` are the sound ones; None is what is faulty."""

    policy: Policy | None
    schema: EventSchema | None
    queries: Mapping[str, Query]
    problems: tuple[Problem, ...]
    allowance: Allowance

    def rules(self) -> IngestRules | None:
        """The rules for reading lines; None where policy or event schema is faulty."""
        policy, schema = self.policy, self.schema
        if policy is None or schema is None:
            return None
        payload = any(query.reads_payload for query in self.queries.values())
        return ingest_rules(schema, policy.window, policy.lateness, policy.max_late, payload, engine_version())


def read_parts(path: Path) -> Parts:
    """Read everything that `policy.yaml` at `path` governs, and every problem that shows without running a query."""
    expect_children()
    problems: list[Problem] = []
    policy: Policy | None = None
    try:
        policy = load_policy(path)
    except GovernedFilesInvalid as fault:
        problems += fault.problems
    schema, schema_problems = _event_schema(policy)
    allowance = allowance_of(Limits() if policy is None else policy.limits)
    queries, query_faults = _queries(policy, path.resolve().parent.parent, schema, allowance)
    if policy is not None:
        problems += [*_unit_problems(policy, queries), *_lookback_problems(policy, queries)]
    if policy is not None and schema is not None:
        problems += [*second_look_problems(policy, schema), *collector_problems(policy, schema)]
    return Parts(policy, schema, queries, (*problems, *schema_problems, *query_faults), allowance)


def load_governed(path: Path) -> Governed:
    """Read everything that `policy.yaml` at `path` governs. Raises GovernedFilesInvalid with every problem at once."""
    parts = read_parts(path)
    policy, schema, queries, rules = parts.policy, parts.schema, parts.queries, parts.rules()
    if parts.problems or policy is None or schema is None or rules is None:
        raise GovernedFilesInvalid(parts.problems)
    digests = governed_digest(policy), judging_digest(policy, queries, schema)
    return Governed(policy, queries, template_sources(policy), rules, *digests, engine_version(), parts.allowance)


def _event_schema(policy: Policy | None) -> tuple[EventSchema | None, list[Problem]]:
    if policy is None:
        return None, []
    try:
        file = read_governed_text(policy.root, policy.event_schema)
        if file.text is None or file.problems:
            return None, list(file.problems)
        document = parse_schema(file.text, policy.event_schema)
        if faults := schema_faults(document):
            return None, [Problem(policy.event_schema, 0, 0, text) for text in faults]
        return event_schema.build(document), []
    except GovernedFilesInvalid as fault:
        return None, list(fault.problems)
    except ValueError as fault:
        return None, [Problem(policy.event_schema, 0, 0, line) for line in str(fault).splitlines()]


def _queries(
    policy: Policy | None, root: Path, schema: EventSchema | None, allowance: Allowance
) -> tuple[dict[str, Query], list[Problem]]:
    """The queries that the policy names; where the policy is broken, all that are there, for their own faults."""
    queries: dict[str, Query] = {}
    problems: list[Problem] = []
    columns = frozenset(schema.columns) if schema else None
    with parser(allowance) as reader:
        for name, parameters in _uses(policy, root):
            file = read_governed_text(root, f"queries/{name}")
            problems += file.problems
            if file.text is None:
                continue
            query, found = read_query(reader, name, file.text, parameters, columns)
            problems += found
            if query is not None:
                queries[name] = query
    return queries, problems


def _unit_problems(policy: Policy, queries: Mapping[str, Query]) -> Iterator[Problem]:
    """A query that measures in another unit than its threshold is given in."""
    for slo in policy.slos.values():
        header = queries[slo.query].header if slo.query in queries else None
        if header is not None and header.get("unit") != slo.unit:
            told = f"header: unit is '{header.get('unit')}', but slos.{slo.name}.unit of the policy is '{slo.unit}'"
            yield Problem(f"queries/{slo.query}", header.line("unit"), 0, told)


def _lookback_problems(policy: Policy, queries: Mapping[str, Query]) -> Iterator[Problem]:
    """A query that looks back further than can be measured in this policy's windows."""
    uses: list[tuple[str, Mapping[str, Any]]] = [(slo.query, {}) for slo in policy.slos.values()]
    uses += [(gate.query, gate.parameters) for gate in policy.gates.values()]
    for path, parameters in uses:
        try:
            if path in queries:
                queries[path].lookback_length(policy.window, parameters)
        except ValueError as fault:
            yield Problem(f"queries/{path}", queries[path].header.line("lookback"), 0, f"header: lookback: {fault}")


def template_sources(policy: Policy) -> dict[str, str]:
    """Text by name of every template that a notice uses. Raises GovernedFilesInvalid where one cannot be read."""
    base = policy.templates_root.relative_to(policy.root).as_posix()
    names = sorted({rule.template for rule in policy.notices.values()})
    found = {name: read_governed_text(policy.root, f"{base}/{name}") for name in names}
    problems = [problem for file in found.values() for problem in file.problems]
    if problems:
        raise GovernedFilesInvalid(problems)
    return {name: file.text or "" for name, file in found.items()}


def _uses(policy: Policy | None, root: Path) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """(path, parameters) of each use; parameters are None where they cannot be known."""
    if policy is not None:
        yield from ((slo.query, {}) for slo in policy.slos.values())
        yield from ((gate.query, gate.parameters) for gate in policy.gates.values())
        return
    for kind in ("slo", "gate"):
        for file in sorted((root / "queries" / kind).glob("*.sql")):
            yield f"{kind}/{file.name}", {} if kind == "slo" else None


def governed_digest(policy: Policy) -> str:
    """SHA-256 over the names and bytes of every governed file: policy, queries, templates, schemas."""
    folders = (policy.queries_root, policy.templates_root, policy.root / "schemas")
    files = {policy.path, policy.root / policy.event_schema}
    files |= {file for folder in folders for file in folder.rglob("*") if file.is_file()}
    named = {file.resolve().relative_to(policy.root.resolve()).as_posix(): file for file in files}
    return _digest(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for name, file in sorted(named.items()))


def judging_digest(policy: Policy, queries: Mapping[str, Query], schema: EventSchema) -> str:
    """SHA-256 over what can change a verdict: windows, thresholds, queries, gates, event schema; not words."""
    slos = {
        slo.name: [
            queries[slo.query].digest,
            {phase: [limit.comparison, limit.limit, limit.warn_limit] for phase, limit in slo.thresholds.items()},
            slo.min_samples,
            slo.no_data_is_violation,
            slo.on_violation,
        ]
        for slo in policy.slos.values()
    }
    gates = {gate.name: [queries[gate.query].digest, dict(gate.parameters)] for gate in policy.gates.values()}
    times = [str(policy.window), str(policy.lateness), str(policy.max_late), policy.max_quarantined]
    phases = [[phase.name, phase.gate] for phase in policy.phases]
    document = [policy.target, times, phases, slos, gates, schema.digest]
    return _digest([json.dumps(document, sort_keys=True)])


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
