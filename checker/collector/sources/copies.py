"""Which files hold the same lines: a rotation's copy beside its original, whole or still being made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from checker.collector.sources.marks import FINGERPRINT_BYTES, Mark, fits
from checker.collector.sources.tail import READ_BYTES, Tail
from checker.regular import NotRegular, open_regular


class Read:
    """What was read of all files: at the last look (`before`), and, as this look goes over them, by now."""

    def __init__(self, before: Iterable[Mark]) -> None:
        self._before, self._now = _Index(before), _Index(())
        self._by_place: dict[tuple[int, int], Mark] = {}  # of those that are still what they were, or have grown

    def note(self, mark: Mark, goes_on: bool) -> None:
        """This file was gone over; whether it `goes_on` where the last look left it."""
        self._now.add(mark)
        if goes_on:
            self._by_place[mark.place] = mark

    def furthest(self, tail: Tail, own: Mark | None) -> tuple[int, Mark] | None:
        """How far the file behind `tail` was read elsewhere, if further than `own` says, and the mark that tells it.

        A file that nobody knows counts as another's copy beside it only where all of it that can be compared is the
        same: two files may begin alike.
        """
        found, at = None, own.offset if own else 0
        beside = [*self._now.like(tail)]
        for mark in self._before.like(tail):
            if mark.place == tail.place or not fits(mark, tail):
                continue
            if own is None and mark.place in self._by_place:
                beside.append(self._by_place[mark.place])
            elif mark.offset > at:
                found, at = (mark.offset, mark), mark.offset
        for mark in beside:
            end = min(mark.offset, tail.size)
            if end > at and _agree(mark, tail, at if own else 0, end):
                found, at = (end, mark), end
        return found


class _Index:
    """Marks by the beginning of what was read."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self._marks: dict[int, dict[str, list[Mark]]] = {}
        for mark in marks:
            self.add(mark)

    def add(self, mark: Mark) -> None:
        if mark.offset:
            by_head = self._marks.setdefault(min(mark.offset, FINGERPRINT_BYTES), {})
            by_head.setdefault(mark.head, []).append(mark)

    def like(self, tail: Tail) -> Iterator[Mark]:
        """Those whose file begins as this one does."""
        for length, by_head in self._marks.items():
            if length <= tail.size:
                yield from by_head.get(tail.digest(0, length), ())


def _agree(mark: Mark, tail: Tail, begin: int, end: int) -> bool:
    """Whether the file of `mark` holds the same bytes from `begin` to `end`; one that is gone by now does not."""
    try:
        with open_regular(Path(mark.path)) as descriptor:
            other = Tail(descriptor)
            return other.place == mark.place and all(
                tail.at(at, length) == other.at(at, length)
                for at in range(begin, end, READ_BYTES)
                if (length := min(READ_BYTES, end - at))
            )
    except (OSError, NotRegular):
        return False


def renamed_to(name: str, mark: Mark) -> bool:
    """Whether a rotation may have given the file of `mark` this name."""
    return name.startswith(Path(mark.path).name)


def copies_beside(mark: Mark, packed: tuple[str, ...]) -> Iterator[Path]:
    """Files that a rotation may have copied the file of `mark` to, whatever the globs say: those named after it."""
    path = Path(mark.path)
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:
        return
    alike = (name for name in sorted(names) if renamed_to(name, mark) and not name.endswith(packed))
    for candidate in (path.parent / name for name in alike if name != path.name):
        if holds(candidate, mark):
            yield candidate


def holds(path: Path, mark: Mark) -> bool:
    """Whether what was read of the file of `mark` stands in the file at `path`."""
    try:
        with open_regular(path) as descriptor:
            return fits(mark, Tail(descriptor))
    except (OSError, NotRegular):
        return False
