"""The only YAML parser of the project: text → plain values, each with its place; whatever can be misread is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from checker.errors import Problem
from checker.policy import yaml_text
from checker.policy.governed_text import read_text
from checker.policy.yaml_builder import Builder, Place, UnreadableError, about
from checker.schemas import DocumentPath, Fault

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Tree:
    """A YAML document as plain values, with the place of each key and value.

    `faulty` are the paths whose value is a guess, because `problems` says something of them. Where `is_readable` is
    false there is no value at all. `end` is where the document ends: no problem lies beyond it.
    """

    shown_as: str
    value: Any
    problems: tuple[Problem, ...]
    faulty: frozenset[DocumentPath]
    keys: Mapping[DocumentPath, Place]
    values: Mapping[DocumentPath, Place]
    end: Place
    is_readable: bool = True

    def position(self, path: DocumentPath, on_key: bool = False) -> Place:
        """Place of the value at `path`, or of its key; where there is none, of the nearest one around it."""
        places = self.keys if on_key else self.values
        if path in places:
            return places[path]
        if path in self.values:
            return self.values[path]
        return self.position(path[:-1], on_key=True) if path else Place(1, 1)

    def problem(self, path: DocumentPath, message: str, on_key: bool = False) -> Problem:
        """`message` as a problem at the value at `path`, or at its key."""
        line, column = min(self.position(path, on_key), self.end)
        return Problem(self.shown_as, line, column, about(path, message))

    def told_once(self, *groups: Iterable[Fault]) -> Iterator[Problem]:
        """The faults of each group as problems; not of a place that is faulty already, nor that an earlier group has.

        An absence says nothing of what is there, so that it hides no other fault.
        """
        known = {(path, False) for path in self.faulty}
        for faults in groups:
            new = [fault for fault in faults if (fault.path, fault.on_key) not in known]
            known |= {(fault.path, fault.on_key) for fault in new if not fault.is_absence}
            yield from (self.problem(fault.path, fault.message, fault.on_key) for fault in new)


def read_yaml(path: Path, shown_as: str) -> Tree:
    """The YAML file `path`, called `shown_as` in problems. Raises nothing for what the file holds: see `problems`."""
    return _tree_of(read_text(path, shown_as), shown_as)


def parse_yaml(text: str, shown_as: str) -> Tree:
    """The YAML document `text`, as `read_yaml` reads it from a file."""
    return _tree_of(yaml_text.replace_hidden(text, shown_as), shown_as)


def _tree_of(governed: yaml_text.GovernedText, shown_as: str) -> Tree:
    builder = Builder(shown_as, has_stand_ins=bool(governed.problems))
    value, is_readable = None, False
    if governed.text is not None:
        try:
            value = builder.document(yaml.parse(governed.text, Loader=_Loader))
            is_readable = True
        except UnreadableError as stop:
            builder.problems.append(stop.problem)
        except (yaml.YAMLError, ValueError) as error:
            builder.problems.append(_syntax_problem(error, shown_as))
    end = _end_of(governed.text or "")
    problems = (*governed.problems, *(_inside(problem, end) for problem in builder.problems))
    return Tree(shown_as, value, problems, frozenset(builder.faulty), builder.keys, builder.values, end, is_readable)


def _end_of(text: str) -> Place:
    rows = text.split("\n")
    return Place(len(rows), len(rows[-1]) + 1)


def _inside(problem: Problem, end: Place) -> Problem:
    """`problem` where the reader found it, or at the end of a document that the reader went past."""
    line, column = min(Place(problem.line, problem.column), end)
    return Problem(problem.path, line, column, problem.message)


def _syntax_problem(error: Exception, shown_as: str) -> Problem:
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    found = getattr(error, "problem", None) or "it holds a character that cannot be read"
    return Problem(shown_as, line, column, f"is no YAML: {_context(error)}{found}")


def _context(error: Exception) -> str:
    context: Any = getattr(error, "context", None)
    mark: Any = getattr(error, "context_mark", None)
    started = f" that starts in line {mark.line + 1}" if mark else ""
    return f"{context}{started}, " if context else ""
