"""The daily report: a day's windows, each SLO's margin, what was recorded, against the day before."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from checker.cli import main
from checker.pipeline import read_past
from checker.pipeline import survey as run
from checker.reporter.daily import daily_report
from checker.windows import iso
from tests.batches import closed
from tests.ledgers import LedgerBuilder
from tests.rollouts import Rollout
from tests.surveys import FIRST, survey

DAY = date(2026, 1, 2)


def rows(report: str) -> dict[str, list[str]]:
    """The cells of each table's rows by their first one."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in cells}


def test_windows_are_counted_and_those_that_are_not_met_are_named() -> None:
    values = [{}, {"save_latency_p95": 1.7}, {"save_latency_p95": 9.0, "failure_rate": 2.0}, {"failure_rate": None}]
    report = daily_report(survey(values), (), DAY)
    assert [rows(report)[name][0] for name in ("ok", "warn", "violation", "no_data", "error")] == [
        "1",
        "1",
        "1",
        "1",
        "0",
    ]
    assert "violation: 09:30 (save latency P95 9 s, failure rate 2 %)" in report
    assert "The day has 96 windows; 4 windows of it are looked at here." in report


def test_each_slo_has_its_median_its_worst_window_and_the_margin_of_that() -> None:
    report = daily_report(survey([{"save_latency_p95": value} for value in (1.0, 1.9, 1.2)]), (), DAY)
    assert rows(report)["save latency P95"] == ["≤ 2.0 s", "1.2 s", "–", "1.9 s", "09:15", "5 %", "–"]


def test_it_is_compared_with_the_day_before() -> None:
    values = [{"save_latency_p95": 1.0}] * 60 + [{"save_latency_p95": 1.6}] * 10
    report = daily_report(survey(values), (), DAY + timedelta(days=1))
    assert rows(report)["save latency P95"][1:3] == ["1.6 s", "1 s"]
    assert rows(report)["save latency P95"][-2:] == ["20 %", "50 %"]
    assert rows(report)["ok"] == ["10", "60"]


def test_a_day_of_which_nothing_is_known_is_no_good_day() -> None:
    report = daily_report(survey([{}]), (), DAY + timedelta(days=9))
    assert "**Nothing is known of this day**" in report
    assert rows(report)["save latency P95"] == ["–"] * 7


def test_what_was_recorded_that_day_is_listed() -> None:
    at = iso(FIRST)
    ledger = LedgerBuilder().phase_change("off", "B", at="2026-01-01T00:00:00Z").pause(at=at)
    ledger.incident("opened", "i1", slos=["failure_rate"], at=at).rollback("ended", "B", "A", incident="i1", at=at)
    ledger.record("phase_change", {"from": "A", "to": "B", "by": "Ada", "reason": "fix", "without_gate": True}, at=at)
    report = daily_report(survey(ledger=ledger), ledger.records(), DAY)
    for told in (
        "- 09:00 pause by Ada: holidays",
        "- 09:00 incident `i1` opened: seen",
        "- 09:00 rollback ended: B → A by Ada: violation",
        "- 09:00 A → B **without its gate** by Ada: fix",
        "**Open: i1**",
    ):
        assert told in report
    assert "off → B" not in report


def test_the_gate_is_told_as_it_was_at_the_days_end_and_as_it_is(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path, "C")
    rollout.enter()
    rollout.batches(*["met"] * 100)
    rollout.check()
    told = [
        run(rollout.governed, rollout.request(at), read_past(rollout.request(at)), 200)
        for at in (closed(100), closed(96))
    ]
    report = daily_report(told[0], rollout.records, date(2026, 1, 1), told[1])
    then, now = report.partition("At the day's end")[2].split("\nNow (")
    assert then.startswith(" (phase C, 2026-01-02 00:05 UTC):")
    assert "96 of 288 windows met in a row" in then
    assert "100 of 288 windows met in a row" in now


def test_an_incident_that_was_open_at_the_days_end_is_named_where_it_is_closed_now() -> None:
    ledger = LedgerBuilder().phase_change("off", "B", at="2026-01-01T00:00:00Z")
    ledger.incident("opened", "i1", slos=["failure_rate"], at="2026-01-01T09:00:00Z")
    ledger.incident("cancelled", "i1", at="2026-01-02T09:00:00Z")
    seen = survey(ledger=ledger, as_of=FIRST + timedelta(days=2))
    told = [daily_report(seen, ledger.records(), day) for day in (DAY - timedelta(days=1), DAY)]
    assert ["Open at the day's end: i1, since 2026-01-01 09:00 UTC." in report for report in told] == [True, False]
    assert "- 09:00 incident `i1` cancelled: seen" in told[1]


def test_a_day_that_is_not_over_has_no_end_yet() -> None:
    ledger = LedgerBuilder().phase_change("off", "B")
    ledger.incident("opened", "i1", slos=["failure_rate"], at="2026-01-02T09:00:00Z")
    report = daily_report(survey(ledger=ledger), ledger.records(), DAY)
    assert "**Open: i1**" in report
    assert "the day's end" not in report


@pytest.mark.parametrize("text", ["| a | b", "<img src=x>", "[x](http://h.example)", "**b**", "a\n# Title", "\u202ea"])
def test_what_people_wrote_is_shown_and_not_read_as_markup(text: str) -> None:
    ledger = LedgerBuilder().phase_change("off", "B", at="2026-01-01T00:00:00Z")
    data = {"from": "B", "to": "C", "by": text, "reason": text, "without_gate": True}
    ledger.record("phase_change", data, at="2026-01-02T10:00:00Z")
    made = MarkdownIt("commonmark").enable("table").render(daily_report(survey(ledger=ledger), ledger.records(), DAY))
    assert made.count("<h1>") == 1
    assert "<img" not in made
    assert "<a " not in made
    assert "\u202e" not in made
    assert made.count("<strong>") == 1


def test_the_same_survey_gives_the_same_bytes() -> None:
    values = [{"save_latency_p95": 9.0}, {"failure_rate": None}, {}]
    first, again = (daily_report(survey(values), (), DAY) for _ in range(2))
    assert first == again


def test_the_command_writes_yesterdays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollout = Rollout(tmp_path, "C")
    rollout.enter()
    rollout.batches(*["met"] * 97)
    rollout.check()
    where = [f"--logs={rollout.logs}", f"--ledger={rollout.ledger}", f"--policy={rollout.policy}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys,
            "argv",
            ["phasegate", "report", "--daily", *where, f"--as-of={iso(closed(97))}", f"--reports={tmp_path}"],
        )
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    report = (tmp_path / "daily" / "2026-01-01.md").read_text(encoding="utf-8")
    assert rows(report)["ok"] == ["96", "0"]
    assert report.strip() in capsys.readouterr().out
