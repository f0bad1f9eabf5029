"""Forks the children: a process that was forked early, before DuckDB was opened or a thread begun, and stays so.

The command asks it over a socket for a child (`f`, with the child's end of a connection), or to kill one and tell how
it ended (`e`, with its number). Only the zygote reaps, and only when asked, so a number is never somebody else's.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import struct
import threading
import warnings
from collections.abc import Callable

from checker.child import kernel

_FORK, _END, _QUIT = b"f", b"e", b"q"
_PATIENCE_S = 30  # for a fork, or for a killed child to be gone
_NUMBER = struct.Struct(">q")

Serve = Callable[[socket.socket], None]
Prepare = Callable[[], None]


class ZygoteGone(Exception):
    """The process that forks the children has died, or cannot fork."""


class Zygote:
    """A forked process that runs `prepare` and then forks children, each of which runs `serve` and ends.

    What `prepare` makes, every child has a copy of. It must leave no thread behind: a fork would lose it.
    """

    def __init__(self, serve: Serve, prepare: Prepare) -> None:
        self.owner = os.getpid()
        self.is_gone = False
        self._lock = threading.Lock()
        self._link, theirs = socket.socketpair()
        self._link.settimeout(_PATIENCE_S)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads of the command hold nothing it needs
            self._pid = os.fork()
        if self._pid == 0:
            _run(theirs, serve, prepare)
        theirs.close()

    def fork(self) -> tuple[int, socket.socket]:
        """A new child: its number, and the connection to it. Raises ZygoteGone; OSError without a descriptor."""
        mine, theirs = socket.socketpair()
        try:
            with theirs:
                pid = self._asked(lambda: socket.send_fds(self._link, [_FORK], [theirs.fileno()]))
            if pid < 0:
                raise ZygoteGone(f"no process can be started: {os.strerror(-pid)}")
        except ZygoteGone:
            mine.close()
            raise
        return pid, mine

    def end(self, pid: int) -> int:
        """Kill the child, if it has not ended by itself, and give its exit code (negative: the signal).

        Raises ZygoteGone; no child outlives its zygote.
        """
        return self._asked(lambda: self._link.sendall(_END + _NUMBER.pack(pid)))

    def close(self) -> None:
        """End it and every child that is left; one that does not answer any more is killed."""
        with contextlib.suppress(OSError):  # it has died
            self._link.sendall(_QUIT)
        self._link.close()
        if self.is_gone:
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def _asked(self, order: Callable[[], object]) -> int:
        """The number that it answers to an order. Raises ZygoteGone; it is of no use then."""
        with self._lock:
            try:
                order()
                content = self._link.recv(_NUMBER.size, socket.MSG_WAITALL)
            except OSError as fault:
                content, cause = b"", fault.strerror or type(fault).__name__
            else:
                cause = "it has ended"
            if len(content) < _NUMBER.size:
                self.is_gone = True
                raise ZygoteGone(f"the process that starts those that measure does not answer: {cause}")
        return int(_NUMBER.unpack(content)[0])


_current: Zygote | None = None
_starting = threading.Lock()


def zygote(serve: Serve, prepare: Prepare) -> Zygote:
    """This process's zygote; the first call forks it, and returns before it is prepared."""
    global _current
    with _starting:
        if _current is not None and _current.owner == os.getpid() and _current.is_gone:
            _current.close()
            _current = None
        if _current is None or _current.owner != os.getpid():
            _current = Zygote(serve, prepare)
        return _current


def shut_down() -> None:
    """End this process's zygote, if there is one; the next is forked from this process as it is then.

    A command need not: when it ends, its end of the socket closes, and the zygote ends with it.
    """
    global _current
    with _starting:
        if _current is not None and _current.owner == os.getpid():
            _current.close()
        _current = None


def _run(link: socket.socket, serve: Serve, prepare: Prepare) -> None:
    """The zygote's life. It never returns: what called it has a life of its own in the other process."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command hears it, too
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        kernel.forget_environment()
        only = socket.socket(fileno=kernel.keep_only(link.detach()))
        with contextlib.suppress(Exception):  # what is not there, a child makes itself, or says why it cannot
            prepare()
        gc.freeze()  # what a child does not touch stays shared
        children: set[int] = set()
        while True:
            order, descriptors, *_ = socket.recv_fds(only, 1, 1)
            if order == _FORK:
                only.sendall(_NUMBER.pack(_forked(only, descriptors[0], serve, children)))
            elif order == _END:
                (pid,) = _NUMBER.unpack(only.recv(_NUMBER.size, socket.MSG_WAITALL))
                only.sendall(_NUMBER.pack(_ended(pid, children)))
            else:
                break
        for pid in tuple(children):
            _ended(pid, children)
    finally:
        os._exit(0)


def _forked(only: socket.socket, descriptor: int, serve: Serve, children: set[int]) -> int:
    try:
        pid = os.fork()
    except OSError as fault:
        os.close(descriptor)
        return -(fault.errno or 1)
    if pid == 0:
        _live(only, descriptor, serve)
    os.close(descriptor)
    children.add(pid)
    return pid


def _live(only: socket.socket, descriptor: int, serve: Serve) -> None:
    """A child's life."""
    code = 1
    try:
        only.detach()
        kernel.die_with_parent()
        serve(socket.socket(fileno=kernel.keep_only(descriptor)))
        code = 0
    finally:
        os._exit(code)


def _ended(pid: int, children: set[int]) -> int:
    if pid not in children:
        return 0
    os.kill(pid, signal.SIGKILL)  # one that has ended waits to be reaped, and feels nothing
    children.discard(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
