"""This machine as the engine, in processes: one that dies takes nothing with it but the item that it was at.

What `local` runs in threads is one command's own work. Here each item is a stranger's whole project: the logs of one
may end the process that reads them, and another's verdict is none the worse for it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any

from checker.child import kernel
from checker.engines.local import Progress

_PATIENCE_S = 10  # for a process that has closed its connection to be gone


@dataclass(frozen=True, slots=True)
class Died:
    """What stands in the place of a result: the process that worked on the item ended, and how."""

    how: str


@dataclass(slots=True)
class _Worker:
    """A forked process, the connection to it, and the number of the item that it is at."""

    process: ForkProcess
    connection: Connection
    item: int | None = None


def in_processes(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Any]:
    """What `function` makes of each item, in the items' order; `Died` for one whose process ended over it.

    `workers` processes (all cores by default) are forked from this one as it is, so `function` and `items` need not be
    picklable; results must be. `function` raises nothing: what it meets is a result.
    """
    results: list[Any] = [None] * len(items)
    waiting = deque(range(len(items)))
    count = max(1, min(workers or os.cpu_count() or 1, len(items)))
    running: list[_Worker] = []
    done = 0
    try:
        while waiting or running:
            while waiting and len(running) < count:
                running.append(_forked(function, items))
                _give(running[-1], waiting)
            for worker in _ready(running):
                assert worker.item is not None, "an idle one is let go"
                results[worker.item] = result = _result_of(worker)
                done += 1
                if progress:
                    progress(done, len(items))
                if isinstance(result, Died) or not waiting:
                    _end(worker)
                    running.remove(worker)
                else:
                    _give(worker, waiting)
    finally:
        for worker in running:
            _end(worker)
    return results


def _forked(function: Callable[[Any], Any], items: Sequence[Any]) -> _Worker:
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_live, args=(function, items, theirs, mine))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of the command hold nothing that it needs
        process.start()
    theirs.close()
    return _Worker(process, mine)


def _live(function: Callable[[Any], Any], items: Sequence[Any], connection: Connection, parents: Connection) -> None:
    """A worker's life: the item of each number that it receives, until the other side is gone."""
    kernel.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command hears it, and ends this one
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    parents.close()
    with suppress(EOFError, OSError):
        while True:
            item = items[connection.recv()]
            try:
                connection.send(function(item))
            except OSError:
                raise
            except Exception as fault:  # not even the result of an error could be sent
                connection.send(Died(f"internal error: {type(fault).__name__}: {fault}"))


def _give(worker: _Worker, waiting: deque[int]) -> None:
    """Hand out the next item. One that has died meanwhile is found out when its result is read."""
    worker.item = waiting.popleft()
    with suppress(OSError):
        worker.connection.send(worker.item)


def _ready(running: Sequence[_Worker]) -> list[_Worker]:
    ready = wait([worker.connection for worker in running])
    return [worker for worker in running if worker.connection in ready]


def _result_of(worker: _Worker) -> Any:
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join(_PATIENCE_S)
        return Died(_how(worker.process.exitcode or 0))


def _end(worker: _Worker) -> None:
    worker.connection.close()
    worker.process.kill()
    worker.process.join()
    worker.process.close()


def _how(code: int) -> str:
    """`SIGSEGV: Segmentation fault`, or the exit code."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        number = signal.Signals(-code)
        return f"{number.name}: {signal.strsignal(number)}"
    return f"signal {-code}"
