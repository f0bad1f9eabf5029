"""From the ledger to people: what `report` sends, writes and does, with a real server and a real release tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from checker.cli import main
from checker.ledger.append import Draft
from checker.windows import iso
from tests.batches import closed, event, start_of
from tests.chat_server import ROUTING_KEY, TOKEN, ChatServer, Fault, serving
from tests.commands import Done
from tests.flows.test_record import COUNTS, changed_policy
from tests.limits import files_of_at_most
from tests.release_tool import ReleaseTool, make_project
from tests.rollouts import POLICY, Rollout

INCIDENT = "incident-20260101T000000Z"


@dataclass
class Stage:
    """A rollout, a server that takes its messages, and the folder of its reports."""

    rollout: Rollout
    chat: ChatServer
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def reports(self) -> Path:
        return self.rollout.root / "reports"

    def slack(self, token: str = TOKEN) -> None:
        """Set the bot's token."""
        self.environment |= {"PHASEGATE_SLACK_TOKEN": token, "PHASEGATE_SLACK_API": self.chat.api}

    def run(self, command: str, *more: str, at: datetime | None = None) -> Done:
        """Run a command, by default two minutes after the newest window was closed."""
        at = at or closed(len(self.rollout.kinds)) + timedelta(minutes=2)
        where = [f"--policy={self.rollout.policy}", f"--ledger={self.rollout.ledger}", f"--as-of={iso(at)}"]
        where += [f"--logs={self.rollout.logs}"]
        where += [f"--reports={self.reports}"] if command == "report" else []
        self.capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["phasegate", command, *where, *more])
            with pytest.raises(SystemExit) as ended:
                main()
        captured = self.capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    def report(self, *more: str, minutes: int = 2) -> Done:
        return self.run("report", *more, at=closed(len(self.rollout.kinds)) + timedelta(minutes=minutes))

    def page(self, subject: str = INCIDENT) -> str:
        """The Runbook of an incident."""
        return (self.reports / "incidents" / subject / "runbook.md").read_text(encoding="utf-8")


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with serving(ChatServer()) as server:
        yield server


@pytest.fixture
def stage(
    tmp_path: Path,
    chat: ChatServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    """Phase B with an incident in its first window; no credential is set."""
    for name in ("PHASEGATE_SLACK_TOKEN", "SLACK_BOT_TOKEN", "PHASEGATE_PAGERDUTY_ROUTING_KEY"):
        monkeypatch.delenv(name, raising=False)
    return in_phase("B", ["violation"], tmp_path, chat, capsys, monkeypatch)


def in_phase(
    phase: str,
    kinds: list[str],
    root: Path,
    chat: ChatServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    policy: Path = POLICY,
    extra: Mapping[int, list[dict[str, object]]] | None = None,
) -> Stage:
    rollout = Rollout(root, phase, policy)
    rollout.enter()
    rollout.batches(*kinds, extra=extra)
    rollout.check()
    return Stage(rollout, chat, capsys, monkeypatch)


def test_without_a_credential_notices_are_kept_shown_and_told_of(stage: Stage) -> None:
    done = stage.report()
    assert done.code == 0
    assert "NOTHING WAS SENT" in done.out
    assert "🚨 AutoSave B violation" in done.out
    (kept,) = (stage.reports / "notices").iterdir()
    assert "🚨 AutoSave B violation" in kept.read_text(encoding="utf-8")
    assert stage.report(minutes=3).out == "nothing to deliver\n"


def test_slack_gets_each_notice_once_and_the_runbook_its_entry_after_it(stage: Stage) -> None:
    stage.slack()
    done = stage.report()
    assert (done.code, done.err) == (0, "")
    assert "delivered 1 notice by slack" in done.out
    assert stage.chat.ids() == ["autosave/B/20260101T000000Z/autosave-incident"]
    kinds = [(record.kind, record.data.get("notice_id", "")) for record in stage.rollout.records][-2:]
    assert kinds == [
        ("delivery", "autosave/B/20260101T000000Z/autosave-incident"),
        ("delivery", "autosave/B/20260101T000000Z/autosave-rollback"),
    ]
    assert "Rollback invoked" in stage.page()
    stage.report(minutes=3)
    assert len(stage.chat.messages) == 1


def test_the_follow_up_of_an_incident_is_in_its_thread(stage: Stage) -> None:
    stage.slack()
    stage.report()
    done = stage.run("incident", f"--cancel={INCIDENT}", "--by=Ada", "--reason=a load test")
    assert done.code == 0
    stage.report(minutes=4)
    first, second = stage.chat.messages
    assert second["thread_ts"] == first["ts"]
    assert "recovered (cancelled)" in second["text"]


def test_a_latency_of_180_s_warns_on_slack_in_a_and_is_an_incident_in_b(
    tmp_path: Path, chat: ChatServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for phase in ("A", "B"):
        seal = {"latency_ms": 180_000, "batch_start": iso(start_of(0))}
        late = event("collector.latency", start_of(1) + timedelta(minutes=3), phase, **seal, **COUNTS)
        stage = in_phase(phase, ["met"], tmp_path / phase, chat, capsys, monkeypatch, extra={0: [late]})
        stage.slack()
        assert stage.report().code == 0
    names = {channel: name for name, channel in chat.channels.items()}
    told = [(names[message["channel"]], message["text"].split(" / ")[0]) for message in chat.messages]
    assert told == [
        ("autosave-rollout", "⚠️ AutoSave A nearing limits"),
        ("incident-autosave", "🚨 AutoSave B violation"),
    ]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/api/chat.postMessage", "status", 429, "1"),
        Fault("/api/chat.postMessage", "status", 500),
        Fault("/api/chat.postMessage", "cut", takes=True),
        Fault("/api/chat.postMessage", "cut"),
    ],
    ids=["429", "500", "cut after it was taken", "cut before"],
)
def test_a_fault_that_passes_is_tried_again_in_the_same_run(stage: Stage, fault: Fault) -> None:
    stage.slack()
    stage.chat.faults = [fault]
    assert stage.report().code == 0
    assert stage.chat.ids() == ["autosave/B/20260101T000000Z/autosave-incident"]


