"""A policy's document in a form in which what means the same is equal. Pure.

Objects are mappings; what is left out has the schema's default; lists of named things are mappings by name; everything
else is a Leaf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from checker.policy.durations import parse_duration
from checker.schemas import DocumentPath

Path = tuple[str, ...]
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value: `same` is what is compared, `text` how the policy spells it; a default is not spelled anywhere."""

    same: Any
    text: str = field(compare=False)
    is_default: bool = field(default=False, compare=False)

    @property
    def number(self) -> float | None:
        """The value where it is a number."""
        return self.same[1] if isinstance(self.same, tuple) and self.same[:1] == (_NUMBER,) else None

    @property
    def items(self) -> frozenset[Any] | None:
        """The items where it is a list, whatever their order."""
        return frozenset(self.same[1]) if isinstance(self.same, tuple) and self.same[:1] == (_LIST,) else None


Node = Mapping[str, Any] | Leaf


def policy_tree(document: Mapping[str, Any], schema: Schema) -> Node:
    """The document of a sound policy, by the policy's schema."""
    return _node(_expanded(document), schema, schema, False)


def document_path(document: Any, path: Path) -> DocumentPath:
    """Where the thing at `path` of the tree stands in the document, so far as the document has it."""
    found: list[str | int] = []
    for step in path:
        key: str | int | None = step if isinstance(document, dict) and step in document else None
        if isinstance(document, list):
            key = next((index for index, item in enumerate(document) if _name(item) == step), None)
        if key is None:
            break
        found.append(key)
        document = document[key]
    return tuple(found)


def leaf_at(node: Node, path: Path) -> Leaf | None:
    """The leaf at `path`, None where there is none."""
    for step in path:
        if isinstance(node, Leaf) or step not in node:
            return None
        node = node[step]
    return node if isinstance(node, Leaf) else None


def _expanded(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document with what one entry says for several: a `warn_below` for each phase, a notice's own phases."""
    phases = [phase["name"] for phase in document["phases"]]

    def slo(entry: Mapping[str, Any]) -> Mapping[str, Any]:
        line = entry.get("warn_below")
        return entry if line is None or isinstance(line, dict) else {**entry, "warn_below": dict.fromkeys(phases, line)}

    slos = {name: slo(entry) for name, entry in document["slos"].items()}
    notices = {name: {"automatic": rule["phases"], **rule} for name, rule in document.get("notices", {}).items()}
    return {**document, "slos": slos, "notices": notices}


def _node(value: Any, schema: Schema, root: Schema, is_default: bool) -> Node:
    schema = _resolved(schema, root)
    if isinstance(value, dict):
        return _mapping(value, schema, root, is_default)
    if isinstance(value, list) and value and _are_named(value):
        items = _resolved(schema.get("items", {}), root)
        named = {str(_name(item)): _node(item, items, root, is_default) for item in value}
        order = Leaf((_LIST, tuple(named)), ", ".join(named), is_default)
        return {**named, ORDER: order}
    return Leaf(_same(value, schema, root), spelled(value), is_default)


# Beside the names of a list; no key of a policy is called so, because YAML text with a control character is refused.
ORDER = "\0order"
_LIST, _NUMBER, _TRUTH = "list", "number", "truth"


def _are_named(items: list[Any]) -> bool:
    """Whether each has a name of its own; two metrics may share one, and then none may stand for the other."""
    names = [_name(item) for item in items]
    return None not in names and len(set(names)) == len(names)


def _mapping(value: Mapping[str, Any], schema: Schema, root: Schema, is_default: bool) -> Node:
    properties = schema.get("properties", {})
    other = schema.get("additionalProperties")
    other = other if isinstance(other, dict) else {}
    found = {key: _node(item, properties.get(key, other), root, is_default) for key, item in value.items()}
    left_out = {key: part for key, part in properties.items() if key not in value and "default" in part}
    return found | {key: _node(part["default"], part, root, True) for key, part in left_out.items()}


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    return {**root["$defs"][reference.removeprefix("#/$defs/")], **schema} if reference else schema


def _name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def _same(value: Any, schema: Schema, root: Schema) -> Any:
    """What is compared: a duration as a time, a number as a number, a mapping without its order.

    A number where a text might stand as well is handed on as it is, and then 8 and 8.0 differ: a query can tell them.
    """
    if isinstance(value, str):
        is_duration = schema.get("pattern") == root["$defs"]["duration"]["pattern"]
        return (parse_duration(value) if is_duration else None) or value
    if isinstance(value, dict):
        return frozenset((key, _same(item, {}, root)) for key, item in value.items())
    if isinstance(value, list):
        items = _resolved(schema.get("items", {}), root)
        return (_LIST, tuple(_same(item, items, root) for item in value))
    kind = _TRUTH if isinstance(value, bool) else _NUMBER
    return (kind, value, type(value).__name__) if "string" in _types(schema) else (kind, value)


def _types(schema: Schema) -> Sequence[str]:
    """The types that the schema names where it names several; empty else."""
    types = schema.get("type")
    return types if isinstance(types, list) else ()


def spelled(value: Any) -> str:
    """A value as a person would write it: `2.0`, `15m`, `[A, B]`, `{count: 2, within: 24h}`."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {spelled(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(spelled(item) for item in value) + "]"
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
