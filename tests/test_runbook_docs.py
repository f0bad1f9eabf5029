"""The page on the Runbook says what the code does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click
import pytest

from checker.analyzer.explain import WORST_ROWS
from checker.cli.incident import command as incident
from checker.cli.report import command as report
from checker.pipeline import windows_around
from checker.reporter.redact import REDACTED
from checker.reporter.runbook.page import runbook
from checker.reporter.runbook.write import PAGE as RUNBOOK
from checker.reporter.runbook.write import REPORT, page_place
from tests import decisions as build
from tests.ledgers import LedgerBuilder
from tests.surveys import view
from tests.test_runbook import APPROVED, INCIDENT, noted, opened, recovery, rolled_back, ticks

PAGE = (Path(__file__).parent.parent / "docs" / "runbook.md").read_text(encoding="utf-8")
SHOWN = {
    1: (opened().delivery("n1"), opened().delivery("n1", result="kept")),
    2: (noted(2), opened()),
    3: (rolled_back(), opened().rollback("timed_out", "B", "A", incident=INCIDENT)),
    4: (rolled_back(), opened().rollback("ended", "B", "off", incident=INCIDENT)),
    5: (recovery(rolled_back(), *[True] * 6), recovery(rolled_back(), *[True] * 5, False, True)),
    6: (rolled_back().approval("Governance committee", **APPROVED), rolled_back().approval("Governance committee")),
}


def test_the_table_has_a_row_for_each_step() -> None:
    assert re.findall(r"^\| (\d)\. ", PAGE, re.MULTILINE) == [str(number) for number in SHOWN]


@pytest.mark.parametrize("number", list(SHOWN))
def test_a_step_is_ticked_by_what_the_page_says_and_not_by_what_it_says_not(number: int) -> None:
    by, not_by = (ticks(runbook(view(ledger, INCIDENT)))[number - 1] for ledger in SHOWN[number])
    assert (by, not_by) == ("x", "-")


def test_numbers_and_names_are_those_of_the_code() -> None:
    around = inspect.signature(windows_around).parameters
    before, after = around["before"].default, around["after"].default
    rollback = build.policy().rollback
    for told in (
        f"{before} windows before the one that opened the incident and {after} after",
        f"at most {WORST_ROWS} of the worst rows",
        f"six of them are {int(rollback.recovery_for.total_seconds() // 60)} minutes",
        f"first multiple of {int(rollback.recovery_every.total_seconds() // 60)} minutes",
        f"show `{REDACTED}`",
        f"`{RUNBOOK}`",
        f"`{REPORT}`",
    ):
        assert told in PAGE
    assert rollback.recovery_for == 6 * rollback.recovery_every
    assert page_place("ID") == f"incidents/ID/{RUNBOOK}"


@pytest.mark.parametrize(("command", "line"), [(incident, "phasegate incident "), (report, "phasegate report --daily")])
def test_the_options_that_it_names_are_there(command: click.Command, line: str) -> None:
    known = {option for parameter in command.params for option in parameter.opts}
    (told,) = re.findall(rf"{re.escape(line)}[^`\n]*", PAGE)
    assert set(re.findall(r"--[a-z]+", told)) <= known


def test_an_incident_of_a_source_has_two_steps() -> None:
    ledger = LedgerBuilder().phase_change("off", "B").incident("opened", "i1", cause="retry_exhausted", slos=())
    assert re.findall(r"^- \[.\] \*\*(\d)", runbook(view(ledger, "i1")), re.MULTILINE) == ["1", "2"]
