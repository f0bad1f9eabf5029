"""Event schemas against each other: what each edit comes to, what breaks, and that no edit goes unseen."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.governance.direction import Change, Direction, Place
from checker.governance.schema_changes import SchemaDifference, breaking, changes, differences
from checker.json_validators import fast_validator
from checker.schemas import load_schema
from tests.commands import ROOT

Edit = Callable[[dict[str, Any]], object]
SHIPPED = load_schema(ROOT / "schemas/event.schema.json", "event.schema.json")
COMPLETED = "autosave.save.completed"


def schema() -> dict[str, Any]:
    """A small event schema with every shape that is understood."""
    return {
        "type": "object",
        "description": "Events",
        "x-phasegate": {"dedup_key": ["event", "id"]},
        "required": ["schema_version", "ts", "event", "phase"],
        "$defs": {"count": {"type": "integer", "minimum": 0, "description": "Some."}},
        "properties": {
            "schema_version": {"type": "integer", "const": 1},
            "ts": {"type": "string", "format": "date-time"},
            "event": {"type": "string", "minLength": 1},
            "phase": {"type": "string", "minLength": 1, "description": "Phase."},
            "id": {"type": "string", "maxLength": 40},
            "ms": {"type": "number", "minimum": 0, "maximum": 1000},
            "mode": {"type": "string", "enum": ["fast", "slow"]},
            "code": {"type": "string", "pattern": "^E"},
            "note": {"type": ["string", "null"]},
        },
        "allOf": [
            {"if": {"properties": {"event": {"const": "saved"}}}, "then": {"required": ["ms", "id"]}},
            {
                "if": {"properties": {"event": {"enum": ["failed", "lost"]}}, "required": ["event"]},
                "then": {"required": ["code"], "properties": {"tries": {"type": "integer", "minimum": 1}}},
            },
        ],
    }


def edited(edit: Edit) -> dict[str, Any]:
    document = schema()
    edit(document)
    return document


def found(edit: Edit) -> list[tuple[str, str, str]]:
    """(kind, field, event) of what `edit` comes to."""
    return [(row.kind, row.field, row.event) for row in differences(schema(), edited(edit))]


def put(*path: str | int, value: Any) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return edit


def drop(*path: str | int) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return edit


def field(name: str, **rule: Any) -> Edit:
    return put("properties", name, value=rule)


def both(*edits: Edit) -> Edit:
    return lambda document: [edit(document) for edit in edits]


def branch(event: str, **then: Any) -> dict[str, Any]:
    return {"if": {"properties": {"event": {"const": event}}}, "then": then}


def add_branch(one: dict[str, Any]) -> Edit:
    return lambda document: document["allOf"].append(one)


EVERY_LINE = ("schema_version", "ts", "event", "phase")
EDITS: dict[str, tuple[Edit, list[tuple[str, str, str]], bool]] = {
    "field added": (field("size", type="integer"), [("field-added", "size", "")], False),
    "field added and required": (
        both(field("size", type="integer"), put("required", value=[*EVERY_LINE, "size"])),
        [("field-added", "size", ""), ("newly-required", "size", "")],
        True,
    ),
    "field removed": (drop("properties", "mode"), [("field-removed", "mode", "")], True),
    "field of a branch removed": (
        drop("allOf", 1, "then", "properties"),
        [("field-removed", "tries", "")],
        True,
    ),
    "column lost to a definition": (
        both(
            put("$defs", "mode", value={"type": "string", "enum": ["fast", "slow"]}),
            field("mode", **{"$ref": "#/$defs/mode"}),
        ),
        [("field-removed", "mode", "")],
        True,
    ),
    "retyped": (field("ms", type="integer", minimum=0, maximum=1000), [("retyped", "ms", "")], True),
    "retyped to a wider type": (field("id", type=["string", "null"], maxLength=40), [("retyped", "id", "")], True),
    "retyped within a JSON column": (field("note", type=["string", "boolean"]), [("retyped", "note", "")], True),
    "became a time": (field("id", type="string", format="date-time", maxLength=40), [("retyped", "id", "")], True),
    "another format is not asked for": (
        field("id", type="string", format="uuid", maxLength=40),
        [("unread", "id", "")],
        False,
    ),
    "newly required of all": (put("required", value=[*EVERY_LINE, "id"]), [("newly-required", "id", "")], True),
    "newly required of an event": (
        put("allOf", 0, "then", "required", value=["ms", "id", "mode"]),
        [("newly-required", "mode", "saved")],
        True,
    ),
    "newly required of two events": (
        put("allOf", 1, "then", "required", value=["code", "id"]),
        [("newly-required", "id", "failed"), ("newly-required", "id", "lost")],
        True,
    ),
    "required no more": (
        put("allOf", 0, "then", "required", value=["id"]),
        [("required-no-more", "ms", "saved")],
        False,
    ),
    "required of nobody any more": (
        put("required", value=["ts", "event", "phase"]),
        [("required-no-more", "schema_version", "")],
        False,
    ),
    "minimum raised": (field("ms", type="number", minimum=1, maximum=1000), [("tightened", "ms", "")], True),
    "minimum lowered": (field("ms", type="number", minimum=-1, maximum=1000), [("loosened", "ms", "")], False),
    "minimum dropped": (field("ms", type="number", maximum=1000), [("loosened", "ms", "")], False),
    "maximum lowered": (field("ms", type="number", minimum=0, maximum=999), [("tightened", "ms", "")], True),
    "maximum raised": (field("ms", type="number", minimum=0, maximum=1001), [("loosened", "ms", "")], False),
    "bounds moved both ways": (
        field("ms", type="number", minimum=1, maximum=1001),
        [("tightened", "ms", ""), ("loosened", "ms", "")],
        True,
    ),
    "maxLength added": (field("code", type="string", pattern="^E", maxLength=9), [("tightened", "code", "")], True),
    "minimum of a branch raised": (
        put("allOf", 1, "then", "properties", "tries", "minimum", value=2),
        [("tightened", "tries", "failed"), ("tightened", "tries", "lost")],
        True,
    ),
    "value added": (field("mode", type="string", enum=["fast", "slow", "off"]), [("loosened", "mode", "")], False),
    "value removed": (field("mode", type="string", enum=["fast"]), [("tightened", "mode", "")], True),
    "value replaced": (field("mode", type="string", enum=["fast", "off"]), [("changed", "mode", "")], True),
    "values open": (field("mode", type="string"), [("loosened", "mode", "")], False),
    "enum became const": (field("mode", type="string", const="fast"), [("tightened", "mode", "")], True),
    "pattern dropped": (field("code", type="string"), [("loosened", "code", "")], False),
    "pattern changed": (field("code", type="string", pattern="^[EF]"), [("changed", "code", "")], True),
    "default": (field("code", type="string", pattern="^E", default="E"), [("unread", "code", "")], False),
    "a keyword nobody knows": (
        field("code", **{"type": "string", "pattern": "^E", "not": {"const": "E1"}}),
        [("changed", "code", "")],
        True,
    ),
    "event added": (add_branch(branch("drift", required=["ms"])), [("event-added", "", "drift")], False),
    "event added with a rule for a field": (
        add_branch(branch("drift", properties={"ms": {"type": "number", "maximum": 5}})),
        [("event-added", "", "drift")],
        False,
    ),
    "a second branch for an event": (
        add_branch(branch("lost", properties={"tries": {"type": "integer", "minimum": 3}})),
        [("changed", "tries", "lost")],
        True,
    ),
    "a definition that asks for more than what stands beside it": (
        both(
            put("$defs", "code", value={"pattern": "^E1"}),
            field("code", **{"type": "string", "pattern": "^E", "$ref": "#/$defs/code"}),
        ),
        [("changed", "code", "")],
        True,
    ),
    "event removed": (drop("allOf", 0), [("event-removed", "", "saved")], False),
    "event removed with its field": (
        drop("allOf", 1),
        [("field-removed", "tries", ""), ("event-removed", "", "failed"), ("event-removed", "", "lost")],
        True,
    ),
    "vocabulary closed": (
        field("event", type="string", minLength=1, enum=["saved", "failed", "lost"]),
        [("tightened", "event", "")],
        True,
    ),
    "dedup key": (put("x-phasegate", "dedup_key", value=["id"]), [("dedup-key", "", "")], False),
    "no other fields": (put("additionalProperties", value=False), [("other", "additionalProperties", "")], True),
    "required in another shape": (put("oneOf", value=[{"required": ["id"]}]), [("other", "oneOf", "")], True),
    "required unless": (
        add_branch({**branch("saved"), "else": {"required": ["id"]}}),
        [("other", "allOf", "")],
        True,
    ),
    "required where another field is": (
        add_branch({"if": {"properties": {"mode": {"const": "slow"}}}, "then": {"required": ["code"]}}),
        [("other", "allOf", "")],
        True,
    ),
    "description": (
        put("properties", "phase", "description", value="The phase."),
        [("description", "phase", "")],
        False,
    ),
    "title added": (put("title", value="Events"), [("description", "", "")], False),
    "examples of a branch": (
        put("allOf", 1, "then", "properties", "tries", "examples", value=[1]),
        [("description", "allOf.1.then.properties.tries", "")],
        False,
    ),
    "description of a definition": (
        put("$defs", "count", "description", value="More."),
        [("description", "$defs.count", "")],
        False,
    ),
    "field called description": (field("description", type="string"), [("field-added", "description", "")], False),
    "const called title": (field("mode", type="string", enum=["title"]), [("changed", "mode", "")], True),
    "$id": (put("$id", value="https://example.org/x"), [("unread", "$id", "")], False),
    "order of branches": (lambda document: document["allOf"].reverse(), [("layout", "", "")], False),
    "a branch for each event": (
        both(
            drop("allOf", 1),
            *(add_branch({**branch(name), "then": schema()["allOf"][1]["then"]}) for name in ("failed", "lost")),
        ),
        [("layout", "", "")],
        False,
    ),
    "const as enum": (field("schema_version", type="integer", enum=[1]), [("layout", "", "")], False),
    "layout and description": (
        both(field("schema_version", type="integer", enum=[1]), put("title", value="Events")),
        [("layout", "", ""), ("description", "", "")],
        False,
    ),
    "true is not 1": (field("schema_version", type="integer", const=True), [("changed", "schema_version", "")], True),
}


@pytest.mark.parametrize(("edit", "expected", "is_breaking"), EDITS.values(), ids=EDITS)
def test_what_an_edit_comes_to(edit: Edit, expected: list[tuple[str, str, str]], is_breaking: bool) -> None:
    head = edited(edit)
    told = differences(schema(), head)
    assert [(row.kind, row.field, row.event) for row in told] == expected
    assert any(row.is_breaking for row in told) is is_breaking
    assert breaking(told, schema(), head) == tuple(row for row in told if row.is_breaking)
    directions = {change.direction for change in changes(told, "schemas/event.schema.json")}
    only_words = {row.kind for row in told} == {"description"}
    assert (Direction.UNKNOWN in directions) is not only_words


@pytest.mark.parametrize("document", [schema(), SHIPPED], ids=["small", "shipped"])
def test_nothing_differs_from_itself_in_whatever_order_of_keys(document: dict[str, Any]) -> None:
    again = json.loads(json.dumps(document, sort_keys=True))
    assert differences(document, again) == ()
    assert breaking((), document, again) == ()


LINES = [
    {"schema_version": 1, "ts": "2026-01-02T11:45:00Z", "event": event, "phase": "B", **fields}
    for event in ("saved", "failed", "lost", "drift")
    for fields in (
        {},
        {"id": "a", "ms": 0},
        {"id": "a" * 40, "ms": 1000, "code": "E1", "tries": 1, "mode": "fast"},
        {"id": "a", "ms": 999.5, "code": "E1", "tries": 2, "mode": "slow", "note": None, "more": 1},
    )
]


@pytest.mark.parametrize("edit", [edit for edit, _, is_breaking in EDITS.values() if not is_breaking])
def test_what_breaks_nothing_keeps_every_line_that_was_sound(edit: Edit) -> None:
    """The validator itself; a new event alone asks for more, of lines that nobody knew."""
    before, after = fast_validator(schema()), fast_validator(edited(edit))
    new = {row.event for row in differences(schema(), edited(edit)) if row.kind == "event-added"}
    sound = [line for line in LINES if before.is_valid(line)]
    assert len(sound) > 7
    assert [line for line in sound if not after.is_valid(line) and line["event"] not in new] == []


def steps(document: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of everything below `document`."""
    children = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [found for step, child in children for found in ((*path, step), *steps(child, (*path, step)))]


