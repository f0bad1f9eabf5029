"""What gates can see, and what other limits would have made of the windows: sections of a review. Pure."""

from __future__ import annotations

from checker.cli.formats.review_section import Row, Section
from checker.cli.formats.review_words import NONE, Cells, Word, percent, status_word
from checker.governance.reviewed import Sight, Sweep, SweepPoint
from checker.model import Status
from checker.units import limit_text

STATUSES = (Status.OK, Status.WARN, Status.VIOLATION, Status.NO_DATA, Status.ERROR)
_SIGHT_HEADS = ("SLO", "phase", "samples a window", "smallest breach caught", "the threshold pretends", "sight")


def sight_section(sights: tuple[Sight, ...]) -> Section:
    """For each SLO and phase: the samples that a window has, and what can be told with so many; the blind first."""
    measured = [row for row in sights if row.samples is not None]
    ranked = sorted(measured, key=lambda row: not row.is_blind)
    blind = sum(row.is_blind for row in sights)
    told: list[Cells] = [(Word(f"{blind} of {len(sights)} see less than their threshold says."),)] if blind else []
    empty = list(dict.fromkeys(row.phase for row in sights if row.samples is None))
    told += [(Word("Not known, for want of samples: phase "), ", ".join(empty))] if empty and measured else []
    return Section("sights", "Is the gate able to see anything?", tuple(told), _SIGHT_HEADS, tuple(map(_sight, ranked)))


def _sight(row: Sight) -> Row:
    of = f" of {row.of}" if row.of else ""
    seen = Word("⚠ blind" if row.is_blind else "not known" if row.breach is None else "sees")
    return (
        row.slo,
        row.phase,
        NONE if row.samples is None else Word(f"{row.samples:,}"),
        NONE if row.breach is None else percent(row.breach) + of,
        NONE if row.pretends is None else percent(row.pretends) + of,
        f"{seen}: {row.why}" if row.why else seen,
    )


def sweep_section(sweep: Sweep) -> Section:
    """How many windows come to which status with each limit; the one that holds is marked."""
    limits = [point.limit for point in sweep.points]
    heads = ("limit", *(str(status_word(status)) for status in STATUSES), "now")
    rows = tuple(_point(sweep, point, limits) for point in sweep.points)
    told: Cells = (sweep.slo, Word(" in phase "), sweep.phase, Word(", over the values that head measures"))
    marked = limits.index(sweep.current) if sweep.current in limits else None
    if marked is None and sweep.points:
        told = (*told, Word("; now "), _limit(sweep, sweep.current, limits))
    return Section("sweep", "Other limits", (told,) if rows else (), heads, rows, marked=marked)


def _point(sweep: Sweep, point: SweepPoint, limits: list[float]) -> Row:
    counts = (Word(f"{point.counts.get(status, 0):,}") for status in STATUSES)
    return (_limit(sweep, point.limit, limits), *counts, Word("← now" if point.limit == sweep.current else ""))


def _limit(sweep: Sweep, limit: float, limits: list[float]) -> str:
    return f"{sweep.comparison.sign} {limit_text(limit, sweep.unit, limits)}"
