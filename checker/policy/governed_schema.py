"""What an event schema may not hold, because a stranger may write it: what fetches, loops, multiplies or backtracks."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from checker.errors import Problem
from checker.json_validators import fast_validator
from checker.policy.yaml_tree import Tree, parse_yaml
from checker.schemas import DocumentPath, Fault, listed, nearest, shown

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MAX_PATTERN_LENGTH = 500
MAX_PATTERN_BYTES = 1 << 20  # compiled
MAX_STEPS = 5_000
MAX_MESSAGE = 300
NOT_READ = ("$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef")
NOT_COMPILED = ("patternProperties", "unevaluatedItems", "unevaluatedProperties")

_REFERENCE = re.compile(r"#/\$defs/([A-Za-z0-9_.-]+)")


class Entry(NamedTuple):
    """A key and its value somewhere in the schema; `path` leads to the value."""

    path: DocumentPath
    key: str
    value: Any


def schema_problems(text: str, shown_as: str) -> Iterator[Problem]:
    """What is unsafe in the event schema `text`, each at its line; what is no JSON object at all is told elsewhere."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    tree = parse_yaml(text, shown_as)  # JSON is YAML, and YAML's reader knows where everything stands
    yield from tree.problems
    if tree.is_readable:
        faults = (
            *_number_faults((), document),
            *_shape_faults(document),
            *_keyword_faults(document),
            *_reference_faults(document),
        )
        yield from (_problem(tree, fault) for fault in dict.fromkeys(faults or _compile_faults(document)))


def _compile_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """What only the compiler of a sound schema finds: an `$id` that is no URI, say."""
    import jsonschema_rs

    if not jsonschema_rs.meta.is_valid(dict(document)):
        return  # told elsewhere, in words
    try:
        fast_validator(document)
    except ValueError as fault:
        message = str(fault).splitlines()[0][:MAX_MESSAGE]
        names_id = str(document.get("$id")) in message
        yield Fault(("$id",) if names_id else (), f"cannot be used: {message}")


def _problem(tree: Tree, fault: Fault) -> Problem:
    return tree.problem(fault.path, fault.message, fault.on_key)


def _entries(path: DocumentPath, value: Any) -> Iterator[Entry]:
    children: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, dict):
        yield from (Entry((*path, key), key, child) for key, child in value.items())
        children = iter(value.items())
    elif isinstance(value, list):
        children = iter(enumerate(value))
    for step, child in children:
        yield from _entries((*path, step), child)


def _number_faults(path: DocumentPath, value: Any) -> Iterator[Fault]:
    if isinstance(value, float) and not math.isfinite(value):
        yield Fault(path, f"{value} is no JSON number; write a number that fits 64-bit floating point")
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield from _number_faults((*path, step), child)