@given(st.data())
def test_no_edit_goes_unseen_and_none_but_words_is_neutral(data: st.DataObject) -> None:
    """Anything dropped, or put in another's place, anywhere in the shipped schema, as long as it is one."""
    head = copy.deepcopy(SHIPPED)
    path = data.draw(st.sampled_from(steps(head)))
    value = data.draw(st.sampled_from([None, 1, -1, True, False, "x", "integer", [], ["x"], {}, {"type": "integer"}]))
    (drop(*path) if value is None else put(*path, value=value))(head)
    try:
        told = differences(SHIPPED, head)
    except (ValueError, AttributeError, TypeError, KeyError):
        return  # no event schema any more: refused before it is compared
    assert bool(told) is (json.dumps(head, sort_keys=True) != json.dumps(SHIPPED, sort_keys=True))
    if told and {row.kind for row in told} == {"description"}:
        assert {"title", "description", "examples", "$comment"} & set(map(str, path))


VERSIONS: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None, bool]] = {
    "the same": ({"const": 1}, {"const": 1}, False),
    "the next instead": ({"const": 1}, {"const": 2}, True),
    "the next besides": ({"const": 1}, {"enum": [1, 2]}, True),
    "one of several": ({"enum": [1, 2]}, {"enum": [2, 3]}, True),
    "none of several": ({"enum": [1, 2]}, {"enum": [2]}, False),
    "an old one again": ({"const": 2}, {"const": 1}, False),
    "a smaller one besides": ({"const": 2}, {"enum": [0, 2]}, False),
    "any": ({"const": 1}, {}, False),
    "true is no number": ({"const": 1}, {"const": 1, "enum": [1, True]}, False),
    "words": ({"const": "a"}, {"enum": ["a", "b"]}, True),
    "the same words": ({"const": "a"}, {"enum": ["a"]}, False),
    "the first": ({}, {"const": 1}, True),
    "none": ({}, {}, False),
    "no field before": (None, {"const": 1}, True),
    "no field after": ({"const": 1}, None, False),
}


