"""Both replays of a phase as strips of windows, a day a row where a day has few enough of them. Values only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from checker.cli.formats.review_words import status_word
from checker.governance.flips import beside
from checker.governance.reviewed import PhaseReplay
from checker.model import Decision, Window
from checker.units import counted
from checker.windows import EPOCH

_LONGEST_ROW = 96
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StripCell:
    """A window in a strip: its outcome as a class of the page's style, and what a pointer is told."""

    cls: str = ""
    told: str = ""


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of one side's windows, told in words for those who do not see it; the marks have no words."""

    side: str
    told: str
    cells: tuple[StripCell, ...]


@dataclass(frozen=True, slots=True)
class StripRow:
    """Windows of a day or less: the sides over each other, then marks where they differ."""

    label: str
    strips: tuple[Strip, ...]
    marks: tuple[StripCell, ...]


Pair = tuple[Window, Decision | None, Decision | None]


def strip_rows(replay: PhaseReplay) -> Iterator[StripRow]:
    """The rows, oldest first; windows of the same time of day stand below each other, those of one length together."""
    for length, pairs in groupby(sorted(beside(replay), key=_length), _length):
        yield from _rows(length, list(pairs))


def _length(pair: Pair) -> timedelta:
    return pair[0].end - pair[0].start


def _rows(length: timedelta, pairs: list[Pair]) -> Iterator[StripRow]:
    size = _DAY // length if _DAY % length == timedelta(0) and _DAY // length <= _LONGEST_ROW else _LONGEST_ROW
    before = (pairs[0][0].start - EPOCH) // length % size
    places: list[Pair | None] = [None] * before + [*pairs]
    places += [None] * (-len(places) % size)
    for first in range(0, len(places), size):
        yield _row(places[first : first + size])


def _row(places: Sequence[Pair | None]) -> StripRow:
    first = next(place for place in places if place is not None)
    label = f"{first[0].start:%Y-%m-%d}"
    strips = tuple(_strip(side, index, label, places) for index, side in ((1, "base"), (2, "head")))
    return StripRow(label, strips, tuple(map(_mark, places)))


def _strip(side: str, index: int, label: str, places: Sequence[Pair | None]) -> Strip:
    decisions = [place[index] if place else None for place in places]
    counts = Counter(decision.outcome for decision in decisions if isinstance(decision, Decision))
    told = ", ".join(f"{count} {status_word(status)}" for status, count in sorted(counts.items()))
    total = counted(sum(counts.values()), "window")
    return Strip(side, f"{side}, {label}: {total}: {told or 'not replayed'}", tuple(map(_cell, decisions)))


def _cell(decision: Decision | Window | None) -> StripCell:
    if not isinstance(decision, Decision):
        return StripCell()
    return StripCell(decision.outcome.value, f"{decision.window.start:%H:%M} {status_word(decision.outcome)}")


def _mark(place: Pair | None) -> StripCell:
    window, base, head = place or (None, None, None)
    if window is None or base is None or head is None:
        return StripCell()
    if (base.outcome, base.verdict) == (head.outcome, head.verdict):
        return StripCell()
    told = f"{base.outcome.value} ({base.verdict.value}) → {head.outcome.value} ({head.verdict.value})"
    return StripCell("differs", f"{window.start:%H:%M} {told}")
