"""A window's measurements become judgements, and its judgements an outcome. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from checker.model import InputCounts, Judgement, Measurement, OnViolation, Status, Window
from checker.policy.model import Policy, Slo


@dataclass(frozen=True, slots=True)
class JudgedWindow:
    """A window with its judgements, in the policy's order, and where its lines went."""

    window: Window
    judgements: tuple[Judgement, ...]
    outcome: Status
    inputs: InputCounts


def judge_window(
    policy: Policy,
    phase: str,
    window: Window,
    measurements: Mapping[tuple[str, datetime], Measurement],
    inputs: InputCounts,
    has_batch: bool,
    unreadable: Mapping[str, str] | None = None,
    incomplete: Mapping[str, str] | None = None,
) -> JudgedWindow:
    """Judge every SLO of `phase` in one window.

    `unreadable` says, by SLO, why its input could not be read; `incomplete` why a part of it has not come yet.
    """
    broken, incomplete = unreadable or {}, incomplete or {}
    judgements = tuple(
        _judge(slo, phase, window, measurements.get((slo.name, window.start)), has_batch, broken.get(slo.name))
        for slo in policy.slos.values()
    )
    if inputs.quarantined_share > policy.max_quarantined:
        reason = (
            f"{inputs.quarantined} of {inputs.lines} lines are broken, more than {100 * policy.max_quarantined:g} %"
        )
        judgements = tuple(_doubted(judgement, reason) for judgement in judgements)
    judgements = tuple(_held_back(row, incomplete[row.slo]) if row.slo in incomplete else row for row in judgements)
    return JudgedWindow(window, judgements, outcome_of(policy, judgements), inputs)


def outcome_of(policy: Policy, judgements: Iterable[Judgement]) -> Status:
    """The worst of the judgements that count; `no_data` where none does, since nothing was judged."""
    counted = (row.status for row in judgements if policy.slos[row.slo].on_violation is not OnViolation.OBSERVE)
    return max(counted, key=lambda status: status.severity, default=Status.NO_DATA)


def _judge(
    slo: Slo, phase: str, window: Window, measured: Measurement | None, has_batch: bool, unreadable: str | None
) -> Judgement:
    threshold = slo.thresholds[phase]

    def judgement(status: Status, reason: str | None) -> Judgement:
        value, samples, evidence = (measured.value, measured.samples, measured.evidence) if measured else (None, 0, {})
        return Judgement(slo.name, window, value, samples, threshold, status, reason, evidence)

    if unreadable is not None:
        return judgement(Status.ERROR, unreadable)
    if not has_batch:
        return Judgement(slo.name, window, None, 0, threshold, Status.NO_DATA, "the window has no batch")
    if measured is None:
        return judgement(Status.ERROR, "was not measured")
    if measured.error is not None:
        return judgement(Status.ERROR, measured.error)
    status = threshold.judge(measured.value, measured.samples, slo.min_samples)
    if status is Status.NO_DATA:
        reason = (
            f"{measured.samples} samples, {slo.min_samples} needed"
            if measured.samples < slo.min_samples
            else "no value"
        )
        return judgement(Status.VIOLATION if slo.no_data_is_violation else Status.NO_DATA, reason)
    return judgement(status, f"the value is {measured.value}, which is not finite" if status is Status.ERROR else None)


def _held_back(judgement: Judgement, reason: str) -> Judgement:
    """Of half of a window nothing is said, neither that it is met nor that it is violated."""
    return judgement if judgement.status is Status.ERROR else replace(judgement, status=Status.NO_DATA, reason=reason)


def _doubted(judgement: Judgement, reason: str) -> Judgement:
    """A met SLO says nothing where too many lines are broken; a violation stays one."""
    return replace(judgement, status=Status.NO_DATA, reason=reason) if judgement.status.is_met else judgement
