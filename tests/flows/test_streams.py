"""The command where its streams are closed, full or no longer read, and where it is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import ROOT, SAMPLE, SAMPLE_AS_OF

FROM_SAMPLE = ["--logs", str(SAMPLE), "--no-cache", "--as-of"]
CHECK = ["check", "--phase", "B", *FROM_SAMPLE]
MET, VIOLATED = [*CHECK, SAMPLE_AS_OF], [*CHECK, "2026-01-01T10:50:00Z"]
WRONG = ["check", "--phase", "Z", "--logs", str(SAMPLE)]


def run(redirected: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`phasegate` as a shell starts it with these redirections."""
    command = ["sh", "-c", f'"$@" {redirected}', "sh", sys.executable, "-m", "checker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


@pytest.mark.parametrize(
    ("redirected", "arguments", "code", "out", "err"),
    [
        ("2>&-", MET, 0, "AutoSave", ""),
        ("2>&-", WRONG, 2, "", ""),  # the error is not told on stdout instead
        (">&- 2>&- <&-", VIOLATED, 1, "", ""),
        (">/dev/full", VIOLATED, 70, "", "the output could not be written: No space left on device\n"),
        (
            ">/dev/full",
            [*MET, "--format", "json"],
            70,
            "",
            "the output could not be written: No space left on device\n",
        ),
        (">/dev/full 2>/dev/full", VIOLATED, 70, "", ""),
        (">/dev/full 2>/dev/full", WRONG, 2, "", ""),
        ("2>/dev/full", MET, 0, "AutoSave", ""),
        (">/dev/full", ["--help"], 70, "", "No space left on device"),
    ],
)
def test_streams_that_take_nothing(redirected: str, arguments: list[str], code: int, out: str, err: str) -> None:
    done = run(redirected, *arguments)
    assert done.returncode == code, done
    assert out in done.stdout if out else done.stdout == ""
    assert err in done.stderr if err else done.stderr == ""


@pytest.mark.parametrize("arguments", [[*MET, "--format", "json"], ["--help"]])
def test_a_pipe_that_nobody_reads_is_no_violation(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "checker", *arguments]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (70, "the output could not be written: Broken pipe\n")


REPLAY = ["replay", "--phase", "B", "--since", "2026-01-01T10:00:00Z", "--until", "2026-01-02T12:00:00Z"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_leaves_no_folder_behind(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "checker", *REPLAY, *FROM_SAMPLE, SAMPLE_AS_OF, "--format", "jsonl"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        while running.poll() is None and not (there := list(tmp_path.glob("*/*"))):
            pass
        running.send_signal(number)
        _, told = running.communicate(timeout=30)
    assert there
    assert (running.returncode, told.decode()) == (128 + number, "")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_ignored_stays_so() -> None:
    code = (
        "import os, signal\nfrom checker.cli import signals\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with signals.unwinding() as stopped: os.kill(os.getpid(), signal.SIGHUP)\nprint(stopped.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "0\n"
