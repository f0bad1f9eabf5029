"""A part of the loop in a process of its own, forked from the supervisor: it may hang or die, and nothing else does.

What it says comes as JSON lines over a pipe. It dies with the supervisor, however that ends; to what a terminal or a
service manager sends to all processes it does not listen, since the supervisor decides what stops when.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from checker.child import kernel

Message = Mapping[str, Any]
Say = Callable[[Message], None]
Part = Callable[[Say], None]

MAX_SAID_BYTES = 1 << 20  # in the pipe at once, of a part that nobody listens to
UNHEARD = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


@dataclass(slots=True)
class Forked:
    """A running part, or one that has ended with `code` (negative: the signal)."""

    pid: int
    pipe: int
    code: int | None = None
    _rest: bytes = field(default=b"")

    def messages(self) -> list[Message]:
        """What it said since the last call; waits for nothing."""
        with suppress(BlockingIOError):
            while portion := os.read(self.pipe, 1 << 16):
                self._rest += portion
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines]

    def is_alive(self) -> bool:
        """Whether it still runs; one that does not is reaped."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is None

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        if self.is_alive():
            os.kill(self.pid, signal.SIGKILL)
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        """Let go of the pipe of one that has ended."""
        os.close(self.pipe)


def fork(part: Part) -> Forked:
    """Start `part` in a process of its own. Raises OSError."""
    theirs, mine = os.pipe()
    os.set_blocking(theirs, False)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pid = os.fork()
    if pid == 0:
        os.close(theirs)
        _live(part, mine)
    os.close(mine)
    return Forked(pid, theirs)


def _live(part: Part, pipe: int) -> None:
    """The life of a part. It never returns: what called it has a life of its own in the other process."""
    code = 70
    try:
        kernel.die_with_parent()
        for number in UNHEARD:
            signal.signal(number, _pass_over)  # not SIG_IGN: a program that is started would inherit that
        part(lambda message: _write(pipe, message))
        code = 0
    except BaseException as fault:
        _write(pipe, {"kind": "fault", "told": f"internal error: {type(fault).__name__}: {fault}"})
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _pass_over(number: int, frame: FrameType | None) -> None:
    del number, frame


def _write(pipe: int, message: Message) -> None:
    with suppress(BrokenPipeError):
        content = json.dumps(message).encode() + b"\n"
        while content:
            content = content[os.write(pipe, content) :]
