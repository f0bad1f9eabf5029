"""Validators of JSON Schemas that a stranger may have written: they fetch nothing, and no pattern makes them backtrack.

Whoever asks a schema about a document asks here: by themselves both libraries fetch what a `$ref` names.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any


def fast_validator(schema: Mapping[str, Any]) -> Any:
    """The compiled validator of `schema`, which says yes or no. Raises ValueError where a reference leads nowhere."""
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(dict(schema), offline=True)


def explaining_validator(schema: Mapping[str, Any]) -> Any:
    """The slow validator of `schema`, whose errors can be put in words."""
    from referencing.jsonschema import EMPTY_REGISTRY

    return _explaining_class()(schema, registry=EMPTY_REGISTRY)


@functools.lru_cache(maxsize=256)
def _keyword_validator(keyword: str, value: str) -> Any:
    return fast_validator({keyword: json.loads(value)})


@functools.cache
def _explaining_class() -> Any:
    """The reference implementation, but for what takes it exponential or quadratic time: that the fast one does."""
    from jsonschema import Draft202012Validator, validators
    from jsonschema.exceptions import ValidationError

    def by_the_fast_one(keyword: str, complaint: str) -> Any:
        def check(_: Any, value: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
            if not _keyword_validator(keyword, json.dumps(value)).is_valid(instance):
                yield ValidationError(f"{instance!r} {complaint.format(value)}")

        return check

    changed = {
        "pattern": by_the_fast_one("pattern", "does not match {!r}"),
        "uniqueItems": by_the_fast_one("uniqueItems", "has non-unique elements"),
    }
    extend: Any = validators.extend
    return extend(Draft202012Validator, changed)
