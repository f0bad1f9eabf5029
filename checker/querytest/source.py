"""A place in a file of query tests: reads values, and notes what is wrong where it stands instead of stopping."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from checker.errors import Problem
from checker.policy.yaml_tree import Tree
from checker.querytest.terms import Number, count_of, instant_of, number_of
from checker.schemas import DocumentPath, listed, nearest
from checker.windows import floor_to_window, iso

T = TypeVar("T")
Step = str | int


@dataclass(frozen=True, slots=True)
class Place:
    """The value at `path` of a schema-valid test file. `problems` is shared by every place of the file."""

    tree: Tree
    path: DocumentPath = ()
    problems: list[Problem] = field(default_factory=list)

    @property
    def value(self) -> Any:
        """The value here, None where there is none."""
        value = self.tree.value
        step: Any
        for step in self.path:
            if not isinstance(value, list | dict) or (isinstance(value, dict) and step not in value):
                return None
            value = value[step]
        return value

    @property
    def line(self) -> int:
        """The line that this place begins on, from 1."""
        return self.tree.position(self.path)[0]

    def at(self, step: Step) -> Place:
        """The place below this one."""
        return Place(self.tree, (*self.path, step), self.problems)

    def has(self, key: str) -> bool:
        """Whether the mapping here has `key`."""
        return isinstance(self.value, dict) and key in self.value

    def items(self, key: str) -> Iterator[Place]:
        """The places of the list called `key`; none where it is left out."""
        below = self.at(key)
        yield from (below.at(index) for index in range(len(below.value or ())))

    def note(self, message: str) -> None:
        """Note a problem of this place."""
        self.problems.append(self.tree.problem(self.path, message))

    def read(self, function: Callable[[Any], T], otherwise: T) -> T:
        """What `function` makes of the value; `otherwise`, with a note, where it raises ValueError."""
        try:
            return function(self.value)
        except (ValueError, OverflowError) as fault:
            self.note(str(fault))
            return otherwise

    def instant(self, zero: datetime) -> datetime:
        """The value as a time; `zero` where it is left out."""
        return zero if self.value is None else self.read(lambda value: instant_of(value, zero), zero)

    def window_start(self, zero: datetime, length: timedelta) -> datetime:
        """The value as the start of a window of `length`; `zero`, which is one, where it is left out."""
        instant = self.instant(zero)
        start = floor_to_window(instant, length)
        if start != instant:
            self.note(f"no window starts at {iso(instant)}; a window is {length} long")
        return start

    def number(self, names: Mapping[str, Number]) -> Number:
        """The value as a number or a term."""
        nothing: Number = 0
        return self.read(lambda value: number_of(value, names), nothing)

    def count(self, names: Mapping[str, Number]) -> int:
        """The value as a whole number, 0 or more."""
        return self.read(lambda value: count_of(value, names), 0)

    def one_of(self, kind: str, valid: Iterable[str]) -> str | None:
        """The value, where it is one of `valid`; else None, with a note."""
        names = list(valid)
        if self.value in names:
            return str(self.value)
        self.note(f"no {kind} {self.value!r}{nearest(self.value, names)} ({kind}s: {listed(names)})")
        return None
