"""The Runbook: six steps with the real values in them, ticked as the ledger shows them done, and no other."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from checker.analyzer.explain import RowsBehind
from checker.policy.model import Policy
from checker.reporter.redact import REDACTED
from checker.reporter.runbook.page import runbook
from checker.reporter.runbook.report import Evidence, incident_report
from checker.reporter.runbook.view import subjects_of
from checker.reporter.runbook.write import page_place, write_page, write_report
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
    assert "phasegate incident --cancel=i1 --by=NAME --reason=TEXT" in page
    assert "phasegate rollback" not in page


NAMES = ["x; rm -rf ~", "$(id)", "`id`", "a'b", "--by=Eve", "a\n# b", "\u202ex", "-"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cause", ["violation", "retry_exhausted"])
def test_a_shell_reads_each_command_back_as_it_was_meant(name: str, cause: str) -> None:
    slos = ["failure_rate"] if cause == "violation" else ()
    page = runbook(
        view(LedgerBuilder().phase_change("off", "B").incident("opened", name, cause=cause, slos=slos), name)
    )
    commands = re.findall(r"^ *(phasegate (?:incident|approve) .*)$", page, re.MULTILINE)
    assert commands
    for command in commands:
        shown = subprocess.run(
            ["sh", "-c", f"phasegate() {{ printf '%s\\0' \"$@\"; }}; {command}"], capture_output=True, check=True
        ).stdout.decode()
        arguments = shown.split("\0")[:-1]
        assert any(argument in (f"--{key}={name}" for key in ("cancel", "note", "incident")) for argument in arguments)
        assert {argument.partition("=")[0] for argument in arguments[1:]} <= {
            "--cancel", "--note", "--incident", "--step", "--by", "--reason", "--role",
        }  # fmt: skip


def noted(number: int) -> LedgerBuilder:
    return opened().record(
        "incident", {"event": "noted", "by": "Ada", "reason": "looked", "step": number}, name=INCIDENT
    )


@pytest.mark.parametrize(
    ("number", "expected"), [(1, "x-----"), (2, "-x----"), (3, "------"), (5, "------"), (6, "------")]
)
def test_a_persons_word_is_shown_and_ticks_only_what_no_other_record_shows(number: int, expected: str) -> None:
    page = runbook(view(noted(number), INCIDENT))
    assert ticks(page) == expected
    assert re.search(rf"\*\*{number}\.\*\*(?:(?!\n- \[).)*Ada: looked", page, re.DOTALL)


def test_an_approval_of_something_else_ticks_nothing() -> None:
    told = {"subject": "advance", "role": "Governance committee", "by": "Ada", "judging_digest": "a" * 64}
    ledger = rolled_back().record("approval", told | {"incident": INCIDENT})
    assert ticks(runbook(view(ledger, INCIDENT))) == "x-xx--"


def test_where_no_role_is_named_nothing_was_approved() -> None:
    policy = build.policy()
    last = replace(policy.phases[-1], approvers=())
    page = runbook(view(rolled_back(), INCIDENT, replace(policy, phases=(*policy.phases[:-1], last))))
    assert ticks(page) == "x-xx--"
    assert "The policy names no role for it." in page


def test_a_rollback_that_led_elsewhere_is_not_ticked() -> None:
    page = runbook(view(opened().rollback("ended", "B", "off", incident=INCIDENT), INCIDENT))
    assert ticks(page) == "--x---"
    assert "It went to off instead." in page


def test_a_phase_that_the_policy_no_longer_has_is_said() -> None:
    ledger = LedgerBuilder().phase_change("off", "Z").incident("opened", INCIDENT, slos=["failure_rate"])
    page = runbook(view(ledger.rollback("ended", "Z", "B", incident=INCIDENT), INCIDENT))
    assert "The policy has no phase Z" in page
    assert ticks(page)[3] == "-"


ABOUT = {"incident": INCIDENT, "state": "proposed"}


def shapes(output: str) -> list[list[str]]:
    """What a reader of Markdown finds on the page and in the report, where a command and a notice said `output`."""
    told = {"event": "failed", "from": "B", "to": "A", "incident": INCIDENT, "by": "Ada", "reason": "r"}
    ledger = opened().record("rollback", told | {"output": output, "exit_code": 3, "attempt": 1}, name="rollback-1")
    ledger.record("notice", {"notice": "n", "outcome": "rollback", "channel": "runbook", "text": output} | ABOUT)
    found = view(ledger, INCIDENT)
    reader = MarkdownIt("commonmark").enable("table")
    return [[token.type for token in reader.parse(page)] for page in (runbook(found), incident_report(found, None))]


HARMLESS = shapes("done")


@settings(max_examples=50)
@given(st.text(st.sampled_from("`~# \n\t-[x]>|<\x1b\u2028"), min_size=1, max_size=40))
def test_no_output_leaves_its_block(output: str) -> None:
    assert shapes(output) == HARMLESS


def test_the_report_has_what_the_log_was_told_of_the_rollback() -> None:
    text = {"notice": "autosave-rollback", "outcome": "rollback", "channel": "runbook", "text": "Rollback invoked"}
    report = incident_report(view(opened().record("notice", text | ABOUT), INCIDENT), None)
    assert "## The rollback" in report
    assert "```\nRollback invoked\n```" in report


def test_a_plot_lies_beside_the_report_and_is_linked(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    windows = tuple(judged(POLICY, number, save_latency_p95=9.0 if number == 0 else 1.0) for number in range(3))
    found = view(opened(), INCIDENT, POLICY)
    write_report(tmp_path, found, Evidence(windows[0].window, windows, {}))
    folder = tmp_path / "incidents" / INCIDENT
    links = re.findall(r"\]\(([^)]+\.svg)\)", (folder / "report.md").read_text(encoding="utf-8"))
    assert links == ["save_latency_p95.svg", "failure_rate.svg"]
    assert all("<svg" in (folder / link).read_text(encoding="utf-8") for link in links)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*links, "report.md"])


def test_where_no_window_is_there_nothing_is_drawn(tmp_path: Path) -> None:
    found = view(opened(), INCIDENT, POLICY)
    write_report(tmp_path, found, Evidence(judged(POLICY, 0).window, (), {}))
    assert [path.name for path in (tmp_path / "incidents" / INCIDENT).iterdir()] == ["report.md"]


def test_a_rollback_without_an_incident_has_a_page_of_its_own() -> None:
    ledger = LedgerBuilder().phase_change("off", "B").rollback("ended", "B", "A", name="rollback-7")
    assert subjects_of(ledger.state()) == ("rollback-7",)
    page = runbook(view(ledger, "rollback-7"))
    assert page.startswith("# Rollback rollback-7: AutoSave, phase B")
    assert ticks(page) == "--xx--"
    assert "No incident was open, so nothing records the checks: 00:10, 00:15, 00:20, 00:25, 00:30, 00:35 UTC." in page
    assert "phasegate approve" not in page


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
