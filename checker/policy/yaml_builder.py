"""Builds plain values from PyYAML's events: what is an alias, a tag or too deep is refused before it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from checker.errors import Problem
from checker.policy import yaml_text
from checker.policy.yaml_scalars import read_plain
from checker.schemas import DocumentPath, dotted, shown

MAX_DEPTH = 32
MAX_NODES = 10_000
MAX_NAMED = 5


class Place(NamedTuple):
    """A line and a column, counted from 1."""

    line: int
    column: int


class UnreadableError(Exception):
    """Nothing after this place can be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Builder:
    """Builds the values of one document from its events, and collects what is wrong with them.

    `has_stand_ins` says that hidden characters of the text were replaced, and told of, already.
    """

    def __init__(self, shown_as: str, has_stand_ins: bool) -> None:
        self.shown_as = shown_as
        self._has_stand_ins = has_stand_ins
        self.problems: list[Problem] = []
        self.faulty: set[DocumentPath] = set()
        self.keys: dict[DocumentPath, Place] = {}
        self.values: dict[DocumentPath, Place] = {}
        self._events: Iterator[yaml.Event] = iter(())
        self._nodes = 0

    def document(self, events: Iterator[yaml.Event]) -> Any:
        """The value of the only document of `events`."""
        self._events = events
        next(events)
        start = next(events)
        if isinstance(start, yaml.StreamEndEvent):
            raise UnreadableError(Problem(self.shown_as, 1, 1, "the file is empty; expected a document"))
        self._refuse_directives(start)
        value = self._value(next(events), ())
        next(events)
        self._refuse_more(next(events))
        return value

    def _refuse_directives(self, start: yaml.Event) -> None:
        if getattr(start, "version", None) or getattr(start, "tags", None):
            self._fault(start, (), "a directive (%YAML, %TAG) is not read; remove it")

    def _refuse_more(self, after: yaml.Event) -> None:
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._stop(after, (), "a second document starts here; a file holds one")

    def _value(self, event: yaml.Event, path: DocumentPath) -> Any:
        self.values.setdefault(path, place_of(event))
        self._count(event, path)
        if isinstance(event, yaml.AliasEvent):
            self._refuse_alias(event, path)
            return None
        self._refuse_decorations(event, path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= MAX_DEPTH:
            raise self._stop(event, path[:1], f"the document is nested deeper than {MAX_DEPTH} levels")
        return self._list(path) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(path)

    def _count(self, event: yaml.Event, path: DocumentPath) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._stop(event, path[:1], f"the document holds more than {MAX_NODES} values")

    def _refuse_alias(self, event: yaml.AliasEvent, path: DocumentPath) -> None:
        self._fault(event, path, f"the alias {shown(f'*{event.anchor}')} is not read; write the value out")

    def _refuse_decorations(self, event: yaml.Event, path: DocumentPath) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None:
            self._fault(event, path, f"the anchor {shown(f'&{anchor}')} is not read; remove it")
        if tag is not None:
            short = tag.replace("tag:yaml.org,2002:", "!!")
            self._fault(event, path, f"the tag {shown(short)} is not read; remove it")

    def _scalar(self, event: yaml.ScalarEvent, path: DocumentPath) -> Any:
        text = self._clean(event, path)
        if not _is_plain(event):
            return text
        value, complaint = read_plain(text)
        if complaint is not None:
            self._fault(event, path, complaint)
        return value

    def _clean(self, event: yaml.ScalarEvent, path: DocumentPath) -> str:
        columns = [column for column in yaml_text.hidden_columns(event.value) if event.value[column] != "\n"]
        if not columns:
            return str(event.value)
        self.faulty.add(path)
        hidden = {event.value[column] for column in columns}
        if not self._has_stand_ins or hidden != {yaml_text.STAND_IN}:
            names = ", ".join(yaml_text.name_of(character) for character in sorted(hidden)[:MAX_NAMED])
            self._fault(event, path, f"the text holds {names}, which is not allowed; remove it")
        return yaml_text.with_stand_ins(event.value, columns)

    def _list(self, path: DocumentPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: DocumentPath) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            is_new = key is not None and self._is_new(event, (*path, key), entries)
            value = self._value(next(self._events), (*path, "?" if key is None else key))
            if key is not None and is_new:
                entries[key] = value
        return entries

    def _is_new(self, event: yaml.Event, path: DocumentPath, entries: Mapping[str, Any]) -> bool:
        if path[-1] not in entries:
            self.keys.setdefault(path, place_of(event))
            return True
        first = self.keys[path].line
        self._fault(event, path, f"the key stands here twice, first in line {first}; remove one")
        return False

    def _key(self, event: yaml.Event, path: DocumentPath) -> str | None:
        if isinstance(event, yaml.ScalarEvent):
            self._count(event, path)
            self._refuse_decorations(event, path)
            return self._text_key(event, path)
        self._fault(event, path, "a key must be text on its own, no alias, list or mapping")
        self._value(event, (*path, "?"))
        return None

    def _text_key(self, event: yaml.ScalarEvent, path: DocumentPath) -> str | None:
        if _is_merge(event):
            self._fault(event, path, "the merge key << is not read; write the keys out")
            return None
        key = self._clean(event, (*path, event.value))
        if _is_plain(event):
            value, complaint = read_plain(key)
            if complaint is None and not isinstance(value, str):
                complaint = f'a key must be text; write "{key}"'
            if complaint is not None:
                self._fault(event, (*path, key), complaint)
        return key

    def _fault(self, event: yaml.Event, path: DocumentPath, message: str) -> None:
        self.faulty.add(path)
        self.problems.append(self._problem(event, path, message))

    def _stop(self, event: yaml.Event, path: DocumentPath, message: str) -> UnreadableError:
        return UnreadableError(self._problem(event, path, message))

    def _problem(self, event: yaml.Event, path: DocumentPath, message: str) -> Problem:
        return Problem(self.shown_as, *place_of(event), about(path, message))


def _is_merge(event: yaml.ScalarEvent) -> bool:
    return _is_plain(event) and event.value == "<<"


def _is_plain(event: yaml.ScalarEvent) -> bool:
    return not event.style and event.tag is None


def place_of(event: yaml.Event) -> Place:
    """Where `event` starts."""
    mark: Any = event.start_mark
    return Place(mark.line + 1, mark.column + 1)


def about(path: DocumentPath, message: str) -> str:
    """`message`, with the path that it is about in front of it."""
    return f"{dotted(path)}: {message}" if path else message
