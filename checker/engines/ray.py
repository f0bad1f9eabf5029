"""A Ray cluster as the engine: spans are measured by its workers, each in a locked child of its own as on one machine.

Only measuring is handed out. Batches are read here, and what a span needs of them travels through Ray's object store,
so that workers need neither the logs nor the cache, only phasegate of the same version. The part that speaks with the
cluster is a process of its own (`ray_driver`): Ray prints where it likes, and ends the process that lost its head.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from checker.analyzer.span_events import Span
from checker.analyzer.spans import SpanResult
from checker.analyzer.telemetry import Mapper
from checker.engines.local import Progress, local_mapper
from checker.errors import CannotDecide, UsageError

INSTALL = "pip install 'phasegate[ray]'"
CONNECT_S = 3.0
STOP_S = 10.0


@dataclass(slots=True)
class RayMapper:
    """Maps `measure_span` over the cluster at `address` (None: one that is started here), everything else here.

    Raises CannotDecide where the cluster cannot be reached, or is lost; UsageError where Ray is not installed.
    """

    address: str | None = None
    progress: Progress | None = None
    threads: int | None = None

    def __call__(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Results in the order of `items`."""
        if not items or not isinstance(items[0], Span):
            yield from local_mapper(self.threads, self.progress)(function, items)
            return
        yield from self._measured(function, items)

    def _measured(self, function: Any, spans: Sequence[Span]) -> Iterator[SpanResult]:
        if importlib.util.find_spec("ray") is None:
            raise UsageError(f"--engine ray: Ray is not installed; {INSTALL}")
        look_for(self.address)
        budget = function.keywords["allowance"].budget
        with _driver() as (commands, answers):
            try:
                pickle.dump((self.address, function, list(spans)), commands)
                commands.flush()
                for done in range(len(spans)):
                    result, spent_s = _answer(answers)
                    budget.spend(spent_s)
                    if self.progress:
                        self.progress(done + 1, len(spans))
                    yield result
            except (EOFError, OSError, pickle.UnpicklingError) as fault:
                raise CannotDecide(lost(self.address)) from fault


def _answer(answers: IO[bytes]) -> tuple[SpanResult, float]:
    """The next result, and the seconds its queries took. Raises CannotDecide where the driver tells that it cannot."""
    answer = pickle.load(answers)
    if isinstance(answer, str):
        raise CannotDecide(answer)
    result, spent_s = answer
    return result, spent_s


@contextmanager
def _driver() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The process that speaks with the cluster: what it is told, and what it answers; it ends with the block."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "checker.engines.ray_driver"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdin, process.stdout
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def look_for(address: str | None) -> None:
    """Raises CannotDecide where nobody listens at the cluster's head: Ray would wait, and then end its process."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.removeprefix("ray://").strip("[]"), int(port)), timeout=CONNECT_S).close()
    except OSError as fault:
        raise CannotDecide(lost(address)) from fault


def lost(address: str | None) -> str:
    """That a cluster is not there, and what to do."""
    where = f"the Ray cluster at {address}" if address else "a Ray cluster on this machine"
    return f"{where} cannot be reached, or was lost; look with `ray status`, start it again, or use --engine local"


def ray_mapper(address: str | None, progress: Progress | None, threads: int | None) -> Mapper:
    """The mapper over a Ray cluster; nothing is connected before there is something to measure."""
    return RayMapper(address, progress, threads)
