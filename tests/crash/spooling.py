"""A receiver in a process of its own that is killed, and clients that note what it acknowledged. A worker."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx

from checker.collector.otlp import spool
from checker.collector.otlp.receiver import PATH, PROTOBUF, Receiver
from checker.policy.collecting import OtlpRule
from checker.running.serving import Address, serve
from tests.crash import worker
from tests.crashing import Ended, run_in_child
from tests.otlp_client import FIELDS, request, saves

RULE = OtlpRule("otel", fields=FIELDS, max_request_mb=1)
SEGMENT_BYTES = 700  # a request or a few: segments end and begin in the middle of it all
SAVES = (2, 1, 3, 2, 5, 1, 20, 2, 1, 2, 3, 1)  # in each request; one is more than a segment


def names_of(number: int) -> list[str]:
    """The events of a request, by their request_ids."""
    return [f"r{number * 100 + each}" for each in range(SAVES[number])]


def body_of(number: int) -> bytes:
    """What a client sends for it."""
    return request(saves(SAVES[number], number * 100)).SerializeToString()


def send(port: int, numbers: Iterable[int]) -> list[int]:
    """Send requests one after the other; gives those that were acknowledged until nobody answered any more."""
    acknowledged = []
    with httpx.Client(trust_env=False, headers={"Content-Type": PROTOBUF}) as client:
        for number in numbers:
            try:
                answer = client.post(f"http://127.0.0.1:{port}{PATH}", content=body_of(number))
            except httpx.TransportError:
                break
            assert answer.status_code == 200, answer.text
            acknowledged.append(number)
    return acknowledged


def _receives(folder: Path, port: int) -> None:
    spool.SEGMENT_BYTES = SEGMENT_BYTES
    with serve(Receiver(RULE, folder), Address("127.0.0.1", 0)) as address:
        os.write(port, b"%d\n" % address.port)
        signal.pause()


def receive(
    arguments: list[list[int]],
    folder: Path,
    environment: Mapping[str, str],
    scratch: Path,
    kill_at: int | None,
    watched: bool,
) -> Ended:
    """A receiver, to its point or until all clients are done; each of them sends what one of `arguments` says.

    `out` is what was acknowledged, as JSON.
    """
    told, tells = os.pipe()
    acknowledged: list[int] = []

    def send_all(child: int) -> None:
        os.close(tells)
        with os.fdopen(told) as pipe, ThreadPoolExecutor(len(arguments)) as clients:
            if port := pipe.readline():
                for of_one in clients.map(partial(send, int(port)), arguments):
                    acknowledged.extend(of_one)
        os.kill(child, signal.SIGKILL)

    ended = run_in_child(
        partial(_receives, folder, tells), folder, environment, scratch, kill_at, watched=watched, meanwhile=send_all
    )
    return replace(ended, out=json.dumps(acknowledged))


if __name__ == "__main__":
    body_of(0)  # the messages are made once
    worker.serve(receive)
