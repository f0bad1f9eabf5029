"""What two replays of a phase, window for window beside each other, make of the same logs differently. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from checker.governance.reviewed import Flip, GatePass, PhaseReplay, ValueChange, VerdictFlip
from checker.model import Decision, Judgement, Window
from checker.windows import closed_at

Pair = tuple[Decision, Decision]


def beside(replay: PhaseReplay) -> Iterator[tuple[Window, Decision | None, Decision | None]]:
    """Each window that a side replayed, oldest first, with base's decision and head's.

    Of two lengths, which a change of the policy's `window` makes, no window is another's.
    """
    base, head = ({decision.window: decision for decision in side} for side in (replay.base, replay.head))
    for window in sorted(base.keys() | head.keys(), key=lambda window: (window.start, window.end)):
        yield window, base.get(window), head.get(window)


def pairs(replay: PhaseReplay) -> tuple[Pair, ...]:
    """Base's decision and head's for each window that both replayed, oldest first."""
    return tuple((base, head) for _, base, head in beside(replay) if base is not None and head is not None)


def flips(replay: PhaseReplay, units: Mapping[str, str]) -> Iterator[Flip]:
    """Every judgement that differs, by window and SLO; `units` are by SLO. SLOs of one side alone have none."""
    for before, after, slo in _judgements(replay):
        if before.status is not after.status:
            yield Flip(
                phase=replay.phase,
                window=after.window,
                slo=slo,
                unit=units.get(slo, ""),
                before=before.status,
                after=after.status,
                value_before=before.value,
                value_after=after.value,
                limit_before=before.threshold.limit,
                limit_after=after.threshold.limit,
            )


def verdict_flips(replay: PhaseReplay) -> Iterator[VerdictFlip]:
    """Every window whose outcome or decision differs."""
    for before, after in pairs(replay):
        if (before.outcome, before.verdict) != (after.outcome, after.verdict):
            outcomes, verdicts = (before.outcome, after.outcome), (before.verdict, after.verdict)
            yield VerdictFlip(replay.phase, after.window, *outcomes, *verdicts)


def gate_pass(replay: PhaseReplay, lateness: tuple[timedelta, timedelta]) -> GatePass:
    """When the gate first passed, under each side; `lateness` is base's and head's."""
    first = (
        next((closed_at(decision.window, late) for decision in side if decision.gate.passed), None)
        for side, late in zip((replay.base, replay.head), lateness, strict=True)
    )
    return GatePass(replay.phase, *first)


def value_changes(replay: PhaseReplay, units: Mapping[str, str]) -> Iterator[ValueChange]:
    """By SLO, the window whose value differs most; where a side has no value that counts as most of all."""
    changed: dict[str, list[tuple[Judgement, Judgement]]] = {}
    for before, after, slo in _judgements(replay):
        if not _is_same(before.value, after.value):
            changed.setdefault(slo, []).append((before, after))
    for slo, rows in changed.items():
        before, after = max(rows, key=lambda row: _distance(row[0].value, row[1].value))
        unit = units.get(slo, "")
        yield ValueChange(replay.phase, slo, unit, len(rows), after.window, before.value, after.value)


def samples_of(replays: Sequence[PhaseReplay]) -> dict[tuple[str, str], list[int]]:
    """By phase and SLO, how many samples each window had under head."""
    found: dict[tuple[str, str], list[int]] = {}
    for replay in replays:
        for decision in replay.head:
            for row in decision.judgements:
                found.setdefault((replay.phase, row.slo), []).append(row.samples)
    return found


def _judgements(replay: PhaseReplay) -> Iterator[tuple[Judgement, Judgement, str]]:
    for before, after in pairs(replay):
        rows = {row.slo: row for row in before.judgements}
        yield from ((rows[row.slo], row, row.slo) for row in after.judgements if row.slo in rows)


def _is_same(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is after
    return before == after or (math.isnan(before) and math.isnan(after))


def _distance(before: float | None, after: float | None) -> float:
    if before is None or after is None:
        return math.inf
    distance = abs(after - before)
    return math.inf if math.isnan(distance) else distance
