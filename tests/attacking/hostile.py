"""What a stranger would do who had broken out of DuckDB: code that runs inside the locked child."""

from __future__ import annotations

import ctypes
import fcntl
import math
import mmap
import os
import pickle
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from checker.child import wire
from checker.child.serve import Opened

SECRET = "xoxb-a-token-that-nobody-may-see"
_SPIN_S = 3
_PR_GET_NO_NEW_PRIVS = 39


class Planted:
    """Unpickled, it makes a file: what a child could do to its command if answers were pickles."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.path,))


@contextmanager
def service(folder: str, parent: int, early: str) -> Iterator[Opened]:
    """In the child: does `early` before it is locked and tells of it, then whatever it is asked."""
    kept = os.open(f"{folder}/kept", os.O_CREAT | os.O_WRONLY)
    attacks = actions(folder, parent, kept)
    yield attempted(attacks[early]), lambda name: attempted(attacks[name])


def attempted(act: Callable[[], object]) -> str:
    """What came of an act."""
    try:
        return f"done: {act()}"
    except (OSError, MemoryError, ValueError) as fault:
        return f"{type(fault).__name__}: {fault}"


def actions(folder: str, parent: int, kept: int) -> dict[str, Callable[[], object]]:
    return {
        "nothing": lambda: "nothing",
        "a thread": lambda: threading.Thread(target=time.sleep, args=(60,), daemon=True).start(),
        "environment": lambda: os.environ.get("SLACK_TOKEN"),
        "proc environ": lambda: Path("/proc/self/environ").read_bytes().strip(b"\0"),
        "descriptors": lambda: [number for number in range(256) if is_open(number) and number != kept],
        "open": lambda: Path("/etc/hostname").read_text(),
        "listing": lambda: len(os.listdir("/etc")),  # noqa: PTH208
        "socket": lambda: socket.socket().family.name,
        "unix socket": lambda: socket.socketpair()[0].family.name,
        "pipe": os.pipe,
        "make a folder": lambda: os.mkdir(f"{folder}/made"),  # noqa: PTH102
        "remove a file": lambda: os.unlink(f"{folder}/removable"),  # noqa: PTH108
        "rename a file": lambda: os.rename(f"{folder}/removable", f"{folder}/renamed"),  # noqa: PTH104
        "make a link": lambda: os.symlink("/etc/passwd", f"{folder}/link"),  # noqa: PTH211
        "truncate a file": lambda: os.truncate(f"{folder}/removable", 0),
        "write on": lambda: os.write(kept, b"x" * 100),
        "fork": fork,
        "run a program": lambda: os.execv("/bin/true", ["true"]),
        "signal the command": lambda: os.kill(parent, signal.SIGUSR1),
        "be root": lambda: (os.setresuid(0, 0, 0), "root"),
        "no new privileges": lambda: ctypes.CDLL(None).prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        "memory": lambda: len(mmap.mmap(-1, 8 << 30)),
        "spin": spin,
        "spin for ever": lambda: spin(math.inf),
        "crash": lambda: ctypes.string_at(8),
        "quit": lambda: os._exit(7),
        "pickle": lambda: say(pickle.dumps(Planted(f"{folder}/planted"))),
        "promise of an exabyte": lambda: os.write(3, struct.pack(">Q", 1 << 60)),
        "half a message": lambda: os.write(3, struct.pack(">Q", 100) + b"{"),
        "nested answer": lambda: say(b"[" * 500_000 + b"]" * 500_000),
        "another form": lambda: say(wire.to_json({"worth": 1})),
        "a large answer": lambda: "x" * (wire.MAX_ANSWER_BYTES + 1),
    }


def is_open(number: int) -> bool:
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def say(content: bytes) -> None:
    """Send bytes as an answer of its own."""
    os.write(3, struct.pack(">Q", len(content)))
    while content:
        content = content[os.write(3, content) :]


def fork() -> str:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"


def spin(cpu_s: float = _SPIN_S) -> str:
    """Take more CPU time than a query of a tenth of a second may."""
    while time.process_time() < cpu_s:
        pass
    return "spun"
