"""Approvals of an advance and of an incident in a signed phase: what counts, what is refused, and where it is told."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checker.cli import main
from checker.governance.approval_subjects import Terms, advance_payload, incident_payload
from checker.governance.signatures import sign
from checker.ledger.append import Draft
from checker.pipeline import approvals_that_count
from checker.windows import iso
from tests.batches import closed
from tests.commands import Done
from tests.flows.test_record import changed_policy
from tests.rollouts import Rollout
from tests.signing import Key, listing, make_key

COMMITTEE = "Governance committee"
ROLE = f"--role={COMMITTEE}"
WINDOWS = 5  # met: the gate asks for an hour


@dataclass
class Stage:
    """A rollout in a signed phase, with the keys of its people."""

    rollout: Rollout
    keys: Mapping[str, Key]
    capsys: pytest.CaptureFixture[str]

    @property
    def now(self) -> datetime:
        """A minute after the newest batch's window was closed."""
        return closed(len(self.rollout.kinds)) + timedelta(minutes=1)

    @property
    def signers(self) -> Path:
        """The project's allowed_signers."""
        return self.rollout.policy.parent / "allowed_signers"

    def run(self, command: str, *more: str, at: datetime | None = None) -> Done:
        """Run the command as it is typed."""
        logs = [] if command == "approve" else [f"--logs={self.rollout.logs}"]
        where = [f"--policy={self.rollout.policy}", f"--ledger={self.rollout.ledger}", f"--as-of={iso(at or self.now)}"]
        self.capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["phasegate", command, *where, *logs, *more])
            patch.delenv("PHASEGATE_SIGNING_KEY", raising=False)
            with pytest.raises(SystemExit) as ended:
                main()
        captured = self.capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    def approve(self, key: str, *more: str, at: datetime | None = None) -> Done:
        """Approve for the committee, with that key."""
        return self.run("approve", ROLE, f"--by={key}", f"--key={self.keys[key].file}", *more, at=at)

    def check(self, at: datetime | None = None) -> Any:
        """The document of a check."""
        return self.run("check", "--phase=C", "--format=json", "--no-cache", at=at).document

    def forge(self, at: datetime | None = None, **data: Any) -> None:
        """Append an approval of the committee's to the ledger, past the command."""
        bound = {"subject": "advance", "judging_digest": self.rollout.governed.judging_digest}
        draft = Draft("approval", "C", {**bound, "role": COMMITTEE, "by": "gov", **data})
        self.rollout.record([draft], at or self.now)

    def words(self, until: datetime | None = None, signed: datetime | None = None) -> Terms:
        """The words of a forged approval."""
        return Terms(COMMITTEE, "gov", "", signed or self.now, until or self.now + timedelta(days=1))

    def signed(self, key: str, words: Terms, payload: bytes | None = None) -> dict[str, str]:
        """The fields of an approval that is signed with that key, of this advance where nothing else is given."""
        digest, entered = self.rollout.governed.judging_digest, self.rollout.state.entered_at
        own = advance_payload("autosave", "C", entered, digest, words)
        times = {"signed_at": iso(words.signed_at), "expires_at": iso(words.expires_at)}
        return {**times, "signature": sign(payload or own, self.keys[key].file)}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Key]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder, name) for name in ("gov", "sre", "mallory")}


@pytest.fixture
def stage(tmp_path: Path, keys: dict[str, Key], capsys: pytest.CaptureFixture[str]) -> Stage:
    """Phase C, whose gate asks for an hour and has passed."""
    policy = changed_policy(
        tmp_path / "p", "{hours: 72, max_incident_notices: 0}", "{hours: 1, max_incident_notices: 0}"
    )
    stage = Stage(Rollout(tmp_path, "C", policy), keys, capsys)
    stage.signers.write_bytes(
        listing({"governance@autosave.example,gov": keys["gov"], "sre@autosave.example": keys["sre"]})
    )
    stage.rollout.enter()
    stage.rollout.batches(*["met"] * WINDOWS)
    return stage


def test_a_signed_approval_lets_it_advance(stage: Stage) -> None:
    assert stage.check()["approvals_missing"] == [COMMITTEE]
    done = stage.approve("gov", "--reason=three good days")
    assert (done.code, done.out) == (
        0,
        "approved: Governance committee, the advance out of C; all approvals are there (record 2)\n",
    )
    data = stage.rollout.records[-1].data
    assert (data["by"], data["reason"], data["signed_at"]) == ("gov", "three good days", iso(stage.now))
    assert data["expires_at"] == iso(stage.now + timedelta(days=30))
    document = stage.check()
    assert (document["decision"], document["approvals_missing"]) == ("advance", [])
    assert stage.approve("gov").out.endswith("already; nothing was recorded\n")
    assert stage.run("advance", "--phase=C", "--by=Ada").code == 0
    assert stage.rollout.state.phase == "complete"


