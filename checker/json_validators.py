"""Validators of JSON Schemas that a stranger may have written: they fetch nothing, and no pattern makes them backtrack.

Whoever asks a schema about a document asks here: by themselves both libraries fetch what a `$ref` names.
"""

from __future__ import annotations

import functools
import json
import reprlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# For a part of the schema, whether a value follows it.
JudgeOf = Callable[[Any], Callable[[Any], bool]]
_SHOWN_CHARACTERS = 300
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _SHOWN_CHARACTERS
# What the explaining validator takes exponential or quadratic time for, or all the errors of a part that may be fine,
# with what it says of them; and what stands beside the keyword and belongs to it.
_BY_THE_FAST_ONE: dict[str, tuple[str, tuple[str, ...]]] = {
    "pattern": ("does not match {!r}", ()),
    "uniqueItems": ("has non-unique elements", ()),
    "anyOf": ("is not valid under any of the given schemas", ()),
    "oneOf": ("is not valid under exactly one of the given schemas", ()),
    "not": ("should not be valid under {!r}", ()),
    "contains": ("does not contain as many items of the given schema as it should", ("minContains", "maxContains")),
}


def fast_validator(schema: Mapping[str, Any]) -> Any:
    """The compiled validator of `schema`, which says yes or no. Raises ValueError where a reference leads nowhere."""
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(dict(schema), offline=True)


def explaining_validator(schema: Mapping[str, Any]) -> Any:
    """The slow validator of `schema`, whose errors can be put in words and come one by one, in the schema's order."""
    from referencing.jsonschema import EMPTY_REGISTRY

    return _explaining_class(json.dumps(schema.get("$defs", {})))(schema, registry=EMPTY_REGISTRY)


@functools.lru_cache(maxsize=16)
def _explaining_class(definitions: str) -> Any:
    """The reference implementation; but whether a part is sound, the fast one says, so that only faults take time."""
    from jsonschema import Draft202012Validator, validators

    @functools.lru_cache(maxsize=256)
    def compiled(part: str) -> Any:
        return fast_validator({"$defs": json.loads(definitions), "allOf": [json.loads(part)]}).is_valid

    def judge_of(part: Any) -> Any:
        return compiled(json.dumps(part))

    changed = {keyword: _asking(keyword, judge_of) for keyword in _BY_THE_FAST_ONE}
    each = {"items": _items, "propertyNames": _property_names, "additionalProperties": _additional_properties}
    for keyword, check in each.items():
        changed[keyword] = functools.partial(check, judge_of, Draft202012Validator.VALIDATORS[keyword])
    extend: Any = validators.extend
    return extend(Draft202012Validator, changed)


def _asking(keyword: str, judge_of: JudgeOf) -> Any:
    from jsonschema.exceptions import ValidationError

    complaint, beside = _BY_THE_FAST_ONE[keyword]

    def check(_: Any, value: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
        is_valid = judge_of({keyword: value, **{name: schema[name] for name in beside if name in schema}})
        if not is_valid(instance):
            yield ValidationError(f"{_SHORT.repr(instance)} {complaint.format(value)}")

    return check


# The keywords that ask the same of many parts: the slow validator hears of those alone that are faulty.


def _items(judge_of: JudgeOf, slow: Any, validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if value is False:
        yield from slow(validator, value, instance, schema)
    elif isinstance(instance, list):
        is_valid, first = judge_of(value), len(schema.get("prefixItems", ()))
        for index, item in enumerate(instance[first:], first):
            if not is_valid(item):
                yield from validator.descend(item, value, path=index)


def _property_names(judge_of: JudgeOf, _: Any, validator: Any, value: Any, instance: Any, __: Any) -> Iterator[Any]:
    is_valid = judge_of(value)
    for name in instance if isinstance(instance, dict) else ():
        if not is_valid(name):
            yield from validator.descend(name, value)


def _additional_properties(
    judge_of: JudgeOf, slow: Any, validator: Any, value: Any, instance: Any, schema: Any
) -> Iterator[Any]:
    if not isinstance(value, dict) or "patternProperties" in schema:
        yield from slow(validator, value, instance, schema)
    elif isinstance(instance, dict):
        is_valid, named = judge_of(value), schema.get("properties", {})
        for name, item in instance.items():
            if name not in named and not is_valid(item):
                yield from validator.descend(item, value, path=name)
