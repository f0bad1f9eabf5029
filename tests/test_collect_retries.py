"""A source that fails is tried again beside the cycles; one that is given up is said to be, once."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from checker.alarms import GivenUp, record_given_up
from checker.collector.retry import Failing, failed_again, failed_in_cycle, failing_document, failing_of
from checker.collector.station import Station
from checker.pipeline import Request
from checker.policy.collecting import FilesRule
from checker.windows import iso
from tests.batches import FIRST, WINDOW, closed, start_of
from tests.collectors import SOON, Bench, save
from tests.rollouts import Rollout

PAUSES = [timedelta(seconds=seconds) for seconds in (30, 60, 120, 240)]
SOURCES = (FilesRule("app", paths=("telemetry/*.jsonl",)), FilesRule("gw", paths=("gw/*.jsonl",)))
SEALED = FIRST + WINDOW + SOON
DUE = [SEALED + timedelta(seconds=seconds) for seconds in (30, 90, 210, 450)]


def test_the_table_of_retries() -> None:
    item = failed_in_cycle(None, "gw", SEALED, "down")
    for number, due in enumerate(DUE):
        assert item.next_at(PAUSES) == due
        assert not item.is_exhausted
        item = failed_again(item, due, f"down {number}", PAUSES)
    assert (item.is_exhausted, item.retries, item.next_at(PAUSES), item.reason) == (True, 4, None, "down 3")
    assert item.since == SEALED
    assert failing_of(json.loads(json.dumps(failing_document({"gw": item})))) == {"gw": item}


def test_a_cycle_between_does_not_begin_the_series_anew() -> None:
    item = failed_again(failed_in_cycle(None, "gw", SEALED, "down"), DUE[0], "down", PAUSES)
    between = failed_in_cycle(item, "gw", DUE[0] + SOON, "still down")
    assert (between.retries, between.next_at(PAUSES), between.reason) == (1, DUE[1], "still down")


@pytest.mark.parametrize("is_told", [True, False])
def test_after_the_last_one_a_cycle_begins_a_new_series_once_it_was_told(is_told: bool) -> None:
    item = Failing("gw", SEALED, DUE[-1], "down", 4, is_exhausted=True, is_told=is_told)
    after = failed_in_cycle(item, "gw", DUE[-1] + SOON, "down")
    assert (after.retries, after.is_exhausted) == ((0, False) if is_told else (4, True))


class Down(Bench):
    """A collector whose source `gw` cannot be read."""

    def sealed(self) -> Station:
        """After the first cycle."""
        self.sources = SOURCES
        self.append(save(FIRST, "a"))
        self.cycle(0)
        return self.station()

    def at(self, instant: datetime) -> list[str]:
        """What a run at `instant` gives up."""
        self.now = instant
        return [item.source for item in self.station().try_again()]

    @property
    def said(self) -> list[dict[str, object]]:
        """What the collector has said so far."""
        path = self.logs / "collector" / "said.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def failures(self) -> list[dict[str, object]]:
        """The file for people."""
        path = self.root / "reports" / "monitoring" / "retry_failures.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_given_up_after_the_fourth(tmp_path: Path) -> None:
    bench = Down(tmp_path)
    bench.sealed()
    for due in DUE[:3]:
        assert bench.at(due - timedelta(seconds=1)) == []
        assert bench.at(due) == []
    assert bench.at(DUE[3]) == ["gw"]
    assert bench.at(DUE[3] + SOON) == []
    (event,) = bench.said
    assert event == {
        "schema_version": 1, "ts": iso(DUE[3]), "event": "collector.retry_exhausted", "phase": "B", "source": "gw",
        "attempts": 4,
    }  # fmt: skip
    (failure,) = bench.failures
    assert failure == {
        "at": iso(DUE[3]), "target": "autosave", "source": "gw", "failing_since": iso(SEALED), "attempts": 4,
        "reason": "no file matches gw/*.jsonl; expected one that events are appended to",
    }  # fmt: skip
    bench.cycle(1)
    assert [line["event"] for line in bench.events(1)] == ["collector.retry_exhausted", "collector.latency"]
    bench.cycle(2)
    assert [line["event"] for line in bench.events(2)] == ["collector.latency"]  # in one batch


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_one_that_comes_back_is_forgotten(tmp_path: Path, retries: int) -> None:
    bench = Down(tmp_path)
    bench.sealed()
    for due in DUE[:retries]:
        bench.at(due)
    (tmp_path / "gw").mkdir()
    bench.append(save(FIRST, "late"), path=tmp_path / "gw" / "1.jsonl")
    assert bench.at(DUE[retries]) == []
    assert bench.station().next_retry() is None
    assert (bench.said, bench.failures) == ([], [])
    bench.cycle(1)
    assert bench.ids()["late"] == 1  # what a retry read is read again, for the batch


def test_one_that_a_cycle_can_read_again_is_forgotten(tmp_path: Path) -> None:
    bench = Down(tmp_path)
    bench.sealed()
    (tmp_path / "gw").mkdir()
    bench.append(save(FIRST, "late"), path=tmp_path / "gw" / "1.jsonl")
    bench.cycle(1)
    assert bench.station().next_retry() is None


@pytest.mark.parametrize("kept", ["nothing", "said", "said torn", "both"])
def test_cut_off_while_it_says_so_it_says_so_once(tmp_path: Path, kept: str) -> None:
    """Killed after the retry was noted, and before, between or after the two files were written."""
    bench = Down(tmp_path)
    bench.sealed()
    for due in DUE:
        bench.at(due)
    said, failures = bench.logs / "collector" / "said.jsonl", tmp_path / "reports/monitoring/retry_failures.jsonl"
    state = bench.logs / "collector" / "failures.json"
    state.write_text(state.read_text().replace('"is_told": true', '"is_told": false'))
    if kept in ("nothing", "said", "said torn"):
        failures.unlink()
    if kept == "nothing":
        said.unlink()
    if kept == "said torn":
        said.write_bytes(said.read_bytes()[:-20])
    assert bench.at(DUE[3] + SOON) == ["gw"]
    assert (len(bench.said), len(bench.failures)) == (1, 1)
    assert bench.at(DUE[3] + 2 * SOON) == []


def test_it_is_an_incident_at_once_and_not_again_with_its_batch(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path)
    rollout.enter()
    rollout.batches("met")
    rollout.check(1)
    at = start_of(1) + timedelta(minutes=7)
    request = Request("B", at, rollout.logs, rollout.ledger)
    told = record_given_up(rollout.governed, request, lambda: at, [GivenUp("gw", at, 4)])
    assert told == ("source gw given up after 4 retries: an incident",)
    (incident,) = rollout.state.incidents
    assert (incident.cause, incident.opened_at, incident.rollback_required) == ("retry_exhausted", at, False)
    (notice,) = (notice for notice in rollout.state.notices if notice.outcome == "violation")
    assert "collector.retry_exhausted" in notice.text
    assert record_given_up(rollout.governed, request, lambda: at, [GivenUp("gw", at, 4)]) == ()
    exhausted = {"schema_version": 1, "ts": iso(at), "event": "collector.retry_exhausted", "phase": "B", "source": "gw",
                 "attempts": 4}  # fmt: skip
    rollout.batches("met", extra={1: [exhausted]})
    rollout.check(2)
    (incident,) = rollout.state.incidents
    assert incident.exhausted == {start_of(1)}
    assert len([notice for notice in rollout.state.notices if notice.outcome == "violation"]) == 1


def test_with_no_measurement_it_is_told_without_a_template(tmp_path: Path) -> None:
    rollout = Rollout(tmp_path)
    rollout.enter()
    at = closed(1)
    request = Request("nonsense", at, tmp_path / "no" / "logs", rollout.ledger)
    record_given_up(rollout.governed, request, lambda: at, [GivenUp("gw", at, 4)])
    (notice,) = rollout.state.notices
    assert "incident" in notice.text
    assert rollout.state.open_incident is not None