def test_without_a_key_nothing_is_recorded(stage: Stage) -> None:
    before = stage.rollout.ledger.read_bytes()
    done = stage.run("approve", ROLE, "--by=gov")
    assert (done.code, stage.rollout.ledger.read_bytes()) == (2, before)
    assert "must be signed (governance.signed_phases); give your SSH key with --key FILE" in done.err


@pytest.mark.parametrize(
    ("key", "more", "code", "told"),
    [
        ("mallory", (), 1, "is signed with a key that policy/allowed_signers does not list"),
        ("sre", (), 1, "the key is that of sre@autosave.example, who may not speak for 'Governance committee'"),
        ("gov", ("--expires=31d",), 2, "governance.valid_for allows until"),
        ("gov", ("--expires=soon",), 2, "'soon' is no duration"),
        ("gov", ("--phase=B",), 1, "the current phase is C"),
    ],
)
def test_what_would_not_count_is_not_recorded(
    key: str, more: tuple[str, ...], code: int, told: str, stage: Stage
) -> None:
    before = stage.rollout.ledger.read_bytes()
    done = stage.approve(key, *more)
    assert (done.code, told in done.err) == (code, True), done.err
    assert stage.rollout.ledger.read_bytes() == before


def test_the_key_may_be_named_by_the_environment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["phasegate", "approve", ROLE, "--by=gov", f"--policy={stage.rollout.policy}"]
    monkeypatch.setattr(sys, "argv", [*typed, f"--ledger={stage.rollout.ledger}", f"--as-of={iso(stage.now)}"])
    monkeypatch.setenv("PHASEGATE_SIGNING_KEY", str(stage.keys["gov"].file))
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert stage.rollout.records[-1].data["signature"].startswith("-----BEGIN SSH SIGNATURE-----\n")


