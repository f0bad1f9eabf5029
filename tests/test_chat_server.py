"""The chat server as a process: killed while it writes, and started anew with what it had."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chat_server import ChatServer
from tests.transports import MESSAGE, bot


@contextmanager
def started(state: Path) -> Iterator[ChatServer]:
    """A process that serves; what is given tells its addresses alone."""
    command = [sys.executable, "-m", "tests.chat_server", "--port", "0", "--state", str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield ChatServer(port=int(process.stdout.readline()))
        process.kill()


def test_what_it_took_outlives_it(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    with started(state) as chat:
        sent = bot(chat).send(MESSAGE)
    with state.open("a", encoding="utf-8") as file:
        file.write('{"list": "messages", "item": {"ts"')  # torn
    with started(state) as chat:
        found = bot(chat).send(MESSAGE)
    assert (found.reference, found.found) == (sent.reference, True)
    kept = [json.loads(line) for line in state.read_text(encoding="utf-8").splitlines()]
    assert [row["item"]["channel"] for row in kept if row["list"] == "messages"] == ["C002"]
    assert "/api/chat.postMessage" in [row["item"] for row in kept if row["list"] == "requests"]
