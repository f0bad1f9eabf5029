"""The process that speaks with a Ray cluster: reads spans from its input, hands them out, writes what came of them.

What it answers is, for each span in order, (SpanResult, seconds spent), or a text that says why it cannot go on.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from checker import __version__
from checker.analyzer.span_events import Span
from checker.analyzer.spans import SpanResult, failed_span
from checker.engines.ray import look_for, lost
from checker.errors import CannotDecide

TRIES = 3  # of a span whose worker died
LOOK_S = 2.0  # between two looks whether the head is still there
_AHEAD = 2  # spans handed out for each core of the cluster, so that none waits for the next

Answer = tuple[SpanResult, float]


def main() -> None:
    """Answer on what was stdout; whatever Ray prints goes nowhere."""
    with os.fdopen(os.dup(1), "wb") as answers:
        quiet = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(quiet, stream)
        address, function, spans = pickle.load(sys.stdin.buffer)
        try:
            for answer in answered(_connected(address), address, function, spans):
                _write(answers, answer)
        except CannotDecide as fault:
            _write(answers, str(fault))


def _write(answers: Any, answer: Answer | str) -> None:
    pickle.dump(answer, answers)
    answers.flush()


def _connected(address: str | None) -> Any:
    """Ray, connected. Raises CannotDecide where the cluster does not answer."""
    import ray

    options: dict[str, Any] = {"address": address} if address else {"include_dashboard": False}
    try:
        ray.init(log_to_driver=False, **options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as fault:
        raise CannotDecide(lost(address)) from fault
    return ray


def answered(ray: Any, address: str | None, function: Any, spans: Sequence[Span]) -> Iterator[Answer]:
    """What came of each span, in order; so many are on their way that no core waits, and no more."""
    task = ray.remote(num_cpus=1, max_retries=TRIES - 1)(measured_there)
    most = max(1, int(ray.cluster_resources().get("CPU", 1))) * _AHEAD
    stored: dict[str, Any] = {}
    waiting: deque[tuple[Span, Any]] = deque()
    for span in spans:
        files = list(_files(ray, span, stored))
        waiting.append((span, task.remote(function, __version__, span, *files)))
        if len(waiting) >= most:
            yield _next(ray, address, *waiting.popleft())
    while waiting:
        yield _next(ray, address, *waiting.popleft())


def _files(ray: Any, span: Span, stored: dict[str, Any]) -> Iterator[Any]:
    """Each batch's typed events, put into the object store once."""
    for batch in span.batches:
        if batch.key not in stored:
            stored[batch.key] = ray.put(batch.events_file.read_bytes())
        yield stored[batch.key]


def _next(ray: Any, address: str | None, span: Span, reference: Any) -> Answer:
    """What came of a span; errors in its windows where no worker lived to measure it. Raises CannotDecide."""
    errors = ray.exceptions
    try:
        while not ray.wait([reference], timeout=LOOK_S)[0]:
            look_for(address)
        answer: Answer = ray.get(reference)
    except errors.RayTaskError as fault:
        told = (
            fault.cause if isinstance(fault.cause, CannotDecide) else f"a worker of the cluster failed: {fault.cause}"
        )
        raise CannotDecide(str(told)) from fault
    except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError):
        return failed_span(span, f"the cluster's workers died of it, {TRIES} of them"), 0.0
    except (errors.RayError, ConnectionError, TimeoutError) as fault:
        raise CannotDecide(lost(address)) from fault
    return answer


def measured_there(function: Any, version: str, span: Span, *files: bytes) -> Answer:
    """In a worker: the span measured over the batches' events as they were sent, and the seconds its queries took."""
    if version != __version__:
        raise CannotDecide(f"a worker has phasegate {__version__}, this is {version}; install the same version there")
    budget = function.keywords["allowance"].budget
    before_s = budget.left_s
    with tempfile.TemporaryDirectory(prefix="phasegate-span-") as folder:
        placed = []
        for batch, content in zip(span.batches, files, strict=True):
            place = Path(folder) / f"{batch.key}.parquet"
            place.write_bytes(content)
            placed.append(replace(batch, events_file=place))
        return function(replace(span, batches=tuple(placed))), before_s - budget.left_s


if __name__ == "__main__":
    from checker.engines.ray_driver import main as run  # under its own name, as workers import it

    run()
