"""The ledger is read back whole, or refused with every fault; a torn last line is told of."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from checker.errors import LedgerInvalid
from checker.ledger.records import Ledger, parse_ledger, read_ledger
from checker.windows import parse_iso
from tests.ledgers import END_OF_TIME, LedgerBuilder, digest

W1 = "2026-01-01T00:00:00Z"
NAME = "ledger/autosave.jsonl"


def rollout() -> LedgerBuilder:
    """Five records, a minute apart: 00:00 to 00:04."""
    return (
        LedgerBuilder()
        .phase_change("off", "A")
        .decision(W1)
        .notice(window=W1, name="notice-1")
        .delivery("notice-1")
        .approval("SRE")
    )


def rewritten(line: int, **fields: Any) -> bytes:
    """The rollout with fields of one line (from 1) changed, as if by an editor; a None takes the field away."""
    lines = list(rollout().lines)
    document = json.loads(lines[line - 1]) | fields
    kept = {key: value for key, value in document.items() if key not in fields or value is not None}
    lines[line - 1] = json.dumps(kept).encode()
    return b"".join(text + b"\n" for text in lines)


def refused(content: bytes) -> str:
    with pytest.raises(LedgerInvalid) as caught:
        parse_ledger(content, NAME, END_OF_TIME)
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_a_missing_file_is_an_empty_ledger(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "autosave.jsonl", END_OF_TIME) == Ledger((), None)


def test_records_are_read_back_as_values(tmp_path: Path) -> None:
    path = rollout().write(tmp_path / "ledger" / "autosave.jsonl")
    ledger = read_ledger(path, END_OF_TIME)
    kinds = [record.kind for record in ledger.records]
    assert kinds == ["phase_change", "decision", "notice", "delivery", "approval"]
    assert [record.seq for record in ledger.records] == [1, 2, 3, 4, 5]
    assert ledger.torn is None
    second = ledger.records[1]
    assert (second.at, second.window_start) == (parse_iso("2026-01-01T00:01:00Z"), parse_iso(W1))
    assert second.data["judging_digest"] == digest("policy-1")


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        ("2025-12-31T23:59:59Z", 0),
        ("2026-01-01T00:00:00Z", 1),  # a record made at as_of exists
        ("2026-01-01T00:01:59.999999Z", 2),
        ("2026-01-01T00:02:00Z", 3),
        ("2026-01-01T01:02:00+01:00", 3),
        ("2027-01-01T00:00:00Z", 5),
    ],
)
def test_records_later_than_as_of_do_not_exist(as_of: str, expected: int) -> None:
    assert len(rollout().read(parse_iso(as_of)).records) == expected


@pytest.mark.parametrize(
    ("content", "line", "fault"),
    [
        # the chain
        (b"".join(line + b"\n" for line in rollout().lines[1:]), 1, "seq: expected 1, found 2"),
        (b"".join(line + b"\n" for line in rollout().lines[1:]), 1, f"prev: expected {'0' * 64}, found"),
        (b"".join(line + b"\n" for line in rollout().lines[:2] + rollout().lines[3:]), 3, "seq: expected 3, found 4"),
        (b"".join(line + b"\n" for line in rollout().lines[:2] + rollout().lines[1:]), 3, "seq: expected 3, found 2"),
        (rewritten(2, id="decision-x"), 3, "prev: expected"),
        (rewritten(5, prev="f" * 64), 5, f"found {'f' * 64}"),
        (rewritten(3, seq=9), 3, "seq: expected 3, found 9"),
        (rollout().content().replace(b"\n", b"\r\n"), 2, "prev: expected"),
        # time: equal is allowed, earlier is not
        (
            LedgerBuilder().pause(at="2026-01-01T00:00:01Z").resume(at="2026-01-01T00:00:00.999999Z").content(),
            2,
            "at: expected 2026-01-01T00:00:01Z or later, found 2026-01-01T00:00:00.999999Z",
        ),
        # the envelope
        (rewritten(1, schema_version=2), 1, "schema_version: expected 1, found 2"),
        (rewritten(1, kind="decison"), 1, "kind: expected one of"),
        (rewritten(1, kind="decison"), 1, "did you mean 'decision'?"),
        (rewritten(1, id=None), 1, "'id' is missing"),
        (rewritten(1, kind=None), 1, "'kind' is missing"),
        (rewritten(1, note="x"), 1, "unknown key 'note'"),
        (rewritten(1, phase=""), 1, "phase: expected at least 1 characters"),
        (rewritten(1, at="2026-01-01T00:00:00"), 1, "at: expected a UTC time such as 2026-01-02T11:45:00Z"),
        (rewritten(1, at="2026-01-01T01:00:00+01:00"), 1, "at: expected a UTC time"),
        (rewritten(1, at="2026-01-01T00:00:60Z"), 1, "at: expected a UTC time"),
        (rewritten(1, at="2026-02-30T00:00:00Z"), 1, 'at: "2026-02-30T00:00:00Z" is not a "date-time"'),
        (rewritten(2, window_start="yesterday"), 2, "window_start: expected a UTC time"),
        (rewritten(1, prev="abc"), 1, "prev: expected a SHA-256 digest of 64 hexadecimal digits"),
        # the line
        (b"[1]\n" + rollout().content(), 1, "expected a mapping, found a list of 1"),
        (b"\n" + rollout().content(), 1, "expected a JSON object, found ''"),
        (b"{}\n", 1, "'seq' is missing"),
        (rollout().content().replace(b'"by":"Ada"', b'"by":"\xff"', 1), 1, "expected a JSON object"),
        (rollout().content().replace(b'"by":', b'"by":"Eve","by":', 1), 1, "a key stands twice"),
        (rollout().content().replace(b'"by":', b'"by" :"Eve","by":', 1), 1, "a key stands twice"),
        (rollout().content().replace(b'"seq":2', b'"seq":NaN'), 2, "expected a JSON object"),
        (rewritten(1, data=json.loads("[" * 300 + "]" * 300)), 1, "it nests too deeply"),
        (b"[" * 5000 + b"]" * 5000 + b"\n", 1, "depth limit exceeded"),
        (rewritten(1, data={"deep": json.loads("[" * 100 + "]" * 100)}), 1, "data: 'from' is missing"),
        # a last line that is whole but damaged was acted upon: it is no torn one
        (rollout().content().replace(b'"seq":5', b'"seq":x'), 5, "expected a JSON object"),
        (b" ".join(rollout().content().rsplit(b"\n", 2)[:2]) + b"\n", 4, "expected a JSON object"),
        (rollout().content() + b"\x00\x00\n", 6, "expected a JSON object"),
        (rollout().content() + b'{"schema_version":\xff\n', 6, "expected a JSON object"),
        (rollout().content() + b"\n", 6, "expected a JSON object, found ''"),
    ],
)
def test_a_fault_names_its_line_and_what_was_expected(content: bytes, line: int, fault: str) -> None:
    told = refused(content)
    places = [text for text in told.splitlines() if text.startswith(f"{NAME}:{line}: ")]
    assert any(fault in text for text in places), told
    assert "put back the last good copy" in told


DECISION = {
    "outcome": "ok",
    "decision": "hold",
    "rollback_required": False,
    "judging_digest": digest("a"),
    "governed_digest": digest("b"),
    "inputs_digest": digest("c"),
    "violations": [],
    "window_end": "2026-01-01T00:15:00Z",
}
ROLLBACK = {"event": "ended", "from": "B", "to": "A", "incident": None, "by": "Ada", "reason": "asked"}
RECORDS = [
    # kind, data, window, the fault that is told (None: it is sound)
    ("phase_change", {"from": "off", "to": "A", "by": "Ada", "reason": "go"}, None, None),
    ("phase_change", {"from": "off", "to": "A", "by": "Ada"}, None, "data: 'reason' is missing"),
    ("phase_change", {"from": "off", "to": "A", "by": "", "reason": "go"}, None, "data.by: expected at least 1"),
    ("phase_change", {"from": "off", "to": "A", "by": "Ada", "reason": "go", "without_gate": True}, None, None),
    ("decision", DECISION, W1, None),
    ("decision", DECISION, None, "window_start: expected text, found nothing"),
    ("decision", DECISION | {"decision": "advanced"}, W1, "data.decision: expected one of"),
    ("decision", DECISION | {"violations": ["a", "a"]}, W1, "data.violations: 'a' stands in the list twice"),
    ("decision", DECISION | {"inputs_digest": "c"}, W1, "data.inputs_digest: expected a SHA-256"),
    ("decision", DECISION | {"rollback_required": "no"}, W1, "data.rollback_required: expected true or false"),
    ("decision", DECISION | {"window_end": "2026-02-29T00:00:00Z"}, W1, "data.window_end: "),
    ("decision", DECISION | {"incident": "incident-1"}, W1, None),
    ("notice", {"notice": "autosave-ok", "outcome": "ok", "channel": "#a", "text": "✅"}, W1, None),
    ("notice", {"notice": "autosave-ok", "outcome": "fine", "channel": "#a", "text": ""}, W1, "data.outcome: "),
    ("delivery", {"notice_id": "n", "transport": "slack", "result": "delivered", "receipt": "1.2"}, None, None),
    ("delivery", {"notice_id": "n", "transport": "slack", "result": "lost"}, None, "data.result: expected one of"),
    ("incident", {"event": "opened", "cause": "violation", "slos": ["p95"]}, W1, None),
    ("incident", {"event": "opened", "cause": "retry_exhausted"}, None, None),
    ("incident", {"event": "opened", "slos": ["p95"]}, W1, "data: 'cause' is missing"),
    (
        "incident",
        {"event": "added", "cause": "violation", "slos": []},
        W1,
        "data.slos: expected at least 1 in the list",
    ),
    ("incident", {"event": "added", "cause": "violation"}, W1, "data: 'slos' is missing"),
    ("incident", {"event": "ended"}, None, None),
    ("incident", {"event": "cancelled", "by": "Ada", "reason": "false alarm"}, None, None),
    ("incident", {"event": "cancelled", "by": "Ada"}, None, "data: 'reason' is missing"),
    ("rollback", ROLLBACK, None, None),
    ("rollback", ROLLBACK | {"command": ["x", "y"], "exit_code": 0, "output": ""}, None, None),
    ("rollback", ROLLBACK | {"event": "done"}, None, "data.event: expected one of"),
    ("rollback", {key: ROLLBACK[key] for key in ROLLBACK if key != "incident"}, None, "data: 'incident' is missing"),
    ("approval", {"subject": "advance", "role": "SRE", "by": "Ada", "judging_digest": digest("a")}, None, None),
    ("approval", {"subject": "advance", "role": "SRE", "by": "Ada"}, None, "data: 'judging_digest' is missing"),
    ("approval", {"subject": "change", "role": "SRE", "by": "Ada", "governed_digest": digest("a")}, None, None),
    ("approval", {"subject": "change", "role": "SRE", "by": "Ada"}, None, "data: 'governed_digest' is missing"),
    ("approval", {"subject": "incident", "role": "SRE", "by": "Ada", "incident": "i"}, None, None),
    ("approval", {"subject": "incident", "role": "SRE", "by": "Ada"}, None, "data: 'incident' is missing"),
    ("pause", {"by": "Ada", "reason": "holidays", "until": "2026-01-02T00:00:00Z"}, None, None),
    ("pause", {"by": "Ada", "reason": "holidays", "until": "tomorrow"}, None, "data.until: expected a UTC time"),
    ("pause", {"by": "Ada"}, None, "data: 'reason' is missing"),
    ("resume", {"by": "Ada", "reason": "back"}, None, None),
    ("resume", {"by": "Ada", "reason": "back", "until": W1}, None, "data.until: unknown key 'until'"),
]


@pytest.mark.parametrize(("kind", "data", "window", "fault"), RECORDS)
def test_each_kind_of_record_has_its_schema(kind: str, data: Any, window: str | None, fault: str | None) -> None:
    content = LedgerBuilder("A").record(kind, data, window=window).content()
    if fault is None:
        assert parse_ledger(content, NAME, END_OF_TIME).records[0].data == data
    else:
        assert refused(content).startswith(f"{NAME}:1: {fault}")


def test_records_of_one_instant_are_in_order() -> None:
    builder = LedgerBuilder().pause(at=W1).resume(at=W1)
    assert len(builder.read(parse_iso(W1)).records) == 2


def test_a_record_later_than_as_of_is_checked_all_the_same() -> None:
    with pytest.raises(LedgerInvalid):
        parse_ledger(rewritten(5, prev="f" * 64), NAME, parse_iso("2026-01-01T00:00:00Z"))


def test_all_faults_are_told_at_once() -> None:
    lines = list(rollout().lines)
    lines[1], lines[3] = b"{broken", b'{"schema_version":1}'
    told = refused(b"".join(line + b"\n" for line in lines))
    assert {text.split(": ")[0] for text in told.splitlines() if text.startswith(NAME)} == {
        f"{NAME}:{number}" for number in (2, 3, 4, 5)
    }
    assert "seq: " not in told  # a broken line is counted; those after it are not out of order


@pytest.mark.parametrize(("lines", "told_of"), [(1, 1), (19, 19), (20, 20), (21, 21)])
def test_many_faults_are_cut_after_twenty(lines: int, told_of: int) -> None:
    told = refused(b"[]\n" * lines).splitlines()
    assert len([text for text in told if text.startswith(NAME)]) == min(lines, 20)
    assert ("… and 1 more" in told) == (lines > 20)
    assert f"{told_of} {'problem' if lines == 1 else 'problems'} in the ledger; nothing was decided" in told


@pytest.mark.parametrize(
    ("tail", "size"),
    [
        (b'{"schema_version":1,"seq":6', 27),
        (b'{"schema_version":1,"seq":6\n', 27),
        (LedgerBuilder().pause().lines[0], len(LedgerBuilder().pause().lines[0])),  # whole but for its newline
        (b"\x00\x00\x00\x00", 4),
        (b"\xff", 1),
    ],
)
def test_a_torn_last_line_is_set_aside_and_told(tail: bytes, size: int) -> None:
    ledger = parse_ledger(rollout().content() + tail, NAME, END_OF_TIME)
    assert ledger.records == rollout().records()
    assert ledger.torn is not None
    assert ledger.torn.startswith(f"{NAME}:6: the last line is torn ({size} bytes: ")


def test_a_ledger_of_a_torn_line_alone_is_empty() -> None:
    ledger = parse_ledger(b'{"sche', NAME, END_OF_TIME)
    assert ledger.records == ()
    assert ledger.torn == f"{NAME}:1: the last line is torn (6 bytes: '{{\"sche'); it is set aside and does not count"


def test_a_torn_line_excuses_no_fault_before_it() -> None:
    assert f"{NAME}:5: prev: " in refused(rewritten(5, prev="f" * 64) + b"{torn")


@pytest.mark.parametrize("as_of", [parse_iso("2025-01-01T00:00:00Z"), END_OF_TIME])
def test_a_torn_line_is_told_whatever_as_of_is(as_of: datetime) -> None:
    assert parse_ledger(rollout().content() + b"{", NAME, as_of).torn is not None


def test_a_file_that_cannot_be_read_is_refused_without_the_folders_of_the_machine(tmp_path: Path) -> None:
    folder = tmp_path / "ledger" / "autosave.jsonl"
    folder.mkdir(parents=True)
    with pytest.raises(LedgerInvalid, match=r"^ledger/autosave\.jsonl: cannot be read: Is a directory") as caught:
        read_ledger(folder, END_OF_TIME)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("absolute", [True, False])
def test_faults_name_the_file_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool) -> None:
    path = tmp_path / "ledger" / "autosave.jsonl"
    rollout().write(path)
    path.write_bytes(b"[]\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LedgerInvalid, match=r"^ledger/autosave\.jsonl:1: ") as caught:
        read_ledger(path if absolute else path.relative_to(tmp_path), END_OF_TIME)
    assert str(tmp_path) not in str(caught.value)


def test_the_builder_chains_the_bytes_of_lines() -> None:
    first, second, *_ = rollout().lines
    assert json.loads(first)["prev"] == "0" * 64
    assert json.loads(second)["prev"] == hashlib.sha256(first).hexdigest()
