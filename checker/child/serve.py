"""A child's life: load what it needs, be locked for good, answer until the command is gone."""

from __future__ import annotations

import math
import pickle
import socket
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from checker.child import allowance, kernel, wire
from checker.errors import CannotDecide, QueryFailed, TooMuchToLoad

# What a child does: entering loads (files may be read), and gives what it has to tell of that, and the function that
# answers requests (nothing may be reached any more).
Answer = Callable[[Any], Any]
Opened = tuple[Any, Answer]
Service = Callable[[], AbstractContextManager[Opened]]


def serve(connection: socket.socket) -> None:
    """Receive a service, open it, lock this process, and answer requests until the other side is gone."""
    try:
        begun = _Begun()
        wire.send(connection, _message(partial(_begin, wire.receive(connection), begun)))
        while begun.answer is not None:
            deadline_s, request = pickle.loads(wire.receive(connection))
            kernel.limit_cpu(math.ceil(deadline_s) + allowance.CPU_GRACE_S, begun.cpu_s)
            wire.send(connection, _message(partial(begun.answer, request)))
    except wire.Closed:
        return


@dataclass(slots=True)
class _Begun:
    """A service at work: its context, which is never left because this process ends first, and its function."""

    context: AbstractContextManager[Opened] | None = None
    answer: Answer | None = None
    cpu_s: int = 0


def _begin(order: bytes, begun: _Begun) -> Any:
    """What the service tells once it is open and locked."""
    service, memory_bytes, begun.cpu_s = pickle.loads(order)
    begun.context = context = service()
    told, answer = context.__enter__()
    try:
        lock(memory_bytes)
    except OSError as fault:
        raise CannotDecide(f"the process that measures cannot be locked: {fault}") from None
    begun.answer = answer
    return told


def lock(memory_bytes: int) -> None:
    """Give up, for good, whatever measuring does not need. Raises OSError where the kernel refuses a layer it has."""
    kernel.only_one_thread()
    kernel.limit_memory(memory_bytes + allowance.MORE_MEMORY_BYTES)
    kernel.limit_file_size()
    kernel.limit_processes()
    kernel.drop_root()
    kernel.die_with_parent()  # again: who becomes somebody else is no longer bound by it
    kernel.no_new_privileges()
    kernel.landlock()
    kernel.limit_descriptors()


def _attempt(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": work()}
    except QueryFailed as fault:
        return {"failed": [str(fault), fault.line]}
    except TooMuchToLoad as fault:
        return {"too much": str(fault)}
    except CannotDecide as fault:
        return {"cannot": str(fault)}
    except (MemoryError, RecursionError) as fault:
        return {"failed": [f"ran out of {'memory' if isinstance(fault, MemoryError) else 'stack'}", 0]}
    except Exception:
        return {"broken": traceback.format_exc()}


def _message(work: Callable[[], Any]) -> bytes:
    """What comes of `work`, as JSON; what cannot be sent is a failure."""
    try:
        content = wire.to_json(_attempt(work))
    except (TypeError, ValueError, RecursionError, MemoryError) as fault:
        content = wire.to_json({"failed": [f"returns what cannot be handed on: {fault}"[:300], 0]})
    if len(content) > wire.MAX_ANSWER_BYTES:
        content = wire.to_json({"stopped": f"returns more than {wire.MAX_ANSWER_BYTES >> 20} MiB"})
    return content
