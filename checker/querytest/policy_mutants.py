"""Mutants of a policy: its document with one number or word nudged, built anew. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checker.model import Comparison, OnViolation
from checker.policy.build import build_policy
from checker.policy.model import Policy, Slo
from checker.policy.thresholds import DEFAULT_WARN_AT
from checker.querytest.nudges import numbers_beside, put, without
from checker.schemas import DocumentPath

_MILDER = {
    OnViolation.ROLLBACK: (OnViolation.HOLD, OnViolation.OBSERVE),
    OnViolation.HOLD: (OnViolation.ROLLBACK,),
    OnViolation.OBSERVE: (OnViolation.ROLLBACK,),
}


@dataclass(frozen=True, slots=True)
class PolicyMutant:
    """A policy with the value at `path` nudged. It may show in cases of `queries` in `phases`, of `slo` if named.

    With `is_of_broken_lines` in those alone that expect some.
    """

    path: DocumentPath
    told: str
    hint: str
    queries: frozenset[str]
    phases: frozenset[str]
    slo: str | None
    policy: Policy
    is_of_broken_lines: bool = False


@dataclass(frozen=True, slots=True)
class _Original:
    """The policy and the document that it was built from."""

    document: dict[str, Any]
    policy: Policy

    def build(self, document: dict[str, Any]) -> Policy:
        return build_policy(document, self.policy.path, self.policy.root)


def policy_mutants(document: dict[str, Any], policy: Policy) -> list[PolicyMutant]:
    """Every mutant of the policy that the sound `document` says, in the document's order of SLOs and gates."""
    original = _Original(document, policy)
    found = [*_of_the_whole(original)]
    for slo in policy.slos.values():
        found += [mutant for rule in _SLO_RULES for mutant in rule(original, slo)]
    return [*found, *_of_gates(original)]


def _of_the_whole(original: _Original) -> Iterator[PolicyMutant]:
    policy, path = original.policy, ("max_quarantined",)
    queries, phases = frozenset(slo.query for slo in policy.slos.values()), frozenset(policy.phase_names)
    share = f"{policy.max_quarantined:g}"
    for other in numbers_beside(share):
        if 0 <= float(other) <= 1:
            hint = f"has a share of broken lines between {share} and {other}"
            built = original.build(put(original.document, path, float(other)))
            yield PolicyMutant(path, f"{share} -> {other}", hint, queries, phases, None, built, True)


def _of_slo(
    original: _Original, slo: Slo, path: tuple[str, ...], told: str, hint: str, document: Any, phase: str | None = None
) -> PolicyMutant:
    phases = frozenset(original.policy.phase_names if phase is None else [phase])
    whole = ("slos", slo.name, *path)
    return PolicyMutant(whole, told, hint, frozenset([slo.query]), phases, slo.name, original.build(document))


def _thresholds(original: _Original, slo: Slo) -> Iterator[PolicyMutant]:
    for phase, limit in original.document["slos"][slo.name]["threshold"].items():
        for other in numbers_beside(str(limit)):
            document = put(original.document, ("slos", slo.name, "threshold", phase), _number(other))
            hint = f"is of phase {phase}, and has a value at {limit} or just past it"
            yield _of_slo(original, slo, ("threshold", phase), f"{limit} -> {other}", hint, document, phase)


def _warnings(original: _Original, slo: Slo) -> Iterator[PolicyMutant]:
    """The share of `lte`, and the line or lines of `gte`."""
    said = original.document["slos"][slo.name]
    if slo.comparison is Comparison.LTE:
        yield from _nudged_warning(original, slo, ("warn_at",), said.get("warn_at", DEFAULT_WARN_AT), None)
    elif slo.comparison is Comparison.GTE and isinstance(said["warn_below"], dict):
        for phase, line in said["warn_below"].items():
            yield from _nudged_warning(original, slo, ("warn_below", phase), line, phase)
    elif slo.comparison is Comparison.GTE:
        yield from _nudged_warning(original, slo, ("warn_below",), said["warn_below"], None)


def _nudged_warning(
    original: _Original, slo: Slo, path: tuple[str, ...], line: float, phase: str | None
) -> Iterator[PolicyMutant]:
    for other in numbers_beside(str(line)):
        if path == ("warn_at",) and not 0 < float(other) <= 1:
            continue
        document = put(original.document, ("slos", slo.name, *path), _number(other))
        hint = "has a value at the warning line, or just past it"
        yield _of_slo(original, slo, path, f"{line} -> {other}", hint, document, phase)


def _min_samples(original: _Original, slo: Slo) -> Iterator[PolicyMutant]:
    for other in numbers_beside(str(slo.min_samples)):
        if int(other) >= 1:
            document = put(original.document, ("slos", slo.name, "min_samples"), int(other))
            fewest = min(int(other), slo.min_samples)
            hint = f"has exactly {fewest} sample{'' if fewest == 1 else 's'}"
            yield _of_slo(original, slo, ("min_samples",), f"{slo.min_samples} -> {other}", hint, document)


def _comparisons(original: _Original, slo: Slo) -> Iterator[PolicyMutant]:
    """Each other comparison, without a warning line: what `lte` shares, `gte` has to name."""
    for other in Comparison:
        if other is slo.comparison:
            continue
        said = without(without(original.document["slos"][slo.name], ("warn_at",)), ("warn_below",))
        line = {Comparison.LTE: {"warn_at": 1}, Comparison.GTE: {"warn_below": said["threshold"]}, Comparison.EQ: {}}
        document = put(original.document, ("slos", slo.name), {**said, "comparison": other.value, **line[other]})
        hint = f"has a value that meets {slo.comparison.value} and not {other.value}, or the other way round"
        yield _of_slo(original, slo, ("comparison",), f"{slo.comparison.value} -> {other.value}", hint, document)


def _on_no_data(original: _Original, slo: Slo) -> Iterator[PolicyMutant]:
    was, now = ("violation", "hold") if slo.no_data_is_violation else ("hold", "violation")
    document = put(original.document, ("slos", slo.name, "on_no_data"), now)
    yield _of_slo(original, slo, ("on_no_data",), f"{was} -> {now}", "has a batch and no sample in it", document)


def _on_violation(original: _Original, slo: Slo) -> Iterator[PolicyMutant]:
    """`hold` for `observe` is left out: neither rolls back, which is all that a row can expect of a violation."""
    for other in _MILDER[slo.on_violation]:
        document = put(original.document, ("slos", slo.name, "on_violation"), other.value)
        hint = "has a row with `status: violation` that says which `decision` it leads to"
        yield _of_slo(original, slo, ("on_violation",), f"{slo.on_violation.value} -> {other.value}", hint, document)


_SLO_RULES = (_thresholds, _warnings, _min_samples, _comparisons, _on_no_data, _on_violation)


def _of_gates(original: _Original) -> Iterator[PolicyMutant]:
    """Each number of each gate; one that counts does not go below 0."""
    for gate in original.policy.gates.values():
        phases = frozenset(phase.name for phase in original.policy.phases if phase.gate == gate.name)
        for name, value in gate.parameters.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            path = ("gates", gate.name, "parameters", name)
            for other in numbers_beside(str(value)):
                if value >= 0 > float(other):
                    continue
                built = original.build(put(original.document, path, _number(other)))
                hint = f"is of phase {' or '.join(sorted(phases))}, and requires {name}"
                told = f"{value} -> {other}"
                yield PolicyMutant(path, told, hint, frozenset([gate.query]), phases, None, built)


def _number(written: str) -> int | float:
    return float(written) if "." in written else int(written)
