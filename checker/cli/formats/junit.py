"""The result of a check as JUnit XML: a test case for each SLO and for each criterion of the gate."""

from __future__ import annotations

from collections import Counter
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from checker.cli.formats.wording import gate_aim, gate_trouble, input_text, judged_text, summary_text, titled
from checker.model import CheckResult, Criterion, Decision, Judgement, Status
from checker.policy.model import Policy
from checker.reporter.facts import criterion_text
from checker.units import plain, shortened
from checker.windows import iso

FAILURE, ERROR, SKIPPED = "failure", "error", "skipped"
_OUTCOMES = {Status.VIOLATION: FAILURE, Status.ERROR: ERROR, Status.NO_DATA: ERROR}


def to_junit(result: CheckResult, policy: Policy) -> str:
    """One suite as XML text. What XML cannot hold is written as an escape."""
    root = Element("testsuites")
    suite_of(root, result, policy)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def suite_of(root: Element, result: CheckResult, policy: Policy) -> None:
    """Add the suite of `result`. A violation is a failure, `error` and `no_data` are errors, an open criterion skipped.

    Holding is no failure; what could not be judged is never a pass.
    """
    decision = result.decision
    suite = SubElement(root, "testsuite", _safe({"name": summary_text(decision), "timestamp": iso(decision.as_of)}))
    _properties(suite, decision, policy)
    for row in decision.judgements:
        _judgement(suite, row, decision, policy)
    _gate(suite, decision)
    if result.notices:
        SubElement(suite, "system-out").text = "\n".join(_notices(result))
    count_cases(suite)


def xml_text(text: str) -> str:
    """`text` on one line, without a character that XML 1.0 has no way to write."""
    return plain(shortened(text))


def _safe(attributes: dict[str, str]) -> dict[str, str]:
    return {name: xml_text(value) for name, value in attributes.items()}


def _properties(suite: Element, decision: Decision, policy: Policy) -> None:
    told = [
        ("outcome", decision.outcome.value),
        ("decision", decision.verdict.value),
        ("window", iso(decision.window.start)),
        ("input", input_text(decision.inputs)),
        *(("reason", titled(reason, policy, decision)) for reason in decision.reasons),
    ]
    properties = SubElement(suite, "properties")
    for name, value in told:
        SubElement(properties, "property", _safe({"name": name, "value": value}))


def _case(suite: Element, decision: Decision, name: str, query: str) -> Element:
    group = f"{decision.target}.{decision.phase}"
    return SubElement(suite, "testcase", _safe({"classname": group, "name": name, "file": query, "time": "0"}))


def _judgement(suite: Element, row: Judgement, decision: Decision, policy: Policy) -> None:
    slo = policy.slos[row.slo]
    case = _case(suite, decision, slo.title, f"queries/{slo.query}")
    told = judged_text(row, slo)
    if row.status in _OUTCOMES:
        _outcome(case, _OUTCOMES[row.status], row.status.value, told)
    else:
        SubElement(case, "system-out").text = xml_text(f"{row.status.value}: {told}")


def _gate(suite: Element, decision: Decision) -> None:
    gate, aim = decision.gate, gate_aim(decision)
    query = f"queries/{gate.query}"
    trouble = gate_trouble(gate)
    if trouble:
        kind = SKIPPED if gate.error is None else ERROR
        _outcome(_case(suite, decision, aim, query), kind, "gate", trouble)
    for row in gate.criteria:
        case = _case(suite, decision, f"{aim}: {row.criterion}", query)
        if not row.passed:
            _outcome(case, SKIPPED, "", _criterion(row))


def _criterion(row: Criterion) -> str:
    return "; ".join(filter(None, (criterion_text(row), row.reason)))


def _outcome(case: Element, kind: str, type_: str, message: str) -> None:
    SubElement(case, kind, _safe({"message": message} | ({"type": type_} if type_ else {})))


def _notices(result: CheckResult) -> list[str]:
    return [
        xml_text(line)
        for notice in result.notices
        for line in (f"Notice {notice.id} → {notice.channel}", *notice.text.splitlines())
    ]


def count_cases(suite: Element) -> None:
    """Write how many cases there are, and how many of each kind, as readers want them."""
    kinds = Counter(part.tag for case in suite.iter("testcase") for part in case)
    suite.set("tests", str(len(suite.findall("testcase"))))
    for name, kind in (("failures", FAILURE), ("errors", ERROR), ("skipped", SKIPPED)):
        suite.set(name, str(kinds[kind]))
