"""Cases of gate queries: a short history of judgements, alerts and records, and what the gate makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from checker.analyzer.gate import GateAlert, GateLedgerRow, GateRunner, GateWindow, gate_runner
from checker.analyzer.governed import Governed
from checker.analyzer.history import gate_lookback
from checker.model import Criterion, GateResult, Judgement, OnViolation, Status, Window
from checker.policy.model import Policy, Slo
from checker.querytest.model import ANYTHING, CaseName, CaseResult, ExpectedCriterion, Failure, GateCase
from checker.querytest.slo import ZERO, is_same, said
from checker.querytest.source import Place
from checker.querytest.terms import Number, count_of, is_term
from checker.schemas import listed, nearest, shown
from checker.windows import closed_at, floor_to_window, iso, window_at

MAX_WINDOWS = 10_000
MISSING = "missing"
UNJUDGED = "unjudged"
_STATUSES = {
    "met": Status.OK,
    MISSING: Status.NO_DATA,
    UNJUDGED: Status.NO_DATA,
    **{status.value: status for status in Status},
}
_STRETCH = re.compile(r"(\d{1,6}|=\S+) ([a-z_]+)(?: of (\S+))?((?: and [a-z_]+ of \S+)*)")
_MORE = re.compile(r" and ([a-z_]+) of (\S+)")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Windows in a row with the same status of all SLOs, or with one each of some: `statuses` by SLO."""

    count: int
    word: str
    statuses: Mapping[str, Status]

    def status_of(self, slo: str) -> Status:
        """The status of an SLO."""
        return self.statuses.get(slo, Status.OK) if self.statuses else _STATUSES[self.word]


def gate_cases(file: Place, query: str, governed: Governed) -> Iterator[GateCase]:
    """The cases of a schema-valid test file of a gate query; problems are noted in `file`."""
    policy = governed.policy
    phases = [name for name in policy.phase_names if policy.gate_of(name).query == query]
    for case in file.items("cases"):
        phase = case.at("phase").one_of("phase with this gate", phases)
        if phase is not None:
            yield _case(case, file, query, governed, phase)


def _case(case: Place, file: Place, query: str, governed: Governed, phase: str) -> GateCase:
    policy, zero = governed.policy, floor_to_window(ZERO, governed.policy.window)
    names = _names(governed, phase)
    windows = _windows(case, policy, phase, names, zero)
    begun = windows[0].window.start if windows else zero
    expect = case.at("expect")
    return GateCase(
        name=CaseName(query, case.value["name"], phase, file.tree.shown_as, case.line),
        windows=windows,
        alerts=tuple(_alert(place, policy, zero) for place in case.items("alerts")),
        ledger=tuple(_record(place, phase, zero, seq) for seq, place in enumerate(case.items("ledger"), 1)),
        since=case.at("since").window_start(zero, policy.window) if case.has("since") else begun,
        until=zero,
        criteria=tuple(_criterion(place, names, zero) for place in expect.items("criteria")),
        passed=expect.value["passed"],
    )


