"""Cases of gate queries: a short history of judgements, alerts and records, and what the gate makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from checker.analyzer.gate import GateAlert, GateLedgerRow, GateWindow, gate_runner
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
_STATUSES = {"met": Status.OK, MISSING: Status.NO_DATA, **{status.value: status for status in Status}}
_STRETCH = re.compile(r"(\d{1,6}|=\S+) ([a-z_]+)(?: of (\S+))?")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Windows in a row with the same status, of one SLO or of all."""

    count: int
    word: str
    slo: str | None


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
        place.read(lambda text: _stretch(text, names, valid), Stretch(0, "met", None))
        for place in case.items("history")
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
    """`95 met`, `1 violation of save_latency_p95`, `=lookback-1 met`. Raises ValueError."""
    match = _STRETCH.fullmatch(text)
    if match is None:
        raise ValueError(f"expected '95 met', '=lookback-1 met' or '1 violation of <SLO>', found {shown(text)}")
    count, word, slo = match.groups()
    if word not in _STATUSES:
        raise ValueError(f"no status {word!r}{nearest(word, _STATUSES)} (there are: {listed(_STATUSES)})")
    if slo is not None and (slo not in slos or word in ("met", MISSING)):
        raise ValueError(f"'{word} of {slo}' is not possible; an SLO that gates see is one of {listed(slos)}")
    return Stretch(count_of(count if is_term(count) else int(count), names), word, slo)


def _window(window: Window, stretch: Stretch, slos: list[Slo], phase: str) -> GateWindow:
    judgements = tuple(
        Judgement(
            slo=slo.name,
            window=window,
            value=None,
            samples=0,
            threshold=slo.thresholds[phase],
            status=_STATUSES[stretch.word] if stretch.slo in (None, slo.name) else Status.OK,
        )
        for slo in slos
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
    policy, phase = governed.policy, case.name.phase
    query = governed.gate_query(phase)
    at = closed_at(case.windows[-1].window, policy.lateness)
    asked = policy.gate_of(phase), query, phase, case.windows, case.alerts, case.ledger, governed.allowance
    with gate_runner(*asked) as runner:
        result = runner.ask(case.until - gate_lookback(governed, phase), case.since, case.until, at)
    return CaseResult(case.name, tuple(_failures(case, result)))


def _failures(case: GateCase, result: GateResult) -> Iterator[Failure]:
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
