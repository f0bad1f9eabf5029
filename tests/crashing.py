"""Runs commands in children of this process and kills one at the Nth point at which it writes or sends.

A point is a call of a C function that changes something outside of the process: a file, a folder, a socket, a database,
another process. It is found while the command runs, by its name alone, before the call and after it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

CHANGING = {
    "posix": {
        "write", "writev", "pwrite", "fsync", "fdatasync", "ftruncate", "truncate", "replace", "rename", "unlink",
        "remove", "rmdir", "mkdir", "link", "symlink", "fchmod", "chmod", "sendfile", "posix_spawn", "kill", "killpg",
    },
    "fcntl": {"flock", "lockf"},
    "_posixsubprocess": {"fork_exec"},
}  # fmt: skip
METHODS = {
    "FileIO": {"write", "truncate"},
    "BufferedWriter": {"write", "flush"},
    "BufferedRandom": {"write", "flush", "truncate"},
    "socket": {"connect", "send", "sendall", "sendmsg", "sendto", "shutdown"},
    "SSLSocket": {"send", "sendall"},
    "Connection": {"commit", "__exit__"},
}


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, or minus the signal; the points that it passed, by name."""

    code: int
    points: tuple[str, ...]
    out: str
    err: str

    @property
    def was_killed(self) -> bool:
        """Whether it was killed at its point."""
        return self.code == -signal.SIGKILL


def run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    scratch: Path,
    kill_at: int | None = None,
    *,
    watched: bool = True,
) -> Ended:
    """Run `phasegate` with `arguments` in `folder`, in a child; with `kill_at` SIGKILL comes at that point, from 1.

    Points are counted where it is `watched`, which makes it slow.
    """
    return run_in_child(partial(_command, arguments), folder, environment, scratch, kill_at, watched=watched)


def run_in_child(
    work: Callable[[], None],
    folder: Path,
    environment: Mapping[str, str],
    scratch: Path,
    kill_at: int | None = None,
    *,
    watched: bool = True,
    meanwhile: Callable[[int], object] = abs,
) -> Ended:
    """Do `work` as `run` does a command; its exit code is that of the SystemExit that it raises, else 0.

    `meanwhile` is called here with the child's process id, and the child waited for afterwards.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    paths = [scratch / name for name in ("points", "out", "err")]
    for path in paths:
        path.write_bytes(b"")
    child = os.fork()
    if child == 0:
        _become(work, folder, environment, paths, kill_at, watched)
    meanwhile(child)
    _, status = os.waitpid(child, 0)
    points, out, err = (path.read_text(encoding="utf-8", errors="replace") for path in paths)
    return Ended(os.waitstatus_to_exitcode(status), tuple(points.split("\n")[:-1]), out, err)


def _command(arguments: Sequence[str]) -> None:
    sys.argv = ["phasegate", *arguments]
    from checker.cli import main

    main()


def _become(
    work: Callable[[], None],
    folder: Path,
    environment: Mapping[str, str],
    paths: Sequence[Path],
    kill_at: int | None,
    watched: bool,
) -> None:
    code = 99
    try:
        os.chdir(folder)
        os.environ.update(environment)
        for number, path in zip((1, 2), paths[1:], strict=True):
            os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
        log = os.open(paths[0], os.O_WRONLY | os.O_APPEND)
        if watched:
            watch(log, kill_at)
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException:  # the child must not go on as its parent
        traceback.print_exc()
    finally:
        sys.setprofile(None)
        os._exit(code)


def watch(log: int, kill_at: int | None) -> None:
    """From now on count the points of this process, tell each to the file `log`, and die at the one of `kill_at`."""
    own, write, kill = os.getpid(), os.write, os.kill
    numbers = count(1)

    def seen(frame: FrameType, event: str, function: Any) -> None:
        del frame
        if event not in ("c_call", "c_return") or not is_changing(function) or os.getpid() != own:
            return
        number = next(numbers)  # this thread's own: another one may come to its point meanwhile
        write(log, f"{'before' if event == 'c_call' else 'after'} {name_of(function)}\n".encode())
        if number == kill_at:
            kill(own, signal.SIGKILL)

    threading.setprofile(seen)
    sys.setprofile(seen)


def is_changing(function: Callable[..., Any]) -> bool:
    """Whether calling it changes something outside of the process; what it tells its own children does not."""
    name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
    if name in CHANGING.get(getattr(function, "__module__", None) or "", ()):
        return True
    is_inside = getattr(owner, "family", None) == socket.AF_UNIX
    return not is_inside and name in METHODS.get(type(owner).__name__, ())


def name_of(function: Callable[..., Any]) -> str:
    """`posix.fsync`, `socket.sendall`."""
    owner = getattr(function, "__self__", None)
    kind = type(owner).__name__
    return f"{kind if kind != 'module' else getattr(owner, '__name__', '')}.{function.__name__}"
