"""The charts of a review: for each SLO that is judged or measured differently, both values and both limits. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from checker.cli.formats.review_words import Cells, Word, gravest_flips
from checker.governance.reviewed import Consequences, PhaseReplay, Review
from checker.model import Decision, Judgement
from checker.reporter import charts

MOST = 8


def drawings(review: Review) -> tuple[list[tuple[Cells, str]], str]:
    """Charts with their titles, those with flips first and no more than MOST; else why there is none."""
    if review.consequences is None:
        return [], ""
    try:
        return [(title, charts.svg_both(*both)) for title, both in _pairs(review.consequences)], ""
    except charts.NoCharts as fault:
        return [], str(fault)


def _pairs(told: Consequences) -> Iterator[tuple[Cells, tuple[charts.Chart, charts.Chart]]]:
    units = {(row.phase, row.slo): row.unit for row in gravest_flips(told.flips)}
    units |= {(row.phase, row.slo): row.unit for row in told.values}  # those that flip stay in front
    replays = {row.phase: row for row in told.replays}
    for (phase, slo), unit in [*units.items()][:MOST]:
        both = _both(replays[phase], slo, unit) if phase in replays else None
        if both is not None:
            yield (slo, Word(" in phase "), phase), both


def _both(replay: PhaseReplay, slo: str, unit: str) -> tuple[charts.Chart, charts.Chart] | None:
    title = f"{slo} in phase {replay.phase}"
    base, head = (_chart(side, title, slo, unit) for side in (replay.base, replay.head))
    return None if base is None or head is None else (base, head)


def _chart(decisions: tuple[Decision, ...], title: str, slo: str, unit: str) -> charts.Chart | None:
    """One side's values over the windows, and the limit of the newest; None where it has no such SLO."""
    rows = [(decision, row) for decision in decisions for row in decision.judgements if row.slo == slo]
    if not rows:
        return None
    threshold = rows[-1][1].threshold
    return charts.Chart(title, unit, tuple(_point(*row) for row in rows), threshold.limit)


def _point(decision: Decision, row: Judgement) -> charts.Point:
    return charts.Point(decision.window.start, row.value, row.status)