def versioned(rule: dict[str, Any] | None, edit: Edit = lambda _: None) -> dict[str, Any]:
    document = edited(edit)
    document["properties"]["schema_version"] = {"type": ["integer", "string"], **(rule or {})}
    if rule is None:
        del document["properties"]["schema_version"]
        document["required"].remove("schema_version")
    return document


@pytest.mark.parametrize(("before", "after", "is_new"), VERSIONS.values(), ids=VERSIONS)
def test_a_new_version_may_break(before: dict[str, Any] | None, after: dict[str, Any] | None, is_new: bool) -> None:
    base, head = versioned(before), versioned(after, drop("properties", "mode"))
    told = differences(base, head)
    assert ("field-removed", "mode") in [(row.kind, row.field) for row in told]
    assert (breaking(told, base, head) == ()) is is_new


def test_a_first_version_must_be_required_to_be_one() -> None:
    base, head = versioned(None), versioned({"const": 1}, drop("properties", "mode"))
    head["required"].remove("schema_version")
    assert [row.field for row in breaking(differences(base, head), base, head)] == ["mode"]


def test_a_version_may_stand_in_a_definition() -> None:
    head = edited(
        both(
            drop("properties", "mode"),
            put("$defs", "version", value={"enum": [1, 2]}),
            field("schema_version", **{"type": "integer", "$ref": "#/$defs/version"}),
        )
    )
    assert breaking(differences(schema(), head), schema(), head) == ()