Forge = Callable[[Stage], Mapping[str, Any]]
OTHER = "f" * 64
FORGED: dict[str, tuple[Forge, str]] = {
    "unsigned": (lambda _: {}, "it is not signed; approve again, with --key FILE"),
    "with another's key": (
        lambda stage: stage.signed("mallory", stage.words()),
        "is signed with a key that policy/allowed_signers does not list",
    ),
    "with a key of another role": (
        lambda stage: stage.signed("sre", stage.words()),
        "the key is that of sre@autosave.example, who may not speak for 'Governance committee'",
    ),
    "by another name": (
        lambda stage: {**stage.signed("gov", stage.words()), "by": "Ada"},
        "the signature does not fit",
    ),
    "with another reason": (
        lambda stage: {**stage.signed("gov", stage.words()), "reason": "why not"},
        "the signature does not fit",
    ),
    "prolonged": (
        lambda stage: {**stage.signed("gov", stage.words()), "expires_at": iso(stage.now + timedelta(days=2))},
        "the signature does not fit",
    ),
    "of another target": (
        lambda stage: stage.signed(
            "gov",
            stage.words(),
            advance_payload(
                "checkout", "C", stage.rollout.state.entered_at, stage.rollout.governed.judging_digest, stage.words()
            ),
        ),
        "the signature does not fit",
    ),
    "of another phase": (
        lambda stage: stage.signed(
            "gov",
            stage.words(),
            advance_payload(
                "autosave", "B", stage.rollout.state.entered_at, stage.rollout.governed.judging_digest, stage.words()
            ),
        ),
        "the signature does not fit",
    ),
    "of another policy": (
        lambda stage: stage.signed(
            "gov",
            stage.words(),
            advance_payload("autosave", "C", stage.rollout.state.entered_at, OTHER, stage.words()),
        ),
        "the signature does not fit",
    ),
    "of an incident": (
        lambda stage: stage.signed("gov", stage.words(), incident_payload("autosave", "incident-1", stage.words())),
        "the signature does not fit",
    ),
    "expired": (
        lambda stage: stage.signed("gov", stage.words(until=stage.now, signed=stage.now - timedelta(hours=1))),
        "expired at",
    ),
    "no signature": (
        lambda stage: {**stage.signed("gov", stage.words()), "signature": "trust me"},
        "is no SSH signature",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_was_written_past_the_command_does_not_count(name: str, stage: Stage) -> None:
    make, why = FORGED[name]
    stage.forge(**make(stage))
    document = stage.check()
    assert (document["decision"], document["approvals_missing"]) == ("hold", [COMMITTEE])
    counted = approvals_that_count(stage.rollout.governed, stage.rollout.state, stage.now)
    assert counted.roles == frozenset()
    assert str(counted.refused[COMMITTEE]).startswith(why)
    refused = stage.run("advance", "--phase=C", "--by=Ada")
    assert refused.code == 1
    assert f"approval of {COMMITTEE} is missing (one was given, and does not count: {why}" in refused.err
    assert stage.approve("gov").code == 0  # a good one counts beside it
    assert stage.check()["decision"] == "advance"


def test_it_is_told_why(stage: Stage) -> None:
    stage.forge()
    told = f"approval of {COMMITTEE} is missing (one was given, and does not count: it is not signed"
    for command, more in (("check", ("--phase=C",)), ("status", ())):
        said = " ".join(stage.run(command, *more, "--no-cache").out.split())
        assert told in said, said
    assert "without-gate" not in stage.run("advance", "--phase=C", "--by=Ada").err
    broken = stage.run("advance", "--phase=C", "--by=Ada", "--without-gate", "--reason=now")
    assert (broken.code, told in broken.err) == (1, True)


def test_an_approval_is_of_one_stay_in_the_phase(stage: Stage) -> None:
    """Copied into the ledger again after a rollback and a new entry, it is of something else."""
    assert stage.approve("gov").code == 0
    copied = dict(stage.rollout.records[-1].data)
    moves = (("rollback", "B"), ("phase_change", "C"))
    rollback = {"event": "ended", "from": "C", "to": "B", "incident": None, "by": "Ada", "reason": "x"}
    entered = {"from": "B", "to": "C", "by": "Ada", "reason": "x"}
    for (kind, phase), data in zip(moves, (rollback, entered), strict=True):
        stage.rollout.record([Draft(kind, phase, data)], stage.now)
    stage.rollout.record([Draft("approval", "C", copied)], stage.now)
    state = stage.rollout.state
    given = state.approvals_of_advance(stage.rollout.governed.judging_digest)
    assert [row.role for row in given] == [COMMITTEE]
    counted = approvals_that_count(stage.rollout.governed, state, stage.now)
    assert "the signature does not fit" in counted.refused[COMMITTEE]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda stage: stage.signers.unlink(), "policy/allowed_signers is missing or empty"),
        (lambda stage: stage.signers.write_text(""), "policy/allowed_signers is missing or empty"),
        (
            lambda stage: (stage.signers.unlink(), os.mkfifo(stage.signers)),
            "policy/allowed_signers: is a named pipe; only a regular file is read: put the file itself there",
        ),
        (lambda stage: stage.signers.write_text("what is this\n"), "is signed with a key that"),
        (lambda stage: stage.signers.write_bytes(b"x" * 3_000_000), "policy/allowed_signers: is larger than"),
        (
            lambda stage: stage.signers.write_text(
                stage.keys["gov"].line("governance@autosave.example", 'valid-before="20260101"')
            ),
            "policy/allowed_signers:1: key has expired",
        ),
        (
            lambda stage: (stage.signers.rename(stage.signers.with_name("s")), stage.signers.symlink_to("s")),
            "policy/allowed_signers: is a link",
        ),
    ],
)
def test_signers_that_changed_since(change: Callable[[Stage], object], why: str, stage: Stage) -> None:
    assert stage.approve("gov").code == 0
    assert stage.check()["decision"] == "advance"
    change(stage)
    assert stage.check()["decision"] == "hold"
    counted = approvals_that_count(stage.rollout.governed, stage.rollout.state, stage.now)
    assert counted.refused[COMMITTEE].startswith(why)


@pytest.mark.parametrize(
    ("later", "decision"), [(timedelta(hours=1, seconds=-1), []), (timedelta(hours=1), [COMMITTEE])]
)
def test_it_holds_until_it_expires(later: timedelta, decision: list[str], stage: Stage) -> None:
    assert stage.approve("gov", "--expires=1h").code == 0
    assert stage.check(at=stage.now + later)["approvals_missing"] == decision


def test_an_unreadable_list_of_signers_holds_up_no_rollback(stage: Stage) -> None:
    assert stage.approve("gov").code == 0
    stage.signers.unlink()
    stage.signers.symlink_to("/dev/zero")
    stage.rollout.batches("violation")
    document = stage.check()
    assert (document["decision"], document["rollback_required"]) == ("rollback", True)


