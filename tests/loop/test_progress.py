"""A catch-up over many windows: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from checker.windows import iso
from tests.batches import FIRST, start_of
from tests.looping import make_project, save


def on_a_terminal(arguments: list[str], folder: Path, until: bytes) -> bytes:
    """What `phasegate` writes to a terminal, up to `until`; then it is told to stop."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "checker", *arguments]
    with subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        while until not in written:
            written += os.read(ours, 65_536)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    os.close(ours)
    return written


def test_collect_and_the_loop(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.append(save(FIRST, 1))
    common = [f"--policy={project.policy}", f"--logs={project.logs}"]
    first = subprocess.run(
        [sys.executable, "-m", "checker", "collect", *common, f"--as-of={iso(start_of(1))}"],
        cwd=project.root, check=True, capture_output=True,
    )  # fmt: skip
    assert first.stdout.count(b"\n") == 1
    written = on_a_terminal(["collect", *common, f"--as-of={iso(start_of(9))}"], project.root, b"sealed 8 windows")
    assert b"windows  [####################################]  100%" in written
    later = start_of(18) + timedelta(seconds=1)
    loop = ["run", *common, f"--as-of={iso(later)}", "--listen=none", "--phase=B"]
    written = on_a_terminal(loop, project.root, b"[####################################]  100%")
    assert b"catching up  [" in written
    assert b" to go" not in written
