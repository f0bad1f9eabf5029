"""Policy mutation: each threshold, comparison and filter is nudged, and the fixtures must notice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from checker.analyzer.governed import Governed
from checker.analyzer.parser import Parser, parser
from checker.analyzer.queries import Query, read_query
from checker.analyzer.sandbox import allowance_of
from checker.analyzer.telemetry import Mapper
from checker.errors import QueryFailed, UsageError
from checker.model import Status
from checker.policy.build import build_policy
from checker.policy.model import Policy
from checker.policy.yaml_tree import Tree, read_yaml
from checker.querytest.gate import LoadedGate, gate_failures, loaded_gate
from checker.querytest.model import Case, CaseName, Failure, GateCase, SloCase, Suite
from checker.querytest.mutants import Fate, Mutant, MutationReport, Outcome, Place
from checker.querytest.policy_mutants import policy_mutants
from checker.querytest.slo import SloLogs, laid_out
from checker.querytest.sql_mutants import SqlMutant, sql_mutants

PORTION = 24  # mutants that share the reading of a query's cases


@dataclass(frozen=True, slots=True)
class Ran:
    """A case that was run on a mutant: what was not as expected, and why the query failed, where it did."""

    failures: Sequence[Failure]
    error: str | None


Run = Callable[[Governed], Ran]


def unchanged(governed: Governed) -> Governed:
    """The governed files with each query as DuckDB writes its own tree: what every mutant differs from in one place."""
    with parser(governed.allowance) as reader:
        written = {path: _written(query, reader.text(reader.select(query.sql))) for path, query in _queries(governed)}
    return replace(governed, queries={**governed.queries, **written})


def run_mutants(governed: Governed, suite: Suite, run: Mapper) -> MutationReport:
    """Run every mutant of the suite's queries, and of the policy so far as these cases could notice, through `run`.

    The suite was read with the files as they are: its terms stand for their numbers, and are judged by the mutant's.
    """
    queries = {case.name.query for case in suite.cases} | set(suite.untested)
    known: list[Mutant | Outcome] = []
    with parser(governed.allowance) as reader:
        for path, query in _queries(governed):
            if path in queries:
                known += _query_mutants(governed, reader, query, _events(suite, path))
    of_policy: list[Mutant] = sorted(_policy_mutants(governed, queries), key=lambda mutant: mutant.place.line)
    known += of_policy
    mutants = [item for item in known if isinstance(item, Mutant)]
    jobs = list(_jobs(suite, mutants))
    found = [outcome for outcomes in run(partial(_run_job, governed), jobs) for outcome in outcomes]
    outcomes = [*found, *(item for item in known if isinstance(item, Outcome))]
    order = {id(item if isinstance(item, Mutant) else item.mutant): number for number, item in enumerate(known)}
    return MutationReport(tuple(sorted(outcomes, key=lambda outcome: order[id(outcome.mutant)])))


def _queries(governed: Governed) -> list[tuple[str, Query]]:
    return sorted(governed.queries.items())


def _events(suite: Suite, path: str) -> list[str]:
    """Names of events in the fixtures of the query."""
    names: set[str] = set()
    for case in suite.cases:
        if isinstance(case, SloCase) and case.name.query == path:
            for line in b"".join(case.batches.values()).splitlines():
                names |= _event_in(line)
    return sorted(names)


def _event_in(line: bytes) -> set[str]:
    try:
        return {str(json.loads(line)["event"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        return set()  # a line that is broken on purpose


def _written(query: Query, text: str) -> Query:
    """The query with `text` below its own header."""
    header = [line for line in query.sql.splitlines() if line.startswith("--")]
    return replace(query, sql="\n".join([*header, text, ""]))


def _query_mutants(
    governed: Governed, reader: Parser, query: Query, events: Sequence[str]
) -> Iterator[Mutant | Outcome]:
    """The query's mutants; one whose text breaks the query's contract is refused at once."""
    tree = reader.select(query.sql)
    seen = {reader.text(tree)}
    for found in sql_mutants(tree, query.sql, events):
        try:
            text = reader.text(found.tree)
        except QueryFailed as fault:
            yield Outcome(_of_query(governed, query, found, query), Fate.REFUSED, message=str(fault))
            continue
        if text not in seen:
            seen.add(text)
            yield _sound(governed, reader, _of_query(governed, query, found, _written(query, text)))


def _of_query(governed: Governed, query: Query, found: SqlMutant, changed: Query) -> Mutant:
    policy = governed.policy
    place = Place(f"queries/{query.path}", found.line, found.spelled)
    phases = frozenset(policy.phase_names)
    return Mutant(place, found.told, found.hint, frozenset([query.path]), phases, None, changed)


def _sound(governed: Governed, reader: Parser, mutant: Mutant) -> Mutant | Outcome:
    """The mutant as a query that was read like every other."""
    changed = mutant.change
    assert isinstance(changed, Query)
    parameters = [gate.parameters for gate in governed.policy.gates.values() if gate.query == changed.path]
    columns = frozenset(governed.rules.schema.columns)
    query, problems = read_query(reader, changed.path, changed.sql, parameters[0] if parameters else {}, columns)
    if query is None:
        return Outcome(mutant, Fate.REFUSED, message=problems[0].message)
    return replace(mutant, change=query)


def _policy_mutants(governed: Governed, queries: set[str]) -> Iterator[Mutant]:
    """Mutants of the policy that show in these queries alone."""
    tree = _policy_tree(governed.policy)
    for found in policy_mutants(tree.value, governed.policy):
        if found.queries <= queries:
            place = Place(tree.shown_as, tree.position(found.path)[0], ".".join(map(str, found.path)))
            where = found.queries, found.phases, found.slo
            yield Mutant(place, found.told, found.hint, *where, found.policy, found.is_of_broken_lines)


def _policy_tree(policy: Policy) -> Tree:
    """The policy's document with its lines. Raises UsageError where the file is no longer what was read."""
    tree = read_yaml(policy.path, policy.path.relative_to(policy.root).as_posix())
    if tree.problems or build_policy(tree.value, policy.path, policy.root) != policy:
        raise UsageError(f"{tree.shown_as}: changed while it was read; run the command again once it lies still")
    return tree


