"""Where an event departs from its schema: the first of its errors, as a reason that is counted and in words.

The reason is the compiled validator's, since a batch may consist of broken lines; the words are the slow one's, and
both hold the same errors against each other in the same order. Pure but for the schema compiler.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from checker.analyzer.event_schema import EventSchema
from checker.json_validators import explaining_validator, fast_validator

FEW_COMMAS = 60  # all errors of a line with no more are held against each other …
MAX_ERRORS = 20  # … and of another so many: one line can break a schema a million times
MAX_DETAIL = 300  # characters
_TOLD_DIFFERENTLY = ("falseSchema", "propertyNames")  # the two validators give these another place and keyword
_REASONS = {"required": "missing_field", "type": "wrong_type"}


@dataclass(frozen=True, slots=True, order=True)
class Departure:
    """One error by what orders errors: a missing field first, then by place, a wrong type before a wrong value."""

    is_presence: bool
    path: tuple[str, ...]
    is_value: bool
    keyword: str

    @property
    def reason(self) -> str:
        """What is counted."""
        return _REASONS.get(self.keyword, "invalid_value")


class SchemaJudge:
    """Asks one schema about many events."""

    def __init__(self, schema: EventSchema) -> None:
        self.columns = schema.columns
        self._document = schema.document
        self._fast = fast_validator(schema.document)
        self.is_valid = self._fast.is_valid

    def fault(self, event: Mapping[str, Any], line: bytes, in_words: bool) -> tuple[str, str] | None:
        """Reason and detail of the event that `line` holds; None where it is sound.

        The detail is empty where none was asked for and none was needed to find the reason.
        """
        if self.is_valid(event):
            return None
        has_few = line.count(b",") <= FEW_COMMAS
        reason = self.quick_reason(event) if has_few else None
        if reason and not in_words:
            return reason, ""
        slow_reason, detail = self.explained(event, has_few) or ("invalid_value", self._first(event).message)
        return reason or slow_reason, detail[:MAX_DETAIL]

    def quick_reason(self, event: Mapping[str, Any]) -> str | None:
        """The reason, by the compiled validator, of an event that is not valid; None where it cannot tell."""
        first = _departure_of(self._first(event))
        if not first.is_presence:
            return first.reason  # nothing comes before a missing field
        errors = list(self._fast.iter_errors(event))
        if any(error.kind.name in _TOLD_DIFFERENTLY for error in errors):
            return None
        return min(map(_departure_of, errors)).reason

    def explained(self, event: Mapping[str, Any], all_errors: bool) -> tuple[str, str] | None:
        """Reason and detail by the slow validator; None where it finds nothing wrong."""
        errors = islice(explaining_validator(self._document).iter_errors(event), None if all_errors else MAX_ERRORS)
        told = sorted((_departure(error.absolute_path, str(error.validator)), error.message) for error in errors)
        if not told:
            return None
        departure, message = told[0]
        where = ".".join(departure.path)
        return departure.reason, f"{where}: {message}" if where else message

    def _first(self, event: Mapping[str, Any]) -> Any:
        """Some error of an event that is not valid, found without looking for the others."""
        import jsonschema_rs

        try:
            self._fast.validate(event)
        except jsonschema_rs.ValidationError as error:
            return error
        raise AssertionError("the validator says that the event is not valid, and finds no error")


def _departure_of(error: Any) -> Departure:
    """The compiled validator's error; it calls what another field requires by the same name as what all must have."""
    kind = error.kind.name
    return _departure(error.instance_path, error.schema_path[-1] if kind == "required" else kind)


def _departure(path: Iterable[str | int], keyword: str) -> Departure:
    return Departure(keyword != "required", tuple(map(str, path)), keyword != "type", keyword)
