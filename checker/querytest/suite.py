"""The query tests of a project: found, read, checked all at once, and run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from checker.analyzer.governed import Governed
from checker.analyzer.telemetry import Mapper
from checker.errors import PhasegateError, Problem, UsageError
from checker.policy.yaml_tree import read_yaml
from checker.querytest.gate import gate_cases, run_gate_case
from checker.querytest.model import Case, CaseResult, Report, SloCase, Suite
from checker.querytest.slo import run_slo_case, slo_cases
from checker.querytest.source import Place
from checker.schemas import listed, nearest, tool_schema, validate

FOLDER = "tests/queries"
KINDS = ("slo", "gate")


class QueryTestsInvalid(PhasegateError):
    """Files of query tests are faulty; `problems` holds every fault, in the order of their places."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        noun = "problem" if len(self.problems) == 1 else "problems"
        end = f"{len(self.problems)} {noun} in the query tests; nothing was tested"
        super().__init__("\n".join([*map(str, self.problems), end]))


def read_suite(governed: Governed, names: Sequence[str] = ()) -> Suite:
    """The tests of the project's queries, or of those called `names` alone (`failure_rate`, `slo/failure_rate`).

    Raises UsageError for a name that no query has, QueryTestsInvalid with every problem of every file that is read.
    """
    root = governed.policy.root
    selected = _selected(sorted(governed.queries), names)
    problems: list[Problem] = [] if names else list(_strangers(root, governed.queries))
    cases: list[Case] = []
    untested: list[str] = []
    for query in selected:
        shown = _test_file(query)
        if not (root / shown).is_file():
            untested.append(query)
            continue
        found, faults = _read(root / shown, shown, query, governed)
        cases += found
        problems += faults
    if problems:
        raise QueryTestsInvalid(problems)
    return Suite(tuple(cases), tuple(untested))


def _test_file(query: str) -> str:
    return f"{FOLDER}/{query.removesuffix('.sql')}.yaml"


def _selected(queries: Sequence[str], names: Sequence[str]) -> list[str]:
    known = {query: (query, query.removesuffix(".sql"), Path(query).stem) for query in queries}
    spelled = {name for spellings in known.values() for name in spellings}
    for name in names:
        if name not in spelled:
            stems = [Path(query).stem for query in queries]
            raise UsageError(f"the policy uses no query {name!r}{nearest(name, stems)} (queries: {listed(stems)})")
    return [query for query in queries if not names or set(names) & set(known[query])]


def _strangers(root: Path, queries: Iterable[str]) -> Iterator[Problem]:
    """Test files whose query the policy does not use."""
    expected = {_test_file(query) for query in queries}
    for kind in KINDS:
        for file in sorted((root / FOLDER / kind).rglob("*.y*ml")):
            shown = file.relative_to(root).as_posix()
            if shown not in expected:
                yield Problem(
                    shown, 0, 0, f"tests no query that the policy uses{nearest(shown, expected)}; rename or remove it"
                )


def _read(path: Path, shown: str, query: str, governed: Governed) -> tuple[list[Case], list[Problem]]:
    tree = read_yaml(path, shown)
    if tree.problems or not tree.is_readable:
        return [], list(tree.problems)
    kind = query.split("/")[0]
    schema = tool_schema("query_tests")
    faults = validate(tree.value, {"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})
    if faults:
        return [], [tree.problem(fault.path, fault.message, fault.on_key) for fault in faults]
    file = Place(tree)
    _note_doubles(file)
    if kind == "slo":
        return list(slo_cases(file, query, governed.policy)), file.problems
    return list(gate_cases(file, query, governed)), file.problems


def _note_doubles(file: Place) -> None:
    seen: set[str] = set()
    for case in file.items("cases"):
        name = case.value["name"]
        if name in seen:
            case.at("name").note(f"two cases are called {name!r}; a name tells one case")
        seen.add(name)


def run_suite(governed: Governed, suite: Suite, run: Mapper) -> Report:
    """Run every case, through `run`."""
    return Report(tuple(run(partial(_run_case, governed), suite.cases)), suite.untested)


def _run_case(governed: Governed, case: Any) -> CaseResult:
    return run_slo_case(governed, case) if isinstance(case, SloCase) else run_gate_case(governed, case)
