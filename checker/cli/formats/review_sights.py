"""What gates can see, and what other limits would have made of the windows: sections of a review. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from checker.cli.formats.review_section import Row, Section
from checker.cli.formats.review_words import NONE, Cells, Word, percent, status_word
from checker.governance.reviewed import Sight, Sweep, SweepPoint
from checker.model import Status
from checker.units import counted, limit_text

STATUSES = (Status.OK, Status.WARN, Status.VIOLATION, Status.NO_DATA, Status.ERROR)
_SIGHT_HEADS = ("SLO", "phase", "samples a window", "smallest breach caught", "the threshold pretends", "sight")


def sight_section(sights: tuple[Sight, ...]) -> Section:
    """The SLOs that are blind in a phase, a row each; those that see enough are counted, of the rest it is said."""
    blind = tuple(_sight(row) for row in sights if row.is_blind)
    return Section("sights", "Is the gate able to see anything?", tuple(_sights_told(sights)), _SIGHT_HEADS, blind)


def _sights_told(sights: tuple[Sight, ...]) -> Iterator[Cells]:
    seeing = sum(not row.is_blind and row.breach is not None for row in sights)
    if seeing:
        yield (Word(f"{seeing:,} of {counted(len(sights), 'SLO and phase', 'SLOs and phases')} see enough"),)
    unknown = [row for row in sights if not row.is_blind and row.breach is None]
    empty = list(dict.fromkeys(row.phase for row in unknown if not row.samples))
    if empty:
        yield Word(f"not known: phase{'s' * (len(empty) > 1)} "), ", ".join(empty), Word(" had no samples")
    untold = [f"{row.slo} in phase {row.phase}" for row in unknown if row.samples]
    if untold:
        yield Word("cannot be told as a share: "), ", ".join(untold)


def _sight(row: Sight) -> Row:
    of = f" of {row.of}" if row.of else ""
    seen = Word("⚠ blind")
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
    heads = ("limit", *(str(status_word(status)) for status in STATUSES), "holds")
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