def test_an_outage_exits_4_and_the_next_run_delivers(stage: Stage) -> None:
    stage.slack()
    stage.chat.faults = [Fault("/api/chat.postMessage", "status", 500)] * 9
    done = stage.report("--deadline=1")
    assert done.code == 4
    assert "NOT DELIVERED: autosave/B/20260101T000000Z/autosave-incident: Slack answered 500" in done.err
    assert "NOT DELIVERED: autosave/B/20260101T000000Z/autosave-rollback: waits for" in done.err
    assert "**not delivered**" in stage.page()
    stage.chat.faults = []
    assert stage.report(minutes=3).code == 0
    assert len(stage.chat.messages) == 1


def test_a_wrong_token_exits_4_and_is_not_told(stage: Stage) -> None:
    stage.slack("xoxb-wrong")
    done = stage.report()
    assert done.code == 4
    assert "Slack: invalid_auth" in done.err
    everything = done.out + done.err + stage.rollout.ledger.read_text(encoding="utf-8") + stage.page()
    assert "xoxb-wrong" not in everything


def test_a_token_that_is_missing_after_it_was_there_is_a_fault(stage: Stage) -> None:
    stage.slack()
    stage.report()
    stage.run("incident", f"--cancel={INCIDENT}", "--by=Ada", "--reason=a load test")
    stage.environment.clear()
    done = stage.report(minutes=4)
    assert done.code == 4
    assert "set PHASEGATE_SLACK_TOKEN" in done.err


