"""Loads JSON Schemas (Draft 2020-12), and says in words where a document departs from one."""

from __future__ import annotations

import functools
import itertools
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from checker.errors import GovernedFilesInvalid, Problem
from checker.json_validators import explaining_validator, fast_validator

DocumentPath = tuple[str | int, ...]
MAX_SCHEMA_BYTES = 1 << 20
TOOL_SCHEMAS = Path(__file__).with_name("tool_schemas")

_PLAIN_KEY = re.compile(r"[$A-Za-z0-9_-]{1,64}")
_SHOWN_LENGTH = 60
_MESSAGE_LENGTH = 200
_LISTED = 12
_TYPE_NAMES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minItems": "at least {} in the list",
    "maxItems": "at most {} in the list",
    "minProperties": "at least {} in the mapping",
    "maxProperties": "at most {} in the mapping",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
}


class Fault(NamedTuple):
    """What is wrong at a path of a document. `on_key`: the key is at fault, or something below it is missing.

    `is_absence` says that it is the latter: the value itself may have further faults.
    """

    path: DocumentPath
    message: str
    on_key: bool = False
    is_absence: bool = False


def tool_schema(name: str) -> dict[str, Any]:
    """The tool's own schema `<name>.schema.json`: policy, check, ledger, query_tests. Raises as `load_schema` does."""
    return load_schema(TOOL_SCHEMAS / f"{name}.schema.json", f"schemas/{name}.schema.json")


def load_schema(path: Path, shown_as: str) -> dict[str, Any]:
    """The JSON object in the file `path`, called `shown_as` in errors.

    Raises GovernedFilesInvalid where the file cannot be read or holds no JSON object.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SCHEMA_BYTES + 1)
    except OSError as error:
        raise _invalid(shown_as, f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_SCHEMA_BYTES:
        raise _invalid(shown_as, f"is larger than {MAX_SCHEMA_BYTES} bytes")
    return parse_schema(content, shown_as)


def parse_schema(content: str | bytes, shown_as: str) -> dict[str, Any]:
    """The JSON object that `content` is, called `shown_as` in errors. Raises GovernedFilesInvalid where it is none."""
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        raise _invalid(shown_as, f"is no JSON: {error.msg}", error.lineno, error.colno) from error
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _invalid(shown_as, "is no JSON: not UTF-8, nested too deep, or a number is too long") from error
    if not isinstance(document, dict):
        raise _invalid(shown_as, f"expected a JSON object, found {shown(document)}")
    return document


def _invalid(shown_as: str, message: str, line: int = 0, column: int = 0) -> GovernedFilesInvalid:
    return GovernedFilesInvalid([Problem(shown_as, line, column, message)])


def validate(document: object, schema: Mapping[str, Any], at_most: int | None = None) -> list[Fault]:
    """Every place where `document` departs from `schema`, or the first `at_most`; empty where it follows it.

    The fast validator only says yes or no, and the slow one is imported only to explain a no.
    """
    fast = _fast_validator(json.dumps(schema))
    if fast.is_valid(document):
        return []
    errors = explaining_validator(schema).iter_errors(document)
    explained = (fault for error in errors for fault in _explain(error))
    if faults := list(dict.fromkeys(itertools.islice(explained, at_most))):
        return faults
    unexplained = itertools.islice(fast.iter_errors(document), at_most)
    return [Fault(tuple(error.instance_path), error.message) for error in unexplained]


def schema_faults(schema: Mapping[str, Any]) -> list[str]:
    """Every place where `schema` is itself no JSON Schema (Draft 2020-12), in words."""
    import jsonschema_rs

    if jsonschema_rs.meta.is_valid(dict(schema)):
        return []
    from jsonschema import Draft202012Validator

    errors = Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema)
    return sorted(f"{dotted(tuple(error.absolute_path))}: {error.message}"[:_MESSAGE_LENGTH] for error in errors)


@functools.lru_cache(maxsize=16)
def _fast_validator(schema: str) -> Any:
    return fast_validator(json.loads(schema))


def _explain(error: Any) -> Iterator[Fault]:
    path: DocumentPath = tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        yield Fault((*path, error.instance), _wrong_value(error), on_key=True)
    elif error.validator == "additionalProperties":
        yield from _unknown_keys(path, error)
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        yield from (Fault(path, f"{key!r} is missing", on_key=True, is_absence=True) for key in missing)
    else:
        yield Fault(path, _wrong_value(error))


def _unknown_keys(path: DocumentPath, error: Any) -> Iterator[Fault]:
    known = list(error.schema.get("properties", ()))
    patterns = list(error.schema.get("patternProperties", ()))
    for key in error.instance:
        if key not in known and not any(re.search(pattern, key) for pattern in patterns):
            hint = nearest(key, known) or f" (known: {listed(known)})"
            yield Fault((*path, key), f"unknown key {shown(key)}{_foreign(key)}{hint}", on_key=True)


def _foreign(text: str) -> str:
    """` with U+0430 (CYRILLIC SMALL LETTER A)`: a letter that looks like one of the alphabet's, and is another."""
    found = next((character for character in text if not character.isascii()), None)
    return "" if found is None else f" with U+{ord(found):04X} ({unicodedata.name(found, 'no name')})"


def _wrong_value(error: Any) -> str:
    found = shown(error.instance)
    hint = ""
    match error.validator:
        case "pattern" | "type":
            expected = error.schema.get("patternErrorMessage") or _type_names(error.validator_value)
        case "enum":
            expected = f"one of {listed(error.validator_value)}"
            hint = nearest(error.instance, error.validator_value)
        case "const":
            expected = shown(error.validator_value)
        case "uniqueItems":
            return f"{shown(_first_double(error.instance))} stands in the list twice"
        case keyword if keyword in _BOUNDS:
            expected = _BOUNDS[keyword].format(error.validator_value)
        case _:
            return str(error.message)[:_MESSAGE_LENGTH]
    return f"expected {expected}, found {found}{hint}"


def _type_names(types: str | list[str]) -> str:
    names = [types] if isinstance(types, str) else types
    return " or ".join(_TYPE_NAMES[name] for name in names)


def _first_double(items: list[Any]) -> Any:
    seen: set[object] = set()
    for item in items:
        key = item if isinstance(item, str) else json.dumps(item, sort_keys=True)
        if key in seen:
            return item
        seen.add(key)
    return items[0]


def nearest(name: object, valid: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the name of `valid` that is most like `name`; empty where none is."""
    import difflib

    close = difflib.get_close_matches(str(name)[:_SHOWN_LENGTH], list(valid), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def listed(names: Iterable[object]) -> str:
    """`a, b, c`, cut after a dozen; `none` where there are none."""
    items = [str(name) for name in names]
    shortened = [*items[:_LISTED], "…"] if len(items) > _LISTED else items
    return ", ".join(shortened) or "none"


def shown(value: object) -> str:
    """A value as a message shows it: short, on one line, and in the policy's own words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            text = repr(value)
            return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…'"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list():
            return f"a list of {len(value)}" if value else "an empty list"
        case _:
            return str(value)


def dotted(path: DocumentPath) -> str:
    """`slos.save_latency_p95.threshold` or `phases[1].gate`; a key of other characters stands in `['…']`."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _PLAIN_KEY.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{shown(step)}]")
    return "".join(parts)
