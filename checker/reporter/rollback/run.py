"""Runs the policy's command: an argument list, no shell, a process group of its own, a deadline, bounded output."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from checker.reporter.transports.credentials import without_credentials
from checker.units import plain

KEPT_BYTES = 8_192  # of the output's beginning, and as much of its end
NOT_FOUND = 127
_AFTER_EXIT_S = 1.0  # to read what is left, where something else holds the pipe open


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its exit code (minus the signal), None where it was stopped at its deadline.

    One that could not be `started` has the exit code that shells have for it.
    """

    exit_code: int | None
    output: str
    started: bool = True


@dataclass(slots=True)
class _Kept:
    """The beginning and the end of an output of any length."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    left_out: int = 0

    def take(self, content: bytes) -> None:
        room = KEPT_BYTES - len(self.head)
        self.head += content[:room]
        self.tail += content[room:]
        self.left_out += max(0, len(self.tail) - KEPT_BYTES)
        del self.tail[: max(0, len(self.tail) - KEPT_BYTES)]

    def text(self) -> str:
        gap = f"\n… {self.left_out:,} bytes left out …\n" if self.left_out else ""
        whole = f"{bytes(self.head).decode(errors='replace')}{gap}{bytes(self.tail).decode(errors='replace')}"
        return "\n".join(plain(line) for line in whole.splitlines())


def run_command(arguments: Sequence[str], deadline_s: float) -> Ran:
    """Run it, both outputs together; at `deadline_s` its whole process group is killed.

    A program that cannot be started has failed, with the system's words. Where this process is interrupted, the group
    is killed as well: nothing goes on behind the back of a person who stopped it.
    """
    try:
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=without_credentials(os.environ),
        )
    except (OSError, ValueError) as fault:
        return Ran(NOT_FOUND, f"{arguments[0]}: {getattr(fault, 'strerror', None) or fault}", started=False)
    kept = _Kept()
    reader = threading.Thread(target=_read, args=(process.stdout, kept), daemon=True)
    reader.start()
    try:
        code = process.wait(deadline_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        reader.join(_AFTER_EXIT_S)
        return Ran(None, kept.text())
    except BaseException:
        _kill(process)
        raise
    reader.join(_AFTER_EXIT_S)
    return Ran(code, kept.text())


def _read(stream: IO[bytes] | None, kept: _Kept) -> None:
    if stream is None:
        return
    with stream:
        while content := os.read(stream.fileno(), 65_536):
            kept.take(content)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
