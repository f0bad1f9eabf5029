"""Cases of SLO queries: small logs, measured and judged on the way that every log takes."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from checker.analyzer.batches import LogFolder
from checker.analyzer.cache import Cache, open_cache
from checker.analyzer.decide import Case as Deciding
from checker.analyzer.decide import decide
from checker.analyzer.governed import Governed
from checker.analyzer.history import Lens, load_history
from checker.analyzer.judge import JudgedWindow
from checker.engines.local import local_mapper
from checker.model import GateResult, Judgement, Status, Verdict
from checker.policy.model import Policy, Slo
from checker.querytest.events import Setting, batches_of
from checker.querytest.model import ANYTHING, CaseName, CaseResult, ExpectedRow, Failure, SloCase
from checker.querytest.source import Place
from checker.querytest.terms import Number
from checker.windows import closed_at, floor_to_window, iso, parse_iso, stamp, window_at

ZERO = parse_iso("2026-01-01T00:00:00Z")


def slo_cases(file: Place, query: str, policy: Policy) -> Iterator[SloCase]:
    """The cases of a schema-valid test file of an SLO query; problems are noted in `file`."""
    slo = _slo_of(file, query, policy)
    for case in file.items("cases"):
        phase = case.at("phase").one_of("phase", policy.phase_names)
        if slo is not None and phase is not None:
            yield _case(case, file, query, policy, slo, phase)


def _slo_of(file: Place, query: str, policy: Policy) -> Slo | None:
    users = [slo.name for slo in policy.slos.values() if slo.query == query]
    if file.has("slo"):
        name = file.at("slo").one_of("SLO", users)
        return policy.slos[name] if name else None
    if len(users) > 1:
        file.note(f"{len(users)} SLOs use the query; say by which to judge, as in slo: {users[0]}")
        return None
    return policy.slos[users[0]]


def _case(case: Place, file: Place, query: str, policy: Policy, slo: Slo, phase: str) -> SloCase:
    zero = floor_to_window(ZERO, policy.window)
    names = _names(slo, phase)
    rows = tuple(_row(row, policy, zero, names) for row in case.items("expect"))
    last = max(row.window.start for row in rows)
    setting = Setting(zero, policy.window, phase, names)
    batches = batches_of(case, file.at("defaults"), setting, last)
    name = CaseName(query, case.value["name"], phase, file.tree.shown_as, case.line)
    return SloCase(name, slo.name, batches, rows)


def _names(slo: Slo, phase: str) -> dict[str, Number]:
    """The numbers that terms may name: `limit`, and `warn` where the SLO has a warning line."""
    threshold = slo.thresholds[phase]
    names: dict[str, Number] = {"limit": threshold.limit}
    return names if threshold.warn_limit is None else names | {"warn": threshold.warn_limit}


def _row(row: Place, policy: Policy, zero: datetime, names: Mapping[str, Number]) -> ExpectedRow:
    start = row.at("window").window_start(zero, policy.window)
    value = row.at("value")
    return ExpectedRow(
        line=row.line,
        label=str(row.value.get("window", 0)),
        window=window_at(start, policy.window),
        status=Status(row.value["status"]),
        value=(None if value.value is None else value.number(names)) if row.has("value") else ANYTHING,
        samples=row.at("samples").count(names) if row.has("samples") else ANYTHING,
        quarantined=row.at("quarantined").count(names) if row.has("quarantined") else 0,
        decision=Verdict(row.value["decision"]) if row.has("decision") else ANYTHING,
    )


def run_slo_case(governed: Governed, case: SloCase) -> CaseResult:
    """Write the case's batches to a folder of their own, judge every window of theirs, and compare."""
    with laid_out(case) as logs:
        return CaseResult(case.name, tuple(logs.failures(governed, logs.judged(governed))))


