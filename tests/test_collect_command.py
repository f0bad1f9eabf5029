"""`phasegate collect` as it is typed: what it seals, what it says, and with which exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from checker.ledger.append import Draft, writing
from checker.windows import iso, stamp
from tests.batches import FIRST, WINDOW, closed, start_of
from tests.chat_server import TOKEN, ChatServer, serving
from tests.commands import Done, phasegate
from tests.looping import Project, events_of, make_project, save

Run = Callable[..., Done]
AT = FIRST + WINDOW + timedelta(seconds=3)


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with serving(ChatServer()) as server:
        yield server


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return lambda *arguments: phasegate(capsys, *arguments)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    made.append(save(FIRST, 1), save(FIRST, 2))
    return made


def collect(run: Run, project: Project, *options: str, at: object = AT) -> Done:
    return run("collect", f"--policy={project.policy}", f"--as-of={iso(at)}", *options)  # type: ignore[arg-type]


def test_it_seals_the_window_that_has_just_ended(run: Run, project: Project) -> None:
    done = collect(run, project, "--window=15m", "--phase=B")
    assert done.code == 0
    assert done.out == "sealed 20260101T000000Z: 2 events, 0 copies, 0 quarantined, 3.0 s after its end\n"
    assert [event["event"] for event in events_of(project.logs / f"{stamp(FIRST)}.jsonl")][-1] == "collector.latency"
    again = collect(run, project)
    assert (again.code, again.out) == (0, "")
    assert "nothing to seal" in again.err


def test_it_says_each_window_on_a_line_where_nobody_watches(run: Run, project: Project) -> None:
    collect(run, project)
    done = collect(run, project, at=start_of(5) + timedelta(seconds=1))
    assert [line.split(":")[0] for line in done.out.splitlines()] == [
        f"sealed {stamp(start_of(number))}" for number in range(1, 5)
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--window=5m"], "--window 5m: the policy's windows are 15m; leave it out"),
        (["--window=soon"], "'soon' is no duration such as 30s, 15m or 24h"),
        (["--phase=D"], "there is no phase 'D'; the policy has A, B, C"),
        (["--simulate-failure=gateway"], "there is no source 'gateway'; the policy has app"),
    ],
)
def test_a_wrong_call(run: Run, project: Project, options: list[str], told: str) -> None:
    done = collect(run, project, *options)
    assert done.code == 2
    assert told in done.err
    assert not project.logs.exists()


def test_a_policy_without_a_source_has_nothing_to_collect(run: Run, project: Project) -> None:
    text = project.policy.read_text()
    start = text.index("  sources:\n")
    project.policy.write_text(text[:start])
    done = collect(run, project)
    assert done.code == 2
    assert "the policy has no source, so there is nothing to collect; declare where telemetry comes from" in done.err


def test_sealed_without_a_source(run: Run, project: Project) -> None:
    done = collect(run, project, "--simulate-failure=app")
    assert done.code == 4
    assert "WITHOUT app" in done.out
    assert "source app: pretended to fail, for a rehearsal; its lines come with a later batch" in done.err
    later = collect(run, project, at=start_of(2) + timedelta(seconds=1))
    assert "2 events" in later.out  # they come late, and none is lost


@pytest.mark.parametrize("name", ["out.jsonl", "TS.jsonl"])
def test_a_copy(run: Run, project: Project, name: str) -> None:
    output = project.root / "reports" / "monitoring" / name
    collect(run, project, f"--output={output}")
    copy = output.with_name(name.replace("TS", stamp(FIRST)))
    assert copy.read_bytes() == (project.logs / f"{stamp(FIRST)}.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("phase", "notice", "channel"),
    [("A", "autosave-warn", "#autosave-rollout"), ("B", "autosave-incident", "#incident-autosave")],
)
def test_a_simulated_latency_reaches_slack(
    run: Run, project: Project, chat: ChatServer, monkeypatch: pytest.MonkeyPatch,
    phase: str, notice: str, channel: str,
) -> None:  # fmt: skip
    """The design's rehearsal: 180 s are a warning in A, and a violation in B."""
    monkeypatch.setenv("PHASEGATE_SLACK_TOKEN", TOKEN)
    monkeypatch.setenv("PHASEGATE_SLACK_API", chat.api)
    project.append(*(save(FIRST, number, phase) for number in range(3, 9)))
    with writing(project.root / "ledger" / "autosave.jsonl") as writer:
        writer.append([Draft("phase_change", phase, {"from": "off", "to": phase, "by": "Ada", "reason": "x"})], FIRST)
    assert collect(run, project, "--window=15m", "--simulate-latency=180s").code == 0
    seal = events_of(project.logs / f"{stamp(FIRST)}.jsonl")[-1]
    assert (seal["latency_ms"], seal["simulated"], seal["phase"]) == (180_000, True, phase)
    common = (f"--policy={project.policy}", f"--as-of={iso(closed(1))}")
    run("check", f"--phase={phase}", "--record", *common)
    run("report", *common)
    (message,) = (message for message in chat.messages if notice in json.dumps(message))
    assert chat.channels[channel.removeprefix("#")] == message["channel"]
    assert "collector" in message["text"]


def test_run_once(run: Run, project: Project) -> None:
    """One pass: the window that has ended is sealed, what is closed is judged and told."""
    with writing(project.root / "ledger" / "autosave.jsonl") as writer:
        writer.append([Draft("phase_change", "B", {"from": "off", "to": "B", "by": "Ada", "reason": "x"})], FIRST)
    collect(run, project)
    project.append(save(start_of(1), 3))
    common = (f"--policy={project.policy}", f"--as-of={iso(start_of(2) + timedelta(seconds=2))}")
    done = run("run", "--once", *common)
    sealed, judged = done.out.splitlines()
    assert (done.code, judged) == (0, "judged 2026-01-01T00:00:00Z: ok, hold")
    assert sealed.startswith("sealed 20260101T001500Z: 1 events, 0 copies, 0 quarantined, 2.")
    assert project.state.decided[FIRST].outcome == "ok"
