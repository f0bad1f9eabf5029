"""`phasegate simulate` as it is typed: what it writes, refuses and says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from checker.simulate.scenarios import SCENARIOS

ROOT = Path(__file__).parent.parent
DOCUMENTED = re.findall(r"^phasegate (simulate .*tests/.*)$", (ROOT / "docs/simulate.md").read_text(), re.MULTILINE)


def phasegate(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from checker.cli import main; main()", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "random"}
    return subprocess.run(program, capture_output=True, text=True, check=False, cwd=cwd, env=environment)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("line", DOCUMENTED)
def test_shipped_file_is_made_again_byte_for_byte(line: str, tmp_path: Path) -> None:
    done = phasegate(*shlex.split(line), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    made = Path(shlex.split(line)[-1])
    if (ROOT / made).is_dir():
        assert contents(tmp_path / made) == contents(ROOT / made)
    else:
        assert (tmp_path / made).read_bytes() == (ROOT / made).read_bytes()


def test_every_shipped_file_is_documented() -> None:
    documented = {Path(shlex.split(line)[-1]).name for line in DOCUMENTED}
    assert documented == {"logs", *(path.name for path in (ROOT / "tests/fixtures").glob("autosave_*.jsonl"))}


def test_one_file_holds_the_same_lines_as_the_folder(tmp_path: Path) -> None:
    assert phasegate("simulate", "--scenario", "warning", "--out", tmp_path / "logs").returncode == 0
    assert phasegate("simulate", "--scenario", "warning", "--output", tmp_path / "all.jsonl").returncode == 0
    assert b"".join(contents(tmp_path / "logs").values()) == (tmp_path / "all.jsonl").read_bytes()


def test_batches_are_named_for_their_windows_and_the_next_step_is_told(tmp_path: Path) -> None:
    options = ("--start", "2026-03-29T00:30:00+00:00", "--windows", "3", "--phase", "C", "--events-per-window", "5")
    done = phasegate("simulate", "--scenario", "healthy", "--out", tmp_path, *options)
    assert list(contents(tmp_path)) == [f"20260329T{time}Z.jsonl" for time in ("003000", "004500", "010000")]
    assert f"phasegate check --phase C --logs {tmp_path} --as-of 2026-03-29T01:20:00Z" in done.stdout
    assert b'"phase":"C"' in (tmp_path / "20260329T003000Z.jsonl").read_bytes()


@pytest.mark.parametrize(
    "present", ["20250101T000000Z.jsonl", "20250101T000000Z.jsonl.gz", "20250101T000000Z.jsonl.zst"]
)
def test_batches_that_are_there_are_replaced_only_when_asked(present: str, tmp_path: Path) -> None:
    (tmp_path / present).write_text("old")
    (tmp_path / "notes.jsonl").write_text("kept")
    arguments = ("simulate", "--scenario", "healthy", "--windows", "1", "--out", tmp_path)
    refused = phasegate(*arguments)
    assert refused.returncode == 2
    assert present in refused.stderr
    assert "--force" in refused.stderr
    assert set(contents(tmp_path)) == {present, "notes.jsonl"}
    assert phasegate(*arguments, "--force").returncode == 0
    assert set(contents(tmp_path)) == {"20260101T000000Z.jsonl", "notes.jsonl"}


def test_a_file_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    file.write_text("old")
    arguments = ("simulate", "--scenario", "healthy", "--windows", "1", "--output", file)
    refused = phasegate(*arguments)
    assert (refused.returncode, file.read_text()) == (2, "old")
    assert "--force" in refused.stderr
    assert phasegate(*arguments, "--force").returncode == 0
    assert file.read_text().startswith('{"schema_version":1,')


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "logs"], ["--scenario is missing", "--list"]),
        (["--scenario", "helthy", "--out", "logs"], ["helthy", "did you mean 'healthy'?", "--list"]),
        (["--scenario", "healthy"], ["--out DIR", "--output FILE"]),
        (["--scenario", "healthy", "--out", "logs", "--output", "all.jsonl"], ["either --out DIR", "or --output FILE"]),
        (["--scenario", "healthy", "--out", "logs", "--start", "2026-01-01T00:00:00"], ["--start", "zone"]),
        (["--scenario", "healthy", "--out", "logs", "--start", "noon"], ["--start noon", "2026-01-01T09:00:00Z"]),
        (["--scenario", "healthy", "--out", "logs", "--windows", "0"], ["--windows"]),
        (["--scenario", "sample", "--out", "logs", "--windows", "9"], ["--windows 9", "108"]),
        (["--scenario", "healthy", "--out", "taken"], ["taken", "cannot be written"]),
        (["--scenario", "healthy", "--output", "taken/all.jsonl"], ["taken", "cannot be written"]),
    ],
)
def test_a_call_that_makes_no_sense_is_refused_and_writes_nothing(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    done = phasegate("simulate", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words)
    assert contents(tmp_path) == {"taken": b"a file"}


def test_list_names_every_scenario_once() -> None:
    done = phasegate("simulate", "--list")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == list(SCENARIOS)
    assert max(map(len, lines)) <= 80
    assert all(len(line) <= 120 for line in done.stdout.splitlines())
