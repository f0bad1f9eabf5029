"""Fields on the policy's list are blacked out wherever in a row they lie, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.analyzer.explain import RowsBehind
from checker.reporter.redact import REDACTED, redacted
from checker.reporter.runbook.report import Evidence, incident_report
from tests import decisions as build
from tests.surveys import judged, view
from tests.test_runbook import INCIDENT, opened

PATTERNS = ("user*", "*Token*", "ip")
SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("user_id", "u1", REDACTED),
        ("USER", "u1", REDACTED),
        ("access_token", 17, REDACTED),
        ("user", None, REDACTED),
        ("ip", {"v4": "10.0.0.1"}, REDACTED),
        ("zip", "10115", "10115"),
        ("code", "E1", "E1"),
        ("payload", {"user": "u1", "n": [{"token": 1}, 2]}, {"user": REDACTED, "n": [{"token": REDACTED}, 2]}),
        ("payload", '{"user": "ä", "code": "é"}', '{"user": "[redacted]", "code": "é"}'),
        ("payload", '{"us\\u0065r": "u1"}', '{"user": "[redacted]"}'),
        ("payload", '[[{"ip": 1}]]', '[[{"ip": "[redacted]"}]]'),
        ("payload", '{"in": "{\\"user\\": 1}"}', '{"in": "{\\"user\\": \\"[redacted]\\"}"}'),
        ("payload", '"{\\"user\\": 1}"', '"{\\"user\\": \\"[redacted]\\"}"'),
        ("payload", '{"code" :1}', '{"code" :1}'),
        ("payload", '{"user": "u1", "cut o', REDACTED),
        ("payload", '{"a": {"user": 1}, "a": 2}', REDACTED),
        ("payload", f'{{"a": {"9" * 5000}, "user": 1}}', REDACTED),
        ("payload", '{"a":' * 100_000, REDACTED),
        ("payload", '[1, {"user": 1}]', '[1, {"user": "[redacted]"}]'),
        ("payload", '[1, {"user": "u', REDACTED),
        ("message", "[warn] user u1", "[warn] user u1"),
        ("message", "{user} is gone", "{user} is gone"),
    ],
)
def test_a_field(name: str, value: object, shown: object) -> None:
    assert redacted(name, value, PATTERNS) == shown


def test_without_a_list_nothing_is_read_or_changed() -> None:
    assert redacted("payload", '{"user": "u1", "cut o', ()) == '{"user": "u1", "cut o'


NAMES = st.sampled_from(["code", "user", "User_id", "my_token", "ip", "a.b"])
NESTED: st.SearchStrategy[Any] = st.recursive(
    st.just("seen") | st.integers(),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3) | inner.map(json.dumps),
    max_leaves=12,
)


def hidden(value: Any, is_on_the_list: bool = False) -> Any:
    """The value with SECRET in the place of each text below a field of the list, also in JSON that is a text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.dumps(hidden(json.loads(value), is_on_the_list))
    if isinstance(value, dict):
        return {key: hidden(item, is_on_the_list or key not in ("code", "a.b")) for key, item in value.items()}
    if isinstance(value, list):
        return [hidden(item, is_on_the_list) for item in value]
    return SECRET if is_on_the_list else value


@given(NESTED, st.booleans())
def test_no_value_below_such_a_field_is_shown(value: Any, as_text: bool) -> None:
    row = hidden(value)
    shown = redacted("payload", json.dumps(row) if as_text else row, PATTERNS)
    assert SECRET not in json.dumps(shown)


def test_the_report_shows_no_field_of_a_whole_line() -> None:
    policy = build.policy(redact=PATTERNS)
    line = json.dumps({"event": "autosave.save.completed", "user_id": SECRET, "code": "E_NET"})
    found = RowsBehind("worst", "saves", "duration_ms desc", ("duration_ms", "payload"), ((9000.0, line),), 1)
    windows = (judged(policy, 0, save_latency_p95=9.0),)
    report = incident_report(
        view(opened(), INCIDENT, policy), Evidence(windows[0].window, windows, {"save_latency_p95": [found]})
    )
    assert SECRET not in report
    assert "E_NET" in report
