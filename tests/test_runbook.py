"""The Runbook: six steps with the real values in them, ticked as the ledger shows them done, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from checker.analyzer.explain import RowsBehind
from checker.policy.model import Policy
from checker.reporter.redact import REDACTED, redacted
from checker.reporter.runbook.page import runbook
from checker.reporter.runbook.report import Evidence, incident_report
from checker.reporter.runbook.view import subjects_of
from checker.reporter.runbook.write import page_place, write_page
from checker.whole_file import safe_name
from tests import decisions as build
from tests.ledgers import LedgerBuilder
from tests.surveys import FIRST, judged, view

INCIDENT = "incident-20260102T090000Z"
COMMAND = "phasegate rollback --target=autosave --phase=B '--reason=save_latency_p95 violation'"


def opened() -> LedgerBuilder:
    """Phase B; a violation at 09:00 opened an incident, and its notice is recorded."""
    ledger = LedgerBuilder().phase_change("off", "A").phase_change("A", "B")
    slos = ["save_latency_p95", "failure_rate"]
    ledger.incident("opened", INCIDENT, slos=slos, window="2026-01-02T09:00:00Z", at="2026-01-02T09:20:00Z")
    data = {"notice": "autosave-incident", "outcome": "violation", "channel": "#incident", "text": "go back"}
    return ledger.record("notice", data | {"incident": INCIDENT}, name="n1")


def rolled_back() -> LedgerBuilder:
    return opened().delivery("n1").rollback("ended", "B", "A", incident=INCIDENT, at="2026-01-02T09:22:13Z")


def recovery(ledger: LedgerBuilder, *met: bool) -> LedgerBuilder:
    """Checks from 09:30 on, five minutes apart."""
    for number, is_met in enumerate(met):
        due = f"2026-01-02T{9 + (30 + 5 * number) // 60:02}:{(30 + 5 * number) % 60:02}:00Z"
        start = f"2026-01-02T{9 + (15 + 5 * number) // 60:02}:{(15 + 5 * number) % 60:02}:00Z"
        data = {
            "incident": INCIDENT,
            "rollback": "rollback-1",
            "met": is_met,
            "outcome": "ok" if is_met else "violation",
        }
        ledger.record("recovery", data | {"violations": [], "window_end": due}, name=INCIDENT, window=start, at=due)
    return ledger


def ticks(page: str) -> str:
    """`x-----`: which of the six steps are ticked."""
    found = re.findall(r"^- \[([ x])\] \*\*(\d)\.\*\*", page, re.MULTILINE)
    assert [number for _, number in found] == list("123456")
    return "".join("x" if tick == "x" else "-" for tick, _ in found)


APPROVED = {"incident": INCIDENT, "subject": "incident"}
STAGES = {
    "opened": (opened(), "------"),
    "the notice failed": (opened().delivery("n1", result="failed"), "------"),
    "the notice was kept": (opened().delivery("n1", result="kept"), "------"),
    "the notice was delivered": (opened().delivery("n1"), "x-----"),
    "the collector was stopped": (
        opened().record("incident", {"event": "noted", "by": "Ada", "reason": "stopped", "step": 2}, name=INCIDENT),
        "-x----",
    ),
    "proposed": (opened().rollback("proposed", "B", "A", incident=INCIDENT), "------"),
    "begun": (opened().rollback("begun", "B", "A", incident=INCIDENT), "------"),
    "failed": (
        opened().rollback("begun", "B", "A", incident=INCIDENT).rollback("failed", "B", "A", incident=INCIDENT),
        "------",
    ),
    "rolled back": (rolled_back(), "x-xx--"),
    "by hand, without naming the incident": (opened().rollback("ended", "B", "A"), "--xx--"),
    "five checks": (recovery(rolled_back(), *[True] * 5), "x-xx--"),
    "six checks": (recovery(rolled_back(), *[True] * 6), "x-xxx-"),
    "six checks, one not met": (recovery(rolled_back(), True, True, False, True, True, True), "x-xx--"),
    "approved": (rolled_back().approval("Governance committee", **APPROVED), "x-xx-x"),
    "approved by somebody else": (rolled_back().approval("SRE", **APPROVED), "x-xx--"),
}


@pytest.mark.parametrize("stage", list(STAGES))
def test_only_what_the_ledger_shows_is_ticked(stage: str) -> None:
    ledger, expected = STAGES[stage]
    assert ticks(runbook(view(ledger, INCIDENT))) == expected


def test_the_real_values_are_in_it() -> None:
    page = runbook(view(opened(), INCIDENT))
    assert page.count(COMMAND) >= 2
    assert "B → A" in page
    assert "Stop the running Collector of phase B (target `autosave`)" in page
    assert "every 5 min for 30 min" in page
    assert f"phasegate incident --note={INCIDENT} --step=2" in page
    assert f"phasegate approve '--role=Governance committee' --incident={INCIDENT} --by=NAME" in page


def rows_of(page: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if re.match(r"  \| \d", line)
    ]


def test_the_plan_has_six_checks_with_their_times() -> None:
    rows = rows_of(runbook(view(rolled_back(), INCIDENT)))
    assert [row[1][11:16] for row in rows] == ["09:30", "09:35", "09:40", "09:45", "09:50", "09:55"]
    assert {row[2] for row in rows} == {"to come"}


def test_a_check_that_was_not_met_lengthens_the_plan() -> None:
    rows = rows_of(runbook(view(recovery(rolled_back(), True, False, True), INCIDENT)))
    assert [row[2].split()[0] for row in rows[:3]] == ["met", "**not", "met"]
    assert [row[1][11:16] for row in rows[3:]] == ["09:45", "09:50", "09:55", "10:00", "10:05"]


def test_an_unknown_outcome_says_how_it_is_settled() -> None:
    page = runbook(view(opened().rollback("begun", "B", "A", incident=INCIDENT), INCIDENT))
    assert "Its outcome is unknown" in page
    assert f"{COMMAND} --by NAME --done" in page
    assert f"{COMMAND} --by NAME --failed" in page


def test_a_source_that_was_given_up_has_nothing_to_roll_back() -> None:
    ledger = LedgerBuilder().phase_change("off", "B").incident("opened", "i1", cause="retry_exhausted", slos=())
    page = runbook(view(ledger, "i1"))
    assert "phasegate incident --cancel i1" in page
    assert "phasegate rollback" not in page


def test_a_rollback_without_an_incident_has_a_page_of_its_own() -> None:
    ledger = LedgerBuilder().phase_change("off", "B").rollback("ended", "B", "A", name="rollback-7")
    assert subjects_of(ledger.state()) == ("rollback-7",)
    assert runbook(view(ledger, "rollback-7")).startswith("# Rollback rollback-7: AutoSave, phase B")


def test_the_log_has_every_record_of_the_incident_and_no_other() -> None:
    ledger = recovery(rolled_back().incident("added", "other", slos=["failure_rate"]), True)
    page = runbook(view(ledger, INCIDENT))
    assert [int(number) for number in re.findall(r"· record (\d+) ·", page)] == [3, 4, 5, 6, 8]


def test_it_is_read_as_a_list_of_tasks_with_blocks_of_code() -> None:
    made = MarkdownIt("commonmark").enable("table").render(runbook(view(rolled_back(), INCIDENT)))
    assert made.count("<li>") == 6
    assert made.count("<table>") == 1
    assert f'<code class="language-sh">{COMMAND}' in made


POLICY: Policy = build.policy(redact=("user*", "*Token*"))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("user_id", "u1", REDACTED),
        ("USER", "u1", REDACTED),
        ("access_token", "x", REDACTED),
        ("code", "E1", "E1"),
        ("payload", {"user": "u1", "n": [{"token": 1}, 2]}, {"user": REDACTED, "n": [{"token": REDACTED}, 2]}),
    ],
)
def test_fields_on_the_list_are_blacked_out(name: str, value: object, shown: object) -> None:
    assert redacted(name, value, POLICY.redact) == shown


def test_the_report_shows_the_windows_the_rows_and_the_approval() -> None:
    windows = [judged(POLICY, number, save_latency_p95=9.0 if number == 0 else 1.0) for number in range(3)]
    rows = RowsBehind("worst", "saves", "duration_ms desc", ("user_id", "duration_ms"), (("u-17", 9000.0),), 40)
    evidence = Evidence(windows[0].window, tuple(windows), {"save_latency_p95": [rows]})
    report = incident_report(view(opened(), INCIDENT, POLICY), evidence)
    assert "**9 s**" in report
    assert "9 s against ≤ 2.0 s, 350 % past it, from 1,200 samples." in report
    assert "![save latency P95 around the violation](save_latency_p95.svg)" in report
    assert "u-17" not in report
    assert REDACTED.strip("[]") in report
    assert "1 of 40" in report
    assert "Governance committee: missing" in report
    assert windows[0].window.start == FIRST


def test_without_logs_the_report_says_so() -> None:
    assert "The logs could not be looked into: no batch" in incident_report(view(opened(), INCIDENT), None, "no batch")


@pytest.mark.parametrize("name", ["../../etc/x", ".hidden", "a/b", "", "x" * 300, "a b", "ä", "\ud800"])
def test_an_id_cannot_lead_out_of_the_folder(name: str, tmp_path: Path) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", safe_name(name))
    assert (tmp_path / page_place(name)).resolve().is_relative_to(tmp_path / "incidents")


def test_two_ids_never_share_a_folder() -> None:
    names = ["a/b", "a b", "a-b", "a:b", "A-b"]
    assert len({safe_name(name) for name in names}) == len(names)


def test_a_page_is_written_where_it_has_changed(tmp_path: Path) -> None:
    found = view(opened(), INCIDENT)
    place = tmp_path / write_page(tmp_path, found)
    before = place.stat().st_ino
    write_page(tmp_path, found)
    assert place.stat().st_ino == before
    write_page(tmp_path, view(rolled_back(), INCIDENT))
    assert place.stat().st_ino != before
