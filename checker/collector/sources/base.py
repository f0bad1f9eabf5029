"""What a source is to the collector's cycle. A new kind is one class with these methods, and a line in `kinds.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from checker.model import Window

Position = Mapping[str, Any]  # plain JSON; what it means is the source's own affair; {} before the first read


class SourceFailed(Exception):
    """A source could not be read. The text is shown to people: it holds no credential and no path of this machine.

    `position`, where one is given, is where it is to be read on from all the same: that it was begun, say.
    """

    def __init__(self, told: str, position: Position | None = None) -> None:
        super().__init__(told)
        self.position = position


@dataclass(frozen=True, slots=True)
class Ask:
    """What a read is for: the window that is about to be sealed.

    `is_newest` is false while the collector catches up: then a source may stop before lines of later windows
    (`sink.is_past`). `phase` is what an event carries that knows no phase of its own.
    """

    window: Window
    now: datetime
    phase: str
    is_newest: bool


class Sink(Protocol):
    """Takes what a source reads."""

    def add(self, lines: bytes, origin: str, offset: int = 0, *, is_verbatim: bool = False) -> None:
        """Take whole lines, each with its newline. `origin` names the file (or the like) as people know it, `offset` is
        where in it the first of these bytes stands; `is_verbatim` says that the others follow it there as they do here.
        """
        ...

    def is_past(self, lines: bytes) -> bool:
        """Whether every one of these lines is of a window that is still to come, so that reading may stop before
        them; always false for the newest window."""
        ...

    def tell(self, told: str) -> None:
        """Take something that people should know and that is no failure: bytes that are gone for good, say."""
        ...


class Source(Protocol):
    """One source. `name` is the policy's."""

    @property
    def name(self) -> str:
        """Its name in the policy."""
        ...

    def read(self, position: Position, ask: Ask, sink: Sink) -> Position:
        """Read on from `position` into `sink`, and give the position to go on from.

        Nothing outside may be changed by it: the cycle may fail after it and read the same again. Raises SourceFailed.
        """
        ...

    def skip(self, position: Position) -> Position:
        """The position of one that is not read now: most of what is there by now will not be read later."""
        ...

    def committed(self, position: Position) -> None:
        """What was read up to `position` is sealed for good: what only that needed may go. Raises nothing."""
        ...