@dataclass(frozen=True, slots=True)
class _Job:
    """Mutants that show in the same cases, and those cases."""

    cases: tuple[Case, ...]
    mutants: tuple[Mutant, ...]


def _jobs(suite: Suite, mutants: Sequence[Mutant]) -> Iterator[_Job]:
    """Portions of mutants with the cases of their queries."""
    for queries in dict.fromkeys(mutant.queries for mutant in mutants):
        own = [mutant for mutant in mutants if mutant.queries == queries]
        cases = tuple(case for case in suite.cases if case.name.query in queries)
        for start in range(0, len(own), PORTION):
            yield _Job(cases, tuple(own[start : start + PORTION]))


@dataclass(slots=True)
class _Trial:
    """A mutant on its way through the cases: whether it ran in one of them, and the first that failed otherwise."""

    mutant: Mutant
    ran: bool = False
    failed: tuple[CaseName, str] | None = None

    @property
    def is_over(self) -> bool:
        """Whether no further case can change what becomes of it."""
        return self.ran and self.failed is not None

    def note(self, case: CaseName, ran: Ran) -> None:
        """A case was run. A query that fails in every one says nothing of the fixtures: it could not be run at all."""
        self.ran |= ran.error is None
        if ran.failures and self.failed is None:
            self.failed = case, ran.error or ran.failures[0].message

    def outcome(self) -> Outcome:
        """What became of it."""
        if self.failed is None:
            return Outcome(self.mutant, Fate.SURVIVED)
        return Outcome(self.mutant, Fate.CAUGHT if self.ran else Fate.REFUSED, *self.failed)


def _run_job(governed: Governed, job: _Job) -> list[Outcome]:
    """What became of the job's mutants. Each case is read once, and asked by those that no case before it stopped."""
    trials = [_Trial(mutant) for mutant in job.mutants]
    for case in job.cases:
        asking = [trial for trial in trials if not trial.is_over and trial.mutant.touches(case)]
        if asking:
            with _opened(_fresh(governed), case) as run:
                for trial in asking:
                    trial.note(case.name, run(_mutated(governed, trial.mutant)))
    return [trial.outcome() for trial in trials]


def _mutated(governed: Governed, mutant: Mutant) -> Governed:
    """The governed files with the mutant's change."""
    own = _fresh(governed)
    if isinstance(mutant.change, Policy):
        return replace(own, policy=mutant.change)
    return replace(own, queries={**governed.queries, mutant.change.path: mutant.change})


def _fresh(governed: Governed) -> Governed:
    """The governed files with a command's time of their own: a mutant that takes long leaves the next its own."""
    return replace(governed, allowance=allowance_of(governed.policy.limits))


@contextmanager
def _opened(governed: Governed, case: Case) -> Iterator[Run]:
    """Runs the case, read once, on governed files, for as long as the block takes."""
    if isinstance(case, GateCase):
        with loaded_gate(governed, case) as gate:
            yield partial(_run_gate, gate)
    else:
        with laid_out(case) as logs:
            yield partial(_run_slo, logs)


def _run_gate(gate: LoadedGate, governed: Governed) -> Ran:
    result = gate.result(governed)
    return Ran(list(gate_failures(gate.case, result)), result.error)


def _run_slo(logs: SloLogs, governed: Governed) -> Ran:
    judged = logs.judged(governed)
    rows = [judged[row.window.start].judgements[0] for row in logs.case.rows if row.status is not Status.ERROR]
    # a value that is not finite was measured; one that is missing says that the query failed
    failed = [row.reason for row in rows if row.status is Status.ERROR and row.value is None]
    return Ran(list(logs.failures(governed, judged)), failed[0] if failed else None)
