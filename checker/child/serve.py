"""A child's life: load what it needs, be locked for good, answer until the command is gone."""

from __future__ import annotations

import math
import pickle
import socket
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from checker.child import kernel, limits, wire
from checker.errors import CannotDecide, QueryFailed

# What a child does: entering loads (files may be read), and gives what it has to tell of that, and the function that
# answers requests (nothing may be reached any more).
Answer = Callable[[Any], Any]
Opened = tuple[Any, Answer]
Service = Callable[[], AbstractContextManager[Opened]]


def serve(connection: socket.socket) -> None:
    """Receive a service, open it, lock this process, and answer requests until the other side is gone."""
    try:
        service, memory_bytes = pickle.loads(wire.receive(connection))
        context = service()  # never left: this process ends first
        answers: list[Answer] = []
        wire.send(connection, _message(lambda: _open(context, memory_bytes, answers)))
        while answers:
            deadline_s, request = pickle.loads(wire.receive(connection))
            kernel.limit_cpu(math.ceil(deadline_s) + limits.CPU_GRACE_S, limits.MAX_CPU_S)
            wire.send(connection, _message(partial(answers[0], request)))
    except wire.Closed:
        return


def _open(context: AbstractContextManager[Opened], memory_bytes: int, answers: list[Answer]) -> Any:
    """What the service tells once it is open and locked; its function is added to `answers`."""
    told, answer = context.__enter__()
    try:
        lock(memory_bytes)
    except OSError as fault:
        raise CannotDecide(f"the process that measures cannot be locked: {fault}") from None
    answers.append(answer)
    return told


def lock(memory_bytes: int) -> None:
    """Give up, for good, whatever measuring does not need. Raises OSError where the kernel refuses a layer it has."""
    kernel.only_one_thread()
    kernel.limit_memory(memory_bytes + limits.MORE_MEMORY_BYTES)
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
        content = wire.to_json({"failed": [f"returns more than {wire.MAX_ANSWER_BYTES >> 20} MiB", 0]})
    return content
