"""The dashboard's document and page: what they say of a survey, by their schema, the same bytes each time."""

from __future__ import annotations

import base64
import hashlib
import html
import http.client
import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from checker.policy.model import Freeze
from checker.reporter.charts import INSTALL, Chart, Point, svg
from checker.reporter.dashboard.document import dashboard_document
from checker.reporter.dashboard.page import dashboard_page
from checker.reporter.dashboard.trend import trend
from checker.reporter.dashboard.words import page_words
from checker.reporter.survey import Survey
from checker.schemas import tool_schema, validate
from checker.units import plain
from tests import decisions as build
from tests.commands import SAMPLE, SAMPLE_AS_OF
from tests.ledgers import LedgerBuilder
from tests.surveys import judged, survey

INCIDENT = "incident-1"


def in_incident() -> LedgerBuilder:
    """Phase B, with an open incident."""
    ledger = LedgerBuilder().phase_change("off", "B").decision("2026-01-02T09:00:00Z", violations=["save_latency_p95"])
    return ledger.incident("opened", INCIDENT, slos=["save_latency_p95"], window="2026-01-02T09:00:00Z")


def recovering() -> LedgerBuilder:
    """The same, rolled back to A."""
    return in_incident().rollback("ended", "B", "A", incident=INCIDENT, at="2026-01-02T09:22:13Z")


SURVEYS = {
    "calm": survey([{}] * 9),
    "nothing measured": survey([dict.fromkeys(("save_latency_p95", "failure_rate"), None)]),
    "not finite": survey([{"save_latency_p95": float("nan"), "failure_rate": float("inf")}]),
    "incident": survey([{}, {"save_latency_p95": 9.0}], ledger=in_incident()),
    "recovering": survey([{}], ledger=recovering()),
    "notices": survey([{}], ledger=in_incident().notice(outcome="ok").pause(until="2027-01-01T00:00:00Z")),
}


@pytest.mark.parametrize("name", list(SURVEYS))
def test_the_document_keeps_to_its_schema(name: str) -> None:
    document = json.loads(json.dumps(dashboard_document(SURVEYS[name]), allow_nan=False))
    assert [str(fault) for fault in validate(document, tool_schema("dashboard"), at_most=9)] == []


@pytest.mark.parametrize("name", list(SURVEYS))
def test_the_same_survey_gives_the_same_bytes(name: str) -> None:
    found = SURVEYS[name]
    pages = {dashboard_page(found, dashboard_document(found)) for _ in range(2)}
    assert len(pages) == 1
    assert len(pages.pop()) > 5_000


def test_a_card_has_what_was_measured_unrounded() -> None:
    document = dashboard_document(survey([{"save_latency_p95": 1.7300000001}]))
    card = document["cards"][0]
    assert (card["value"], card["threshold"], card["warn_threshold"]) == (1.7300000001, 2.0, 1.6)
    assert (card["margin_percent"], card["status"], card["phase"]) == (13, "warn", "B")


@pytest.mark.parametrize(
    ("ledger", "active", "head"),
    [
        (LedgerBuilder().phase_change("off", "B"), False, None),
        (recovering(), True, "ROLLBACK ACTIVE"),
        (recovering().incident("ended", INCIDENT), False, None),
        (in_incident().incident("cancelled", INCIDENT), False, None),
    ],
)
def test_the_banner_is_there_as_long_as_a_rollback_is_active(
    ledger: LedgerBuilder, active: bool, head: str | None
) -> None:
    found = survey(ledger=ledger)
    document = dashboard_document(found)
    banner = page_words(found, document)["banner"]
    assert document["rollback_active"] is active
    assert (banner["head"] if banner else None) == head
    assert ('id="rollback-banner"' in dashboard_page(found, document)) is active


def test_a_rollback_that_was_begun_and_never_ended_is_nobodys_to_miss() -> None:
    ledger = in_incident().rollback("begun", "B", "A", incident=INCIDENT, at="2026-01-02T09:22:13Z")
    found = survey(ledger=ledger)
    document = dashboard_document(found)
    banner = page_words(found, document)["banner"]
    assert document["rollback_unknown"]["event"] == "begun"
    assert banner["head"] == "ROLLBACK: OUTCOME UNKNOWN"
    assert "B → A, begun 2026-01-02 09:22 UTC" in banner["text"]
    assert 'id="rollback-banner"' in dashboard_page(found, document)


def test_what_an_incident_requires_is_required_whatever_was_decided_now() -> None:
    """In `off` and `complete` a check is a what-if, and knows nothing of the ledger's incident."""
    found = SURVEYS["incident"]
    assert found.decision.rollback_required is False
    document = dashboard_document(found)
    assert (document["rollback_active"], document["rollback_required"]) == (True, True)
    banner = page_words(found, document)["banner"]
    assert (banner["head"], banner["text"]) == (
        "ROLLBACK REQUIRED",
        f"Phase B must go back to the phase before: {INCIDENT}",
    )


def test_a_rollback_that_is_required_is_told_with_its_command() -> None:
    made = build.violation(build.policy())
    found = replace(SURVEYS["incident"], decision=replace(made, reasons=("save_latency_p95 violation",)))
    banner = page_words(found, dashboard_document(found))["banner"]
    assert banner["head"] == "ROLLBACK REQUIRED"
    assert banner["command"] == "phasegate rollback --target=autosave --phase=B '--reason=save_latency_p95 violation'"


