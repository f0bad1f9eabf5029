"""Every check of the governed files: policy, event schema, queries (which are run), templates, documents in step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from checker.analyzer.governed import Parts, read_parts, template_sources
from checker.analyzer.probe import gate_problems, slo_problems
from checker.analyzer.span_events import SloTask
from checker.errors import Problem
from checker.governance.beside_policy import beside_counts, beside_problems
from checker.governance.documents import documents, outdated, read
from checker.policy.model import Policy
from checker.units import counted

# The faults of the templates whose texts are given by name.
TemplateCheck = Callable[[Policy, Mapping[str, str]], Iterable[Problem]]


@dataclass(frozen=True, slots=True)
class Checked:
    """A kind of thing that was checked, how many of it, and how."""

    kind: str
    count: int
    how: str


@dataclass(frozen=True, slots=True)
class Validation:
    """Every problem, in the order of their places, and what was checked."""

    problems: tuple[Problem, ...]
    checked: tuple[Checked, ...]


def validate_governed(path: Path, check_templates: TemplateCheck) -> Validation:
    """Check all that `policy.yaml` at `path` governs, as far as its faults allow.

    Raises UsageError for a document that cannot be read.
    """
    parts = read_parts(path)
    problems = {*parts.problems, *_run_problems(parts)}
    if parts.policy is None:
        return Validation(tuple(sorted(problems)), ())
    sources = template_sources(parts.policy)
    problems |= {*check_templates(parts.policy, sources)}
    problems |= {*beside_problems(parts.policy)}
    root = parts.policy.root
    texts = {file.relative_to(root).as_posix(): read(file) for file in documents(root)}
    problems |= {problem for name, text in texts.items() for problem in outdated(parts.policy, text, name)}
    checked = tuple(_checked(parts, parts.policy, len(sources), len(texts)))
    beside = () if problems else tuple(Checked(*row) for row in beside_counts(parts.policy))
    return Validation(tuple(sorted(problems)), (*checked, *beside))


def _run_problems(parts: Parts) -> Iterator[Problem]:
    """What shows only when the queries run; a query that has a problem already is not run."""
    policy, rules = parts.policy, parts.rules()
    if policy is None or rules is None:
        return
    tasks = [
        SloTask(slo.name, query, query.lookback_length(policy.window))
        for slo in policy.slos.values()
        if (query := parts.queries.get(slo.query)) is not None
    ]
    yield from slo_problems(tasks, rules, policy.phase_names[0], parts.allowance)
    yield from gate_problems(policy, parts.queries, parts.allowance)


def _checked(parts: Parts, policy: Policy, templates: int, texts: int) -> Iterator[Checked]:
    parts_of_it = (("phase", policy.phases), ("SLO", policy.slos), ("gate", policy.gates), ("notice", policy.notices))
    counts = ", ".join(counted(len(items), noun) for noun, items in parts_of_it)
    yield Checked("policy", 1, f"{policy.path.name}: {counts}")
    fields = len(parts.schema.columns) if parts.schema else 0
    yield Checked("event schema", 1, f"{policy.event_schema}: {counted(fields, 'field')}")
    slo = {item.query for item in policy.slos.values()}
    yield Checked("SLO queries", len(slo), "run over no events, over made-up events, and in halves")
    gate = {item.query for item in policy.gates.values()}
    yield Checked("gate queries", len(gate), "run over nothing, over a mixed history, and over one all met")
    yield Checked("templates", templates, "rendered for every phase, outcome and state")
    yield Checked("documents", texts, "in step with the policy")