@contextmanager
def laid_out(case: SloCase) -> Iterator[SloLogs]:
    """The case's batches in a folder of their own, for as long as the block takes."""
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder, open_cache(None) as cache:
        for start, content in case.batches.items():
            (Path(folder) / f"{stamp(start)}.jsonl").write_bytes(content)
        yield SloLogs(case, LogFolder(Path(folder)), cache)


@dataclass(frozen=True, slots=True)
class SloLogs:
    """A case's batches where they can be judged, by the files that they are meant for and by others."""

    case: SloCase
    folder: LogFolder
    cache: Cache

    def judged(self, governed: Governed) -> Mapping[datetime, JudgedWindow]:
        """Every window of the case by its start; batches are read once, however often this is asked."""
        case, policy = self.case, governed.policy
        only = replace(governed, policy=replace(policy, slos={case.slo: policy.slos[case.slo]}))
        expected = [row.window.start for row in case.rows]
        first, last = min([*expected, *case.batches]), max(expected)
        closes = closed_at(window_at(max([last, *case.batches]), policy.window), policy.lateness)
        lens = Lens(case.name.phase, case.name.phase, closes)
        history = load_history(only, self.folder, self.cache, local_mapper(1), lens, first, last)
        self.cache.save()
        return history.judged

    def failures(self, governed: Governed, judged: Mapping[datetime, JudgedWindow]) -> Iterator[Failure]:
        """What of `judged` is not as the case expects it."""
        yield from _failures(self.case, judged)
        for row in self.case.rows:
            if row.decision is not ANYTHING:
                yield from _decision_failures(governed, self.case, row, judged[row.window.start])


def _decision_failures(governed: Governed, case: SloCase, row: ExpectedRow, item: JudgedWindow) -> Iterator[Failure]:
    """Whether the window alone would roll back; a gate that passes is another query's test."""
    policy, phase = governed.policy, case.name.phase
    gate = policy.gate_of(phase)
    nothing_passed = GateResult(gate.name, gate.query)
    found = decide(Deciding(policy, phase, phase, item.window.end, (item,), nothing_passed)).verdict
    if found is not row.decision:
        yield Failure(row.line, f"window {row.label}: decision: expected {row.decision}, found {found}")


def _failures(case: SloCase, judged: Mapping[datetime, JudgedWindow]) -> Iterator[Failure]:
    for row in case.rows:
        item = judged[row.window.start]
        (judgement,) = item.judgements
        for message in _row_differences(row, judgement):
            yield Failure(row.line, f"window {row.label}: {message}")
        if item.inputs.quarantined != row.quarantined:
            found = f"{item.inputs.quarantined}{_reasons(item)}"
            yield Failure(row.line, f"window {row.label}: quarantined: expected {row.quarantined}, found {found}")
    spoken_of = {row.window.start for row in case.rows}
    for start, item in judged.items():
        if start not in spoken_of and item.inputs.quarantined:
            yield Failure(case.name.line, f"window {iso(start)}: {item.inputs.quarantined} quarantined{_reasons(item)}")


def _row_differences(row: ExpectedRow, judgement: Judgement) -> Iterator[str]:
    if judgement.status is not row.status:
        reason = f" ({judgement.reason})" if judgement.reason else ""
        yield f"status: expected {row.status.value}, found {judgement.status.value}{reason}"
    if row.value is not ANYTHING and not is_same(row.value, judgement.value):
        yield f"value: expected {said(row.value)}, found {said(judgement.value)}"
    if row.samples is not ANYTHING and row.samples != judgement.samples:
        yield f"samples: expected {row.samples}, found {judgement.samples}"


def _reasons(item: JudgedWindow) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in item.inputs.quarantined_by_reason.items())
    return f" ({reasons})" if reasons else ""


def is_same(expected: object, found: float | None) -> bool:
    """Whether two numbers agree to 12 digits: sums may differ in their last bits; None agrees with None alone."""
    if not isinstance(expected, int | float) or found is None:
        return expected is found
    return math.isclose(expected, found, rel_tol=1e-12)


def said(value: object) -> str:
    """A value as a failure shows it, as exact as it is compared."""
    return "no value" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)