def _shape_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Parts that JSON Schema may leave open, and that columns and copies are made from."""
    branches = document.get("allOf")
    for index, branch in enumerate(branches if isinstance(branches, list) else ()):
        for path, part in _branch_parts(branch):
            if not isinstance(part, dict):
                yield Fault(("allOf", index, *path), f"expected a mapping, found {shown(part)}")
    own = document.get("x-phasegate", {})
    key = own.get("dedup_key", []) if isinstance(own, dict) else own
    if not isinstance(key, list) or not all(isinstance(name, str) for name in key):
        yield Fault(("x-phasegate",), 'expected a mapping such as {"dedup_key": ["event", "request_id"]}')


def _branch_parts(branch: Any) -> Iterator[tuple[DocumentPath, Any]]:
    """A branch, its condition, the properties that this asks about, and its consequence, as far as they are there."""
    yield (), branch
    parts = branch if isinstance(branch, dict) else {}
    yield from (((key,), parts[key]) for key in ("if", "then") if key in parts)
    condition = parts.get("if")
    asked = condition.get("properties") if isinstance(condition, dict) else None
    for name, part in (asked if isinstance(asked, dict) else {}).items():
        yield ("if", "properties", name), part


def _keyword_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    for path, key, value in _entries((), document):
        if key in NOT_READ and isinstance(value, str):
            yield Fault(path, "is not read; refer to '#/$defs/NAME' with $ref", on_key=True)
        elif key in NOT_COMPILED and path[-2:-1] != ("properties",):
            yield Fault(path, "is not read in an event schema; name each property", on_key=True)
        elif key == "$id" and isinstance(value, str) and len(path) > 1:
            yield Fault(path, "only the schema itself has an $id; remove this one", on_key=True)
        elif key == "$schema" and isinstance(value, str) and value.removesuffix("#") != DRAFT:
            yield Fault(path, f"expected {DRAFT!r}, found {shown(value)}")
        elif key == "pattern" and isinstance(value, str) and (complaint := pattern_complaint(value)):
            yield Fault(path, complaint)


def pattern_complaint(pattern: str) -> str | None:
    """Why `pattern` is not matched against lines; None where every engine reads it, and in linear time."""
    import jsonschema_rs

    if len(pattern) > MAX_PATTERN_LENGTH:
        return f"a pattern has at most {MAX_PATTERN_LENGTH} characters, this one {len(pattern)}"
    linear = jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN_BYTES)
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=linear, offline=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (ValueError, re.error, RecursionError, OverflowError, Warning):
        return (
            f"the pattern {shown(pattern)} is no regular expression that is matched in linear time; "
            "write one without look-around, back reference or huge repeats"
        )
    return None


def _reference_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    definitions = document.get("$defs")
    known = definitions if isinstance(definitions, dict) else {}
    references = [entry for entry in _entries((), document) if entry.key == "$ref" and isinstance(entry.value, str)]
    faults = [fault for entry in references if (fault := _reference_fault(entry, known))]
    yield from faults
    if not faults:
        yield from _step_faults(document, known)


def _reference_fault(reference: Entry, known: Mapping[str, Any]) -> Fault | None:
    match = _REFERENCE.fullmatch(reference.value)
    if match is None:
        return Fault(reference.path, f"{shown(reference.value)} is not fetched; refer to '#/$defs/NAME' of this file")
    if match[1] not in known:
        hint = nearest(match[1], known) or f" ($defs: {listed(known)})"
        return Fault(reference.path, f"there is no {shown(match[1])} in $defs{hint}")
    return None


class _Circle(Exception):
    def __init__(self, name: str) -> None:
        self.name = name


class _Steps:
    """How many steps a line takes through parts of the schema, a definition counted at each reference to it."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._known: dict[str, int | None] = {}

    def of_definition(self, name: str) -> int:
        """Steps of `$defs/NAME`. Raises _Circle where it refers to itself."""
        if name not in self._known:
            self._known[name] = None
            self._known[name] = self.of(self._definitions[name])
        found = self._known[name]
        if found is None:
            raise _Circle(name)
        return found

    def of(self, value: Any) -> int:
        """Steps of any part."""
        if isinstance(value, list):
            return 1 + sum(map(self.of, value))
        if not isinstance(value, dict):
            return 1
        reference = value.get("$ref")
        match = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
        return 1 + (self.of_definition(match[1]) if match else 0) + sum(map(self.of, value.values()))


def _step_faults(document: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Fault]:
    """A reference that leads back to itself, and a schema that references blow up to more than MAX_STEPS."""
    steps = _Steps(known)
    try:
        whole = max([steps.of(document), *map(steps.of_definition, known)])
    except _Circle as circle:
        yield Fault(("$defs", circle.name), "refers to itself; a reference may not lead back to where it stands", True)
    except RecursionError:
        yield Fault(("$defs",), "references follow each other too far; write them out", True)
    else:
        if whole > MAX_STEPS:
            yield Fault((), f"the schema comes to more than {MAX_STEPS} steps a line, references counted; shorten it")