def test_a_definition_says_the_same_as_what_it_stands_for() -> None:
    def edit(document: dict[str, Any]) -> None:
        document["$defs"]["tries"] = {"minimum": 1}
        document["allOf"][1]["then"]["properties"]["tries"] = {"type": "integer", "$ref": "#/$defs/tries"}

    assert found(edit) == [("layout", "", "")]
    assert found(both(edit, put("$defs", "tries", value={"minimum": 2}))) == [
        ("tightened", "tries", "failed"),
        ("tightened", "tries", "lost"),
    ]


@pytest.mark.parametrize(
    ("edit", "before", "after"),
    [
        (drop("properties", "ms"), "number", None),
        (field("at", type="string", format="date-time"), None, "string (date-time)"),
        (field("ms", type="string"), "number", "string"),
        (field("note", type="object"), 'type ["string", "null"]', 'type "object"'),
        (field("ms", type="number", minimum=0.5, maximum=1000), "minimum 0", "minimum 0.5"),
        (field("mode", type="string"), 'enum ["fast", "slow"]', None),
        (put("x-phasegate", "dedup_key", value=[]), "event, id", ""),
        (add_branch(branch("drift", required=["ms"])), None, "requires event, ms, phase, schema_version, ts"),
        (put("allOf", 0, "then", "required", value=["ms"]), "required", None),
    ],
)
def test_before_and_after_in_the_schemas_words(edit: Edit, before: str | None, after: str | None) -> None:
    (row, *_) = differences(schema(), edited(edit))
    assert (row.before, row.after) == (before, after)


