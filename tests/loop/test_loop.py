"""The loop, for real and on a fast clock: it seals, judges and tells; it renews its policy; it stops when told to."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from checker.windows import stamp, windows_between
from tests.batches import FIRST, WINDOW, start_of
from tests.looping import PATIENT, Project, application, eventually, looping, make_project, save
from tests.test_heartbeat import VARIABLE, address, listening

SPEED = 900.0  # a window a second
BEGIN = FIRST - timedelta(minutes=1)
MUTE = ('  channel: "#autosave-rollout"      # the loop\'s own warnings\n', "")


def saves(project: Project, duration_ms: float = 500.0) -> Callable[[datetime, datetime], None]:
    """An application that completes a save every 10 s."""

    def write(since: datetime, until: datetime) -> None:
        step = timedelta(seconds=10)
        starts = [window.start for window in windows_between(since, until, step)]
        project.append(*(save(at, int(at.timestamp()), duration_ms=duration_ms) for at in starts))

    return write


def test_it_seals_judges_tells_and_stops(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT)
    project.append(save(BEGIN, 1))
    with looping(project, BEGIN, SPEED, "--phase=B") as loop, application(loop, saves(project)):
        loop.wait_for("^judged .*: ok, hold", 2)
        assert loop.stop() == 0
        assert loop.lines[-1] == "stopped"
    assert not [line for line in loop.lines if "error" in line or "fault" in line]
    names = sorted(path.name for path in project.logs.glob("*.jsonl"))
    assert names == [f"{stamp(start_of(number - 1))}.jsonl" for number in range(len(names))]  # none is missing
    decided = project.state.decided
    assert {window.outcome for window in decided.values()} == {"ok"}
    assert [notice.notice for notice in project.state.notices if notice.outcome == "ok"] == ["autosave-ok"]  # once
    assert (project.root / "reports" / "monitoring" / "dashboard.html").exists()
    ids = [event["request_id"] for events in project.batches().values() for event in events if "request_id" in event]
    assert len(ids) == len(set(ids)) >= 150


def test_its_pages_tell_how_it_is(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT)
    project.append(save(BEGIN, 1))
    listen = "127.0.0.1:19464"
    with looping(project, BEGIN, SPEED / 4, "--phase=B", f"--listen={listen}") as loop:
        with application(loop, saves(project)):
            loop.wait_for("^judged .*: ok", 1)

            def page(name: str) -> httpx.Response:
                return httpx.get(f"http://{listen}{name}", trust_env=False)

            eventually(lambda: 'status="ok",target="autosave"} 1.0' in page("/metrics").text, "the verdict is told")
            health, metrics = page("/healthz"), page("/metrics").text
            assert page("/").status_code == 404
        assert (health.status_code, health.json()["healthy"], health.json()["target"]) == (200, True, "autosave")
        assert 'phasegate_slo_status{phase="B",slo="save_latency_p95",status="ok",target="autosave"} 1.0' in metrics
        assert 'phasegate_slo_value{phase="B",slo="save_latency_p95",target="autosave"} 0.5' in metrics
        for name in ("cycle_lag_seconds", "outbox_notices", "quarantined_lines_total", "verdict_age_seconds"):
            assert f'phasegate_{name}{{target="autosave"}}' in metrics
        assert loop.stop(signal.SIGINT) == 0


def test_a_broken_policy_is_refused_and_a_sound_one_taken_over(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT)
    project.append(save(BEGIN, 1))
    with looping(project, BEGIN, SPEED / 3, "--phase=B") as loop, application(loop, saves(project, 1_900.0)):
        loop.wait_for("^judged .*: warn", 1)
        project.replace("threshold: {A: 2.5, B: 2.0, C: 1.8}", "threshold: {A: 2.5, B: 2.0}")
        (refused,) = loop.wait_for("^the policy on the disk is refused, the old one stays: ")
        assert "policy/policy.yaml:" in refused
        loop.wait_for("^judged .*: warn", 2)  # the old one goes on
        project.replace("threshold: {A: 2.5, B: 2.0}", "threshold: {A: 2.5, B: 1.9, C: 1.8}")
        loop.wait_for("^goes by the changed policy from now on")
        loop.wait_for("^judged ", len([line for line in loop.lines if line.startswith("judged ")]) + 1)
        assert loop.stop() == 0
    (told,) = (notice for notice in project.state.notices if notice.outcome == "health")
    assert "policy" in told.text
    assert "refused" in told.text


def test_one_at_a_time(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT, MUTE)
    project.append(save(BEGIN, 1))
    with (
        looping(project, BEGIN, SPEED, "--phase=B") as loop,
        pytest.raises(AssertionError, match="another loop of autosave is running"),
        looping(project, BEGIN, SPEED, "--phase=B"),
    ):
        raise ValueError("both run")
    assert loop.process.returncode is not None


def test_an_address_that_is_taken_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT, MUTE)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(AssertionError, match="cannot listen there: Address already in use; name another address"),
        looping(project, BEGIN, SPEED, f"--listen=127.0.0.1:{taken.getsockname()[1]}"),
    ):
        raise ValueError("it runs")
    assert not project.logs.exists() or not list(project.logs.glob("*.jsonl"))


def test_after_downtime_it_catches_up_in_order_and_tells_once(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT)
    writes = saves(project)
    writes(FIRST - WINDOW, BEGIN)
    with looping(project, BEGIN, SPEED, "--phase=B") as loop:
        loop.wait_for("^judged .*: ok", 1)
        loop.stop()
    sealed = len(list(project.logs.glob("*.jsonl")))
    writes(FIRST, start_of(40))
    begin = start_of(40) + timedelta(seconds=1)
    with looping(project, begin, 1.0, "--phase=B") as loop:
        lines = loop.wait_for("^sealed ", 40 - sealed)
        loop.stop()
    assert lines == sorted(lines)  # in the order of the windows
    assert [line.rsplit(", ", 1)[-1] for line in lines[:2]] == [f"{39 - sealed + 1} to go", f"{38 - sealed + 1} to go"]
    for number in range(sealed + 1, 39):  # the first has what is late for those that were sealed before
        events = project.batches()[f"{stamp(start_of(number - 1))}.jsonl"]
        assert sum("request_id" in event for event in events) == 90, number


def test_each_verdict_is_pinged_and_silence_is_told(tmp_path: Path) -> None:
    """A switch outside hears of verdicts alone; half an hour without one is a warning to people."""
    project = make_project(tmp_path, PATIENT)
    project.append(save(BEGIN, 1))
    with (
        listening() as switch,
        looping(project, BEGIN, SPEED / 2, "--phase=B", environ={VARIABLE: address(switch)}) as loop,
    ):
        with application(loop, saves(project)):
            loop.wait_for("^judged .*: ok", 2)
        pinged = switch.pings
        assert pinged >= 2
        loop.wait_for("^judged .*: no_data", 2)
        loop.wait_for("^has had no verdict since ")
        eventually(lambda: any(notice.outcome == "health" for notice in project.state.notices), "people are told")
        loop.stop()
    verdicts = [line for line in loop.lines if line.startswith("judged ") and "no_data" not in line]
    assert switch.pings == len(verdicts)
    (notice,) = (notice for notice in project.state.notices if notice.outcome == "health" and "verdict" in notice.text)
    assert "no verdict since" in notice.text
