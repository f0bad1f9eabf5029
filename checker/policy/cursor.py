"""A place in a policy that may be faulty: what is there and of the expected kind is given, the rest is left out.

The schema tells of wrong kinds; so the rules look at what is sound and need not ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from checker.policy.durations import parse_duration
from checker.policy.model import COMPLETE, OFF
from checker.schemas import DocumentPath, Fault, listed
from checker.windows import parse_iso


@dataclass(frozen=True, slots=True)
class Cursor:
    """The value at `path`, or None where there is none."""

    value: Any
    path: DocumentPath = ()

    def at(self, *steps: str) -> Cursor:
        """The place that `steps` lead to."""
        value = self.value
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        return Cursor(value, (*self.path, *steps))

    @property
    def entries(self) -> dict[str, Cursor]:
        """The entries of a mapping."""
        source = self.value if isinstance(self.value, dict) else {}
        return {key: Cursor(value, (*self.path, key)) for key, value in source.items()}

    @property
    def items(self) -> list[Cursor]:
        """The items of a list."""
        source = self.value if isinstance(self.value, list) else []
        return [Cursor(value, (*self.path, index)) for index, value in enumerate(source)]

    @property
    def text(self) -> str | None:
        """The value where it is text."""
        return self.value if isinstance(self.value, str) else None

    @property
    def number(self) -> float | None:
        """The value where it is a number."""
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        return self.value if is_number else None

    @property
    def duration(self) -> timedelta | None:
        """The value where it is a duration."""
        return parse_duration(self.value) if isinstance(self.value, str) else None

    @property
    def instant(self) -> datetime | None:
        """The value where it is a time of the calendar, with a zone."""
        try:
            return None if self.text is None else parse_iso(self.text)
        except ValueError:
            return None

    def fault(self, message: str) -> Fault:
        """`message` about the value."""
        return Fault(self.path, message)

    def key_fault(self, message: str) -> Fault:
        """`message` about the key, or about what is missing below it."""
        return Fault(self.path, message, on_key=True)


def time_faults(places: Iterable[Cursor], example: str) -> Iterator[Fault]:
    """Texts that are no time of the calendar; `example` is one that would be."""
    for place in places:
        if place.text is not None and place.instant is None:
            yield place.fault(f"{place.text!r} is no time; write one such as {example}")


def span_faults(begins: Cursor, ends: Cursor, example: str) -> Iterator[Fault]:
    """Ends of a span that are no times, or do not lie one after the other."""
    yield from time_faults((begins, ends), example)
    if begins.instant and ends.instant and begins.instant >= ends.instant:
        yield ends.fault(f"{ends.text} does not lie after the beginning, {begins.text}")


class PhaseNames(NamedTuple):
    """Names of the phases as far as they are sound; `all_known` says that none is missing."""

    names: tuple[str, ...]
    all_known: bool


def phase_names(policy: Cursor) -> PhaseNames:
    """The phases that the rest of the policy may name, in order, each once."""
    phases = policy.at("phases").items
    texts = [phase.at("name").text for phase in phases]
    names = tuple(dict.fromkeys(text for text in texts if text is not None and text.casefold() not in (OFF, COMPLETE)))
    return PhaseNames(names, bool(phases) and len(names) == len(phases))


def unknown(kind: str, name: str, valid: tuple[str, ...], hint: str) -> str:
    """`no gate 'BB'; did you mean 'B'? (gates: A, B)`."""
    return f"no {kind} {name!r}{hint} ({kind}s: {listed(valid)})"