def test_a_phase_that_was_entered_without_its_gate_is_told_until_it_is_left() -> None:
    change = {"from": "A", "to": "B", "by": "Ada", "reason": "fix", "without_gate": True}
    ledger = LedgerBuilder("B").record("phase_change", change)
    told = []
    for _ in range(2):
        found = survey(ledger=ledger)
        told.append("ENTERED WITHOUT ITS GATE" in page_words(found, dashboard_document(found))["where"])
        ledger.rollback("ended", "B", "A")
    assert told == [True, False]


def test_what_holds_an_advance_up_is_told() -> None:
    freeze = Freeze("fair", days=frozenset(range(7)))
    found = survey(policy=build.policy(freezes=(freeze,)), ledger=in_incident().pause())
    document = dashboard_document(found)
    assert (document["freeze"], document["pause"]["reason"]) == (freeze.told, "holidays")
    lines = page_words(found, document)["gate_lines"]
    assert {"paused until resumed, by Ada: holidays", f"frozen {freeze.told}"} <= set(lines)


@pytest.mark.parametrize(
    ("values", "limit", "direction"),
    [
        ([1.0] * 8, 2.0, "steady"),
        ([1.0] * 4 + [1.2] * 4, 2.0, "rising"),
        ([1.2] * 4 + [1.0] * 4, 2.0, "falling"),
        ([1.0] * 4 + [1.039] * 4, 2.0, "steady"),  # within 2 % of the threshold
        ([1.0] * 4 + [9.0] + [1.0] * 3, 2.0, "steady"),  # one outlier is no trend
        ([1.0] * 4, 2.0, "unknown"),
        ([1.0] * 4 + [None] * 3 + [1.0], 2.0, "unknown"),
        ([float("nan")] * 8, 2.0, "unknown"),
        ([-1.7e308] * 4 + [1.7e308] * 4, 2.0, "unknown"),  # the change is no number
        ([0.0] * 8, 0.0, "steady"),
        ([0.0] * 4 + [1.0] * 4, 0.0, "rising"),
    ],
)
def test_trends(values: list[float | None], limit: float, direction: str) -> None:
    assert trend(values, limit).direction == direction


def test_a_page_names_its_age_by_the_clock_it_was_made_by() -> None:
    found = SURVEYS["calm"]
    assert 'data-as-of="2026-01-02T11:20:00Z"' in dashboard_page(found, dashboard_document(found))


def test_every_window_is_in_the_strip_with_its_outcome() -> None:
    found = survey([{}, {"save_latency_p95": 1.7}, {"failure_rate": 9.0}, {"failure_rate": None}])
    page = dashboard_page(found, dashboard_document(found))
    told = re.findall(r'<button type="button" class="(\w+)"[^>]*aria-label="([^"]*)"', page)
    assert [cls for cls, _ in told] == ["ok", "warn", "violation", "no_data"]
    assert told[2][1] == "2026-01-02 09:30 UTC: violation (failure rate 9 %)"


def test_a_chart_draws_nothing_that_it_was_not_given() -> None:
    item = judged(build.policy(), 0)
    chart = Chart("P95", "s", (Point(item.window.start, 1.0, item.outcome),), 2.0, 1.6)
    drawn = svg(chart)
    assert drawn == svg(replace(chart))
    assert "var(--limit" in drawn
    assert not re.search(r"(href|src)=\"http|<style|<script|<image", drawn)


def test_the_page_allows_its_own_script_and_style_and_nothing_else() -> None:
    found = SURVEYS["incident"]
    page = dashboard_page(found, dashboard_document(found))
    (allowed,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        (own,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in allowed
    assert allowed.startswith("default-src 'none';")
    assert "unsafe" not in allowed
    assert " style=" not in page


def test_without_the_library_the_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    found = survey([{"save_latency_p95": 1.2345}])
    page = dashboard_page(found, dashboard_document(found))
    assert INSTALL in html.unescape(page)
    assert "<svg" not in page
    assert "1.23 <span" in page


def test_control_characters_do_not_reach_the_page() -> None:
    hostile = "\x1b[31m\u202eevil\x00"
    found: Survey = survey(policy=build.policy(title=hostile))
    page = dashboard_page(found, dashboard_document(found))
    assert plain(hostile) in page
    assert not set(page) & set("\x1b\u202e\x00")


def test_it_is_served_to_this_machine_alone(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "checker", "dashboard", "--phase=B", f"--logs={SAMPLE}", f"--as-of={SAMPLE_AS_OF}",
        f"--output={tmp_path}", "--serve", "--port=0",
    ]  # fmt: skip
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(2)]
        port = int(re.findall(r"127\.0\.0\.1:(\d+)/", told[1])[0])
        answers = {}
        for path, host in (
            ("/", "127.0.0.1"), ("/dashboard.json", "localhost"), ("/../../etc/passwd", "localhost"),
            ("/", "attacker.example"), ("/dashboard.html", f"localhost:{port}"),
        ):  # fmt: skip
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path, headers={"Host": host})
            answers[path, host] = connection.getresponse().status
            connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    assert list(answers.values()) == [200, 200, 404, 404, 200]
