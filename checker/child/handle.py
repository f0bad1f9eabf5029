"""A child as its command sees it: ask, wait no longer than the deadline, and say what became of it."""

from __future__ import annotations

import math
import pickle
import signal
import socket
import time
from typing import Any, Self

from checker.child import wire
from checker.child.allowance import CPU_GRACE_S, LOADING_DEADLINE_S, Allowance
from checker.child.serve import Service, serve
from checker.child.zygote import Prepare, Zygote, ZygoteGone, zygote
from checker.errors import CannotDecide, QueryDied, QueryFailed, QueryStopped, QueryTimedOut, TooMuchToLoad


def get_ready(prepare: Prepare) -> None:
    """Fork the zygote now, so that it prepares itself while this process has other things to do."""
    zygote(serve, prepare)


class Child:
    """A locked process that runs `service`. One that had to be killed, or died, is started again when next asked."""

    def __init__(self, service: Service, allowance: Allowance, prepare: Prepare) -> None:
        """Start it and let it load; `told` is then what the service had to tell of that.

        `prepare` is what the first child's zygote does before it forks any.
        Raises CannotDecide where that fails, QueryFailed where the service says so.
        """
        self._service, self._allowance, self._prepare = service, allowance, prepare
        self._running: tuple[Zygote, int, socket.socket] | None = None
        self.told = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self, request: Any) -> Any:
        """The service's answer to `request` (picklable), within the limits.

        Raises QueryTimedOut, QueryDied, QueryFailed, and CannotDecide.
        """
        budget = self._allowance.budget
        if self._running is None and budget.left_s > 0:
            with budget.spending():  # the query before this one is why it must be started again
                self._start()
        if budget.left_s <= 0:
            raise QueryTimedOut(f"not run: the queries of this command used up their {budget.seconds:g} s")
        deadline_s = min(self._allowance.query_deadline_s, budget.left_s)
        with budget.spending():
            try:
                return self._asked((deadline_s, request), time.monotonic() + deadline_s)
            except TimeoutError:
                self._end()
                raise QueryTimedOut(_too_long(self._allowance, deadline_s)) from None
            except wire.Closed:
                raise QueryDied(f"the query's process died ({_how(self._end())})") from None
            except wire.Nonsense as fault:
                self._end()
                raise QueryDied(f"the query's process answered what is no answer ({fault})") from None

    def _start(self) -> Any:
        memory_bytes = self._allowance.query_memory_mb << 20
        cpu_s = math.ceil(self._allowance.budget.seconds) + CPU_GRACE_S
        try:
            self._running = self._forked()
            return self._asked((self._service, memory_bytes, cpu_s), time.monotonic() + LOADING_DEADLINE_S)
        except TimeoutError:
            told = f"loading took more than {LOADING_DEADLINE_S:g} s"
        except wire.Closed:
            told = f"the process that measures died while it loaded ({_how(self._end())})"
        except (OSError, ZygoteGone, wire.Nonsense) as fault:
            told = f"the process that measures cannot be started: {fault}"
        except BaseException:
            self._end()
            raise
        self._end()
        raise CannotDecide(told)

    def _forked(self) -> tuple[Zygote, int, socket.socket]:
        """A new child; where the zygote has died since the last one, of a new zygote."""
        owner = zygote(serve, self._prepare)
        try:
            return owner, *owner.fork()
        except ZygoteGone:
            owner = zygote(serve, self._prepare)
            return owner, *owner.fork()

    def _asked(self, message: Any, until: float) -> Any:
        assert self._running is not None, "it was started"
        connection = self._running[2]
        wire.send(connection, pickle.dumps(message), until)
        outcome = wire.from_json(wire.receive(connection, wire.MAX_ANSWER_BYTES, until))
        match outcome:
            case {"value": value}:
                return value
            case {"failed": [str(message), int(line)]}:
                raise QueryFailed(message, line)
            case {"stopped": str(message)}:
                raise QueryStopped(message)
            case {"cannot": str(message)}:
                raise CannotDecide(message)
            case {"too much": str(message)}:
                raise TooMuchToLoad(message)
            case {"broken": str(trace)}:
                fault = RuntimeError("in the process that measures: " + (trace.splitlines() or [""])[-1])
                fault.add_note(trace)
                raise fault
        raise wire.Nonsense("an answer of another form")

    def _end(self) -> int | None:
        """Kill it; gives its exit code (negative: the signal), None where nobody knows it."""
        if self._running is None:
            return None
        owner, pid, connection = self._running
        self._running = None
        connection.close()
        try:
            return owner.end(pid)
        except ZygoteGone:
            return None


def _too_long(allowance: Allowance, deadline_s: float) -> str:
    if deadline_s < allowance.query_deadline_s:
        all_s = allowance.budget.seconds
        return f"stopped after {deadline_s:.3g} s: the queries of this command used up their {all_s:g} s"
    return f"stopped after {deadline_s:g} s; a query must end within that time"


def _how(code: int | None) -> str:
    """`SIGSEGV: Segmentation fault`, or the exit code."""
    if code is None:
        return "with the one that started it"
    if code >= 0:
        return f"exit code {code}"
    try:
        number = signal.Signals(-code)
    except ValueError:
        return f"signal {-code}"
    return f"{number.name}: {signal.strsignal(number)}"