def _names(governed: Governed, phase: str) -> dict[str, Number]:
    """The numbers that terms may name: the gate's parameters, and `lookback`, its length in windows."""
    gate = governed.policy.gate_of(phase)
    numbers: dict[str, Number] = {
        name: value
        for name, value in gate.parameters.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return numbers | {"lookback": -(-gate_lookback(governed, phase) // governed.policy.window)}


def _windows(
    case: Place, policy: Policy, phase: str, names: Mapping[str, Number], zero: datetime
) -> tuple[GateWindow, ...]:
    """The windows of the history, the last of which ends at `zero`. An SLO that is only observed is not in them."""
    slos = [slo for slo in policy.slos.values() if slo.on_violation is not OnViolation.OBSERVE]
    valid = [slo.name for slo in slos]
    stretches = [
        place.read(lambda text: _stretch(text, names, valid), Stretch(0, "met", {})) for place in case.items("history")
    ]
    total = sum(stretch.count for stretch in stretches)
    if not 0 < total <= MAX_WINDOWS:
        case.at("history").note(f"has {total} windows; expected 1 to {MAX_WINDOWS}")
        return ()
    words = [stretch for stretch in stretches for _ in range(stretch.count)]
    begun = zero - policy.window * total
    return tuple(
        _window(window_at(begun + policy.window * number, policy.window), stretch, slos, phase)
        for number, stretch in enumerate(words)
    )


def _stretch(text: str, names: Mapping[str, Number], slos: list[str]) -> Stretch:
    """`95 met`, `=lookback-1 met`, `1 warn of failure_rate and error of history_drift`. Raises ValueError."""
    match = _STRETCH.fullmatch(text)
    if match is None:
        raise ValueError(f"expected '95 met', '=lookback-1 met' or '1 violation of <SLO>', found {shown(text)}")
    count, word, slo, more = match.groups()
    pairs = [(word, slo), *_MORE.findall(more)]
    for word_, slo_ in pairs:
        _check_status(word_, slo_, slos)
    if more and (slo is None or len({slo_ for _, slo_ in pairs}) < len(pairs)):
        raise ValueError(f"{shown(text)}: with 'and' each status is of another SLO")
    statuses = {} if slo is None else {slo_: _STATUSES[word_] for word_, slo_ in pairs}
    return Stretch(count_of(count if is_term(count) else int(count), names), word, statuses)


def _check_status(word: str, slo: str | None, slos: list[str]) -> None:
    if word not in _STATUSES:
        raise ValueError(f"no status {word!r}{nearest(word, _STATUSES)} (there are: {listed(_STATUSES)})")
    if slo is not None and (slo not in slos or word in ("met", MISSING, UNJUDGED)):
        raise ValueError(f"'{word} of {slo}' is not possible; an SLO that gates see is one of {listed(slos)}")


def _window(window: Window, stretch: Stretch, slos: list[Slo], phase: str) -> GateWindow:
    judgements = tuple(
        Judgement(
            slo=slo.name,
            window=window,
            value=None,
            samples=0,
            threshold=slo.thresholds[phase],
            status=stretch.status_of(slo.name),
        )
        for slo in (slos if stretch.word != UNJUDGED else ())
    )
    return GateWindow(window, stretch.word != MISSING, 0, judgements)


def _alert(place: Place, policy: Policy, zero: datetime) -> GateAlert:
    at = place.at("at").instant(zero)
    return GateAlert(at, floor_to_window(at, policy.window), place.value["name"], place.value["severity"])


def _record(place: Place, phase: str, zero: datetime, seq: int) -> GateLedgerRow:
    return GateLedgerRow(
        seq=seq,
        at=place.at("at").instant(zero),
        kind=place.value["kind"],
        phase=place.value.get("phase", phase),
        window_start=place.at("window").instant(zero) if place.has("window") else None,
        id=place.value.get("id", f"record-{seq}"),
        data=place.value.get("data", {}),
    )


def _criterion(place: Place, names: Mapping[str, Number], zero: datetime) -> ExpectedCriterion:
    def number(key: str) -> Number | None:
        return None if place.at(key).value is None else place.at(key).number(names)

    since = place.at("since")
    return ExpectedCriterion(
        line=place.line,
        criterion=place.value["criterion"],
        observed=number("observed"),
        required=number("required"),
        passed=place.value["passed"],
        since=(None if since.value is None else since.instant(zero)) if place.has("since") else ANYTHING,
        reason=place.value.get("reason", ANYTHING),
    )


def run_gate_case(governed: Governed, case: GateCase) -> CaseResult:
    """Ask the gate as it stands at the end of the case's history, and compare."""
    with loaded_gate(governed, case) as gate:
        return CaseResult(case.name, tuple(gate_failures(case, gate.result(governed))))


@contextmanager
def loaded_gate(governed: Governed, case: GateCase) -> Iterator[LoadedGate]:
    """The case's history where a gate can be asked about it, for as long as the block takes."""
    policy, phase = governed.policy, case.name.phase
    asked = policy.gate_of(phase), governed.gate_query(phase), phase, case.windows, case.alerts, case.ledger
    with gate_runner(*asked, governed.allowance) as runner:
        yield LoadedGate(case, runner)


@dataclass(frozen=True, slots=True)
class LoadedGate:
    """A case's history where it can be asked about, by the files that it is meant for and by others."""

    case: GateCase
    runner: GateRunner

    def result(self, governed: Governed) -> GateResult:
        """The gate as it stands at the end of the case's history."""
        case, policy, phase = self.case, governed.policy, self.case.name.phase
        first = case.until - gate_lookback(governed, phase)
        at = closed_at(case.windows[-1].window, policy.lateness)
        runner = self.runner.asking(policy.gate_of(phase), governed.gate_query(phase))
        return runner.ask(first, case.since, case.until, at)


def gate_failures(case: GateCase, result: GateResult) -> Iterator[Failure]:
    """What of `result` is not as the case expects it."""
    line = case.name.line
    if result.error is not None and (case.criteria or result.criteria):
        yield Failure(line, result.error)
    if result.passed is not case.passed:
        yield Failure(line, f"gate: expected {_passed(case.passed)}, found {_passed(result.passed)}")
    for expected, found in zip_longest(case.criteria, result.criteria):
        if found is None:
            yield Failure(expected.line, f"criterion {expected.criterion}: the gate returned no such row")
        elif expected is None:
            yield Failure(line, f"criterion {found.criterion}: the gate returned it, the case does not expect it")
        else:
            for message in _differences(expected, found):
                yield Failure(expected.line, f"criterion {expected.criterion}: {message}")


def _differences(expected: ExpectedCriterion, found: Criterion) -> Iterator[str]:
    if expected.criterion != found.criterion:
        yield f"expected it here, found {found.criterion}"
        return
    for name in ("observed", "required"):
        wanted, value = getattr(expected, name), getattr(found, name)
        if not is_same(wanted, value):
            yield f"{name}: expected {said(wanted)}, found {said(value)}"
    if expected.passed is not found.passed:
        yield f"expected {_passed(expected.passed)}, found {_passed(found.passed)}"
    if expected.since is not ANYTHING and expected.since != found.since:
        yield f"since: expected {_time(expected.since)}, found {_time(found.since)}"
    if expected.reason is not ANYTHING and expected.reason != found.reason:
        yield f"reason: expected {shown(expected.reason)}, found {shown(found.reason)}"


def _passed(passed: bool) -> str:
    return "passed" if passed else "not passed"


def _time(instant: object) -> str:
    return iso(instant) if isinstance(instant, datetime) else "no time"
