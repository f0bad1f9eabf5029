"""Every command on a project whose logs, queries, ledger, file names and query tests hold hostile values."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from tests.attacking.readers import acted_on, commands_taken, made_of_markdown
from tests.commands import ROOT, Done, event, phasegate, saved, write_batch
from tests.ledgers import LedgerBuilder
from tests.test_outputs import MARK, VALUES

AS_OF = "2026-01-01T00:20:00Z"
STAMP = "20260101T000000Z"
TEXTS = [f"{MARK}{value}{MARK}" for value in VALUES.values() if "\ud800" not in value]
ALL = "".join(value for value in VALUES.values() if "\ud800" not in value and "\0" not in value)


def sql_text(text: str) -> str:
    """An SQL expression for `text`, in plain ASCII."""
    parts = re.findall(r"[ -&(-~]+|.", text, re.DOTALL)
    return " || ".join(
        f"'{part}'" if part.isascii() and part.isprintable() and part != "'" else f"chr({ord(part)})" for part in parts
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project: its own queries, tests of them, logs and ledger."""
    root = tmp_path_factory.mktemp("hostile")
    for folder in ("policy", "queries", "schemas"):
        shutil.copytree(ROOT / folder, root / folder)
    gate = root / "queries/gate/continuous_compliance.sql"
    edit(gate, "    'critical_alerts',\n", f"    {sql_text(MARK + ALL)},\n")
    edit(gate, "    critical.alerts <= $max_critical_alerts,\n", "    critical.alerts < $max_critical_alerts,\n")
    edit(gate, "    'in the last ' || $hours || ' h'\n", f"    {sql_text(MARK + ALL)} || $hours\n")
    edit(
        root / "queries/slo/failure_rate.sql",
        "count(saves.event) as samples\n",
        f"count(saves.event) as samples,\n    {sql_text(MARK + ALL)} as note\n",
    )
    write_tests(root)
    write_logs(root / "logs/autosave")
    ledger = LedgerBuilder().phase_change("off", "B", at="2025-12-31T00:00:00Z")
    ledger.record("pause", {"by": MARK + ALL, "reason": "".join(TEXTS)}, at="2025-12-31T00:01:00Z")
    (root / "ledger").mkdir()
    ledger.write(root / "ledger/autosave.jsonl")
    return root


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that is there."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def write_tests(root: Path) -> None:
    """A query's tests, one for each value, that all fail."""
    folder = root / "tests/queries/slo"
    folder.mkdir(parents=True)
    cases = [
        {"name": text, "phase": "B", "events": [], "expect": [{"value": 1, "samples": 1, "status": "ok"}]}
        for text in TEXTS
        if text.isprintable()  # the reader of YAML refuses the others
    ]
    (folder / "save_latency_p95.yaml").write_text(
        json.dumps({"defaults": {"schema_version": 1}, "cases": cases}), "utf-8"
    )


def write_logs(folder: Path) -> None:
    """Saves, errors and broken lines with a value each, and files with such names beside the batch."""
    at = "2026-01-01T00:01:00Z"
    lines = [saved(at, 9_000.0 + number, text) for number, text in enumerate(TEXTS)]
    lines += [
        event("autosave.save.error", at, code=text, retryable=True, request_id=f"e{number}")
        for number, text in enumerate(TEXTS)
    ]
    lines += [saved(at, 1.0, f"b{number}", bytes=text) for number, text in enumerate(TEXTS)]
    lines += [text.encode("utf-8", "replace") for text in TEXTS if "\n" not in text]
    write_batch(folder, STAMP, lines)
    for name in (b"##[error]x.jsonl", b"x\x1b[2J\n::error::x.jsonl", b"x\xff\x9b2J.jsonl"):
        Path(str(folder) + "/" + name.decode("utf-8", "surrogateescape")).touch()


COMMANDS: dict[str, tuple[str, ...]] = {
    **{name: ("check", "--phase=B", f"--format={name}") for name in ("table", "json", "junit", "github", "markdown")},
    "explain": ("explain", "--phase=B"),
    "explain, json": ("explain", "--phase=B", "--format=json"),
    "quarantined": ("explain", "--phase=B", "--quarantined"),
    "quarantined, json": ("explain", "--phase=B", "--quarantined", "--format=json"),
    "replay": ("replay", "--phase=B", "--since=2026-01-01T00:00:00Z", "--until=2026-01-01T00:15:00Z"),
    "replay, jsonl": (
        "replay",
        "--phase=B",
        "--since=2026-01-01T00:00:00Z",
        "--until=2026-01-01T00:15:00Z",
        "--format=jsonl",
    ),
    "status": ("status",),
    "status, json": ("status", "--format=json"),
    "logs": ("validate", "--logs"),
    "logs, json": ("validate", "--logs", "--format=json"),
    "tests": ("test", "save_latency_p95"),
    "tests, json": ("test", "save_latency_p95", "--format=json"),
}
SILENT = ("replay", "replay, jsonl")  # they show no text from outside
READS: dict[str, Callable[[str], Any]] = {"junit": lambda out: fromstring(out.encode())}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_hostile_values_and_obeys_none(
    name: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *options = COMMANDS[name]
    timed = [] if command == "test" else [f"--as-of={AS_OF}"]
    done = phasegate(capsys, command, f"--policy={project / 'policy/policy.yaml'}", *options, *timed)
    assert done.code in (0, 1, 3), done.err
    assert "internal error" not in done.err
    assert (MARK in done.out) is (name not in SILENT), done.out + done.err
    assert acted_on(done.out + done.err) == []
    assert commands_taken(done.err) == []
    if name == "github":
        assert len(commands_taken(done.out)) == len(done.out.splitlines())
        assert all(line.startswith(("::error ", "::warning ", "::notice ")) for line in done.out.splitlines())
    else:
        assert commands_taken(done.out) == []
    read(name, done)


def read(name: str, done: Done) -> None:
    """The document as its reader has it."""
    if "json" in name:
        assert [json.loads(line) for line in done.out.splitlines()] if "jsonl" in name else done.document
    if name == "junit":
        assert fromstring(done.out.encode()).tag == "testsuites"
    if name == "markdown":
        assert made_of_markdown(done.out) == []


def test_the_values_come_through_whole_in_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An escape is JSON's own: what was in the log is what a program reads."""
    policy = f"--policy={project / 'policy/policy.yaml'}"
    done = phasegate(capsys, "explain", policy, "--phase=B", "--format=json", f"--as-of={AS_OF}")
    shown = json.dumps(done.document, ensure_ascii=False)
    names = [each for slo in done.document["slos"] for rows in slo["rows"] for row in rows["rows"] for each in row]
    assert set(names) & set(TEXTS), shown[:2_000]