def test_pagerduty_is_told_once_the_policy_names_it_and_resolved_in_the_end(
    tmp_path: Path, chat: ChatServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paged = "".join(
        f"{line}\n"
        for line in (
            "  autosave-page:",
            "    channel: pagerduty",
            "    outcome: violation",
            "    phases: [A, B, C]",
            "    template: autosave-incident.j2",
        )
    )
    policy = changed_policy(tmp_path / "p", "\nrollback:\n", f"\n{paged}\nrollback:\n")
    stage = in_phase("B", ["violation"], tmp_path, chat, capsys, monkeypatch, policy)
    stage.slack()
    stage.environment |= {"PHASEGATE_PAGERDUTY_ROUTING_KEY": ROUTING_KEY, "PHASEGATE_PAGERDUTY_API": chat.address}
    assert stage.report().code == 0
    stage.run("incident", f"--cancel={INCIDENT}", "--by=Ada", "--reason=a load test")
    assert stage.report(minutes=4).code == 0
    assert [event["event_action"] for event in chat.events] == ["trigger", "resolve"]
    assert {event["dedup_key"] for event in chat.events} == {f"phasegate/autosave/{INCIDENT}"}


def test_a_webhook_gets_what_the_policy_sends_there(
    tmp_path: Path, chat: ChatServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = '    channel: "#incident-autosave"\n    outcome: violation'
    policy = changed_policy(tmp_path / "p", old, "    channel: webhook\n    outcome: violation")
    stage = in_phase("B", ["violation"], tmp_path, chat, capsys, monkeypatch, policy)
    stage.environment |= {"PHASEGATE_WEBHOOK_URL": f"{chat.address}/hook", "PHASEGATE_WEBHOOK_SECRET": "s3cret"}
    assert stage.report().code == 0
    (call,) = chat.calls
    assert json.loads(call["body"])["incident"] == INCIDENT


def test_two_reports_at_once_send_each_notice_once(stage: Stage) -> None:
    stage.slack()
    at = closed(1) + timedelta(minutes=2)
    command = [
        sys.executable, "-m", "checker", "report", f"--ledger={stage.rollout.ledger}", f"--logs={stage.rollout.logs}",
        f"--reports={stage.reports}", f"--as-of={iso(at)}",
    ]  # fmt: skip
    running = [
        subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            env=os.environ | stage.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert stage.chat.ids() == ["autosave/B/20260101T000000Z/autosave-incident"]
    assert [notice.is_settled for notice in stage.rollout.state.notices] == [True, True]


@pytest.fixture
def executing(
    tmp_path: Path, chat: ChatServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Stage, ReleaseTool]:
    """An incident in mode `execute`, with a release tool."""
    tool = ReleaseTool(tmp_path / "tool")
    policy = make_project(tmp_path / "project", tool, mode="execute", tries="2")
    stage = in_phase("B", ["violation"], tmp_path / "run", chat, capsys, monkeypatch, policy)
    stage.slack()
    return stage, tool


def test_in_mode_execute_it_rolls_back_after_the_first_round_of_notices(executing: tuple[Stage, ReleaseTool]) -> None:
    stage, tool = executing
    done = stage.report()
    assert (done.code, len(tool.calls()), stage.rollout.state.phase) == (0, 1, "A")
    assert "B → A: ended" in done.out
    told = [
        f"{record.kind} {record.data.get('event', record.data.get('result', ''))}" for record in stage.rollout.records
    ]
    assert told.index("delivery delivered") < told.index("rollback begun")
    assert stage.report(minutes=3).out == "nothing to deliver\n"
    assert len(tool.calls()) == 1


def test_an_outage_of_slack_holds_up_no_rollback(executing: tuple[Stage, ReleaseTool]) -> None:
    stage, tool = executing
    stage.chat.faults = [Fault("/api/chat.postMessage", "status", 500)] * 9
    assert stage.report("--deadline=1").code == 4
    assert (len(tool.calls()), stage.rollout.state.phase) == (1, "A")


def test_a_rollback_that_failed_is_a_persons_next_time(
    executing: tuple[Stage, ReleaseTool], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, tool = executing
    monkeypatch.setattr("checker.reporter.rollback.execute.PAUSES_S", (0.0,))
    tool.plan("1", "1")
    assert stage.report().code == 4
    again = stage.report(minutes=3)
    assert (again.code, len(tool.calls()), stage.rollout.state.phase) == (4, 2, "B")
    assert f"NOT ROLLED BACK: {INCIDENT}: its command failed 2 times" in again.err
    assert "exit code 1" in stage.page()


def own_rollback(event: str) -> Draft:
    """A record of a rollback that `report` made of the incident."""
    data = {"event": event, "from": "B", "to": "A", "incident": INCIDENT, "by": "phasegate", "reason": "x"}
    return Draft("rollback", "B", data, id="rollback-1")


def test_tries_that_a_crash_cut_off_are_made_by_the_next_run(executing: tuple[Stage, ReleaseTool]) -> None:
    """The ledger has a first attempt that failed, and nothing after it."""
    stage, tool = executing
    stage.rollout.record([own_rollback("begun"), own_rollback("failed")], closed(1))
    assert stage.report().code == 0
    assert (len(tool.calls()), stage.rollout.state.phase) == (1, "A")


@pytest.mark.parametrize("why", ["unknown", "no phase"])
def test_a_rollback_that_waits_for_a_person_is_told_each_time(executing: tuple[Stage, ReleaseTool], why: str) -> None:
    stage, tool = executing
    if why == "unknown":
        stage.rollout.record([own_rollback("begun")], closed(1))
    else:
        stage.rollout.ledger.unlink()
        stage.rollout.check()
    for minutes in (2, 3):
        done = stage.report("--phase=B", minutes=minutes)
        assert (done.code, tool.calls()) == (4, [])
        assert f"NOT ROLLED BACK: {INCIDENT}" in done.err


def test_a_cancelled_incident_is_not_rolled_back_though_the_clock_went_back(
    executing: tuple[Stage, ReleaseTool],
) -> None:
    stage, tool = executing
    data = {"event": "cancelled", "by": "Ada", "reason": "x"}
    stage.rollout.record([Draft("incident", "B", data, id=INCIDENT)], closed(1) + timedelta(minutes=30))
    stage.report(minutes=2)
    assert tool.calls() == []


def test_a_value_that_no_page_can_show_holds_up_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a drawing library raises: people are told of the incident."""

    def stumble(*_: object, **__: object) -> str:
        raise OverflowError("cannot convert float infinity to integer")

    monkeypatch.setattr("checker.reporter.charts.svg", stumble)
    stage.slack()
    done = stage.report()
    assert done.code == 4
    assert "the dashboard is not renewed: internal error: OverflowError" in done.err
    assert len(stage.chat.messages) == 1


def test_a_third_rollback_within_24_h_waits_for_a_person(executing: tuple[Stage, ReleaseTool]) -> None:
    """`max_rollbacks` is 2: the check decides to hold, and the incident waits for a person."""
    stage, tool = executing
    for number in range(2):
        data = {"event": "ended", "from": "B", "to": "A", "incident": None, "by": "Ada", "reason": "x"}
        stage.rollout.record([Draft("rollback", "B", data, id=f"rollback-{number}")], closed(1))
    change = {"from": "A", "to": "B", "by": "Ada", "reason": "again"}
    cancelled = {"event": "cancelled", "by": "Ada", "reason": "x"}
    stage.rollout.record(
        [Draft("incident", "B", cancelled, id=INCIDENT), Draft("phase_change", "B", change)], closed(1)
    )
    stage.rollout.batches("met", "violation")
    result = stage.rollout.check().result
    assert "2 rollbacks already; a further one waits for a person" in result.decision.reasons
    assert stage.rollout.state.open_incident is not None
    done = stage.report()
    assert (done.code, tool.calls()) == (4, [])
    assert "there were 2 rollbacks already; a further one is a person's" in done.err


def test_what_cannot_be_written_is_told_and_stops_nothing_else(stage: Stage) -> None:
    stage.slack()
    stage.reports.mkdir()
    (stage.reports / "monitoring").symlink_to(stage.rollout.root)
    done = stage.report()
    assert done.code == 4
    assert "the dashboard cannot be written: the folder is a link" in done.err
    assert len(stage.chat.messages) == 1


def test_a_full_disk_sends_nothing_that_could_not_be_remembered(stage: Stage) -> None:
    """The message is sent, its receipt cannot be recorded: the run ends, and the next finds the copy."""
    stage.slack()
    with files_of_at_most(stage.rollout.ledger.stat().st_size):
        done = stage.report("--no-cache")
    assert done.code == 4
    assert "is not in the ledger: it is sent again" in done.err
    assert len(stage.chat.messages) == 1
    assert stage.report(minutes=3).code == 0
    assert len(stage.chat.messages) == 1


def test_logs_that_are_gone_hold_up_no_notice(stage: Stage) -> None:
    stage.slack()
    for batch in stage.rollout.logs.iterdir():
        batch.write_bytes(b"\xff" * 9)
    assert stage.report().code in (0, 4)
    assert len(stage.chat.messages) == 1


def test_the_dashboards_banner_is_lifted_with_the_incident(stage: Stage) -> None:
    active = []
    for minutes in (2, 4):
        stage.report(minutes=minutes)
        document = json.loads((stage.reports / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
        active.append(document["rollback_active"])
        stage.run("incident", f"--cancel={INCIDENT}", "--by=Ada", "--reason=x", at=closed(1) + timedelta(minutes=3))
    assert active == [True, False]


def test_an_empty_ledger_has_nothing_to_report(stage: Stage) -> None:
    stage.rollout.ledger.unlink()
    done = stage.run("report")
    assert done.code == 2
    assert "the ledger is empty" in done.err or "no such file" in done.err