@pytest.mark.parametrize(
    ("kind", "event", "subject", "side"),
    [
        ("newly-required", "saved", "event_schema.saved.ms", "head"),
        ("field-removed", "", "event_schema.ms", "base"),
        ("event-removed", "saved", "event_schema.saved.ms", "base"),
    ],
)
def test_a_difference_as_a_change(kind: str, event: str, subject: str, side: str) -> None:
    row = SchemaDifference(kind, "ms", event, "a", "b", is_breaking=True)
    (change,) = changes([row], "schemas/x.json")
    assert isinstance(change, Change)
    assert (change.kind, change.subject, change.rule) == ("event_schema", subject, f"schema-{kind}")
    assert (change.before, change.after, change.direction) == ("a", "b", Direction.UNKNOWN)
    assert change.place == Place("schemas/x.json", side=side)
    assert change.why


def test_the_shipped_schema_is_understood_whole() -> None:
    """None of its branches falls to `other`: a field newly required in each is told with the event's name."""
    for index, one in enumerate(SHIPPED["allOf"]):
        head = copy.deepcopy(SHIPPED)
        head["allOf"][index]["then"]["required"].append("release")
        (row,) = differences(SHIPPED, head)
        assert (row.kind, row.field) == ("newly-required", "release")
        assert row.event == one["if"]["properties"]["event"]["const"]


def test_what_is_no_event_schema_is_refused() -> None:
    with pytest.raises(ValueError, match=r"properties\.phase: missing"):
        differences(schema(), edited(drop("properties", "phase")))