def test_other_phases_ask_for_no_signature(
    tmp_path: Path, keys: dict[str, Key], capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = Rollout(tmp_path, "B")
    rollout.enter()
    rollout.batches("met")
    stage = Stage(rollout, keys, capsys)
    done = stage.run("approve", "--role=SRE", "--by=Ada", f"--key={keys['mallory'].file}")
    assert done.code == 0
    assert "signature" not in rollout.records[-1].data
    assert stage.run("check", "--phase=B", "--format=json", "--no-cache").document["approvals_missing"] == []


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--expires=1h"], "--expires: an approval that is not signed does not expire"),
        (["--digest=0123456789ab"], "--digest: says what was reviewed of a change; give its --base as well"),
    ],
)
def test_what_an_unsigned_approval_would_not_keep_is_refused(
    more: list[str], told: str, tmp_path: Path, keys: dict[str, Key], capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = Rollout(tmp_path, "B")
    rollout.enter()
    stage = Stage(rollout, keys, capsys)
    before = len(rollout.records)
    done = stage.run("approve", "--role=SRE", "--by=Ada", *more)
    assert (done.code, told in done.err) == (2, True)
    assert len(rollout.records) == before


def test_an_incident_outside_of_a_signed_phase_takes_no_end(
    tmp_path: Path, keys: dict[str, Key], capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = Rollout(tmp_path, "B")
    rollout.enter()
    stage = Stage(rollout, keys, capsys)
    done = stage.run("approve", "--role=SRE", "--by=Ada", f"--incident={incident_of(stage)}", "--expires=1h")
    assert (done.code, "an approval that is not signed does not expire" in done.err) == (2, True)
    assert rollout.state.approvals == ()


def test_the_ledger_is_not_locked_while_it_is_signed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person may think for minutes before typing a passphrase; what moved on meanwhile is not approved."""

    def slow(payload: bytes, key: Path) -> str:
        signature = sign(payload, key)
        data = {"from": "C", "to": "C", "by": "Bob", "reason": "entered again"}
        stage.rollout.record([Draft("phase_change", "C", data)], stage.now)
        return signature

    monkeypatch.setattr("checker.approving.sign", slow)
    done = stage.approve("gov")
    assert (done.code, "moved on while the approval was being signed" in done.err) == (1, True)
    assert [record.kind for record in stage.rollout.records] == ["phase_change", "phase_change"]


def incident_of(stage: Stage) -> str:
    stage.rollout.batches("violation")
    stage.rollout.check()
    return stage.rollout.state.incidents[0].id


def test_an_incident_of_a_signed_phase_is_approved_with_a_signature(stage: Stage, tmp_path: Path) -> None:
    incident = incident_of(stage)
    of_it = f"--incident={incident}"
    assert stage.run("approve", ROLE, "--by=gov", of_it).code == 2
    assert stage.approve("mallory", of_it).code == 1
    bound = {"subject": "incident", "incident": incident, "judging_digest": None}
    words = stage.words()
    stage.forge(**bound)
    stage.forge(**bound, **stage.signed("gov", words))  # of an advance
    stage.forge(**bound, **stage.signed("gov", words, incident_payload("autosave", "incident-2", words)))
    page = report(stage, tmp_path, incident)
    assert "Governance committee: missing" in page
    assert stage.approve("gov", of_it).code == 0
    assert stage.approve("gov", of_it).out.endswith("already; nothing was recorded\n")
    page = report(stage, tmp_path, incident)
    assert "Governance committee: approved" in page
    late = stage.now + timedelta(days=60)  # what was approved then stays so, though the signature has expired
    assert "Governance committee: approved" in report(stage, tmp_path, incident, at=late)


def test_an_approval_recorded_under_another_phase_is_held_to_the_incidents_own(stage: Stage, tmp_path: Path) -> None:
    incident = incident_of(stage)
    data = {"subject": "incident", "role": COMMITTEE, "by": "Eve", "incident": incident}
    stage.rollout.record([Draft("approval", "B", data)], stage.now)
    assert "Governance committee: missing" in report(stage, tmp_path, incident)


def report(stage: Stage, root: Path, incident: str, at: datetime | None = None) -> str:
    """The incident's Runbook, as `report` writes it."""
    reports = root / "reports"
    stage.run("report", f"--reports={reports}", at=at)
    return (reports / "incidents" / incident / "runbook.md").read_text(encoding="utf-8")


def test_what_a_record_may_hold(stage: Stage) -> None:
    signed = stage.signed("gov", stage.words())
    for left_out in signed:
        with pytest.raises(ValueError, match=left_out):
            stage.forge(**{name: value for name, value in signed.items() if name != left_out})
    stage.forge(**signed)
    assert json.loads(stage.rollout.ledger.read_text().splitlines()[-1])["data"]["signature"] == signed["signature"]
