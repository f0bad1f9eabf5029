"""The receiver, killed at every point at which it writes or answers, while clients send: what it acknowledged is there.

A spool that a first receiver left, with an end that is torn, is gone on with by one that is killed, and by a third to
which the clients send again all that nobody answered. A source reads on between.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from checker.collector.otlp.spool import segments
from checker.collector.sources.base import Position
from checker.collector.sources.otlp import OtlpSource
from tests.crash.spooling import RULE, SAVES, names_of, send
from tests.crash.stage import Worker, working
from tests.crashing import Ended
from tests.otlp_client import receiving
from tests.test_otlp_spool import ASK, Taken

EVERY = int(os.environ.get("PHASEGATE_CRASH", "1"))
FIRST, THEN = [0, 1, 2, 3], list(range(4, len(SAVES)))
ONE, THREE = [[*THEN, 5]], [THEN[0::3], THEN[1::3], [*THEN[2::3], 4]]  # who sends what; one request is sent twice


@dataclass
class Stage:
    """The spool in `root`, as the first receiver left it in `kept`; `position` is what was read of it by then."""

    root: Path
    kept: Path
    worker: Worker
    position: Position

    def run(self, clients: list[list[int]], kill_at: int | None = None) -> Ended:
        return self.worker.run(
            arguments=clients, folder=str(self.root), environment={}, scratch=str(self.kept.parent / "scratch"),
            kill_at=kill_at, watched=True,
        )  # fmt: skip

    def restore(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.kept, self.root)

    def read(self, position: Position) -> tuple[Position, Counter[str]]:
        """How often each event lies in the spool from there on, and the position after it."""
        taken = Taken()
        position = OtlpSource(RULE, self.root).read(position, ASK, taken)
        return position, Counter(json.loads(line)["request_id"] for line in taken.lines)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("spool")
    root = folder / "spool"
    root.mkdir()
    with working("tests.crash.spooling") as worker:
        stage = Stage(root, folder / "kept", worker, {})
        assert json.loads(stage.run([FIRST]).out) == FIRST
        stage.position, found = stage.read({})
        assert found == Counter(events_of(FIRST))
        with segments(root)[-1].open("ab") as segment:
            segment.write(b"#" + b"0" * 64 + b" 1000 2\n{")
        shutil.copytree(root, stage.kept)
        yield stage


def events_of(numbers: Iterable[int]) -> list[str]:
    return [name for number in numbers for name in names_of(number)]


@pytest.mark.parametrize("clients", [ONE, THREE], ids=["one", "three"])
def test_killed_anywhere_what_was_acknowledged_is_there_once(stage: Stage, clients: list[list[int]]) -> None:
    stage.restore()
    undisturbed = stage.run(clients)
    assert sorted(json.loads(undisturbed.out)) == sorted(number for numbers in clients for number in numbers)
    assert len(segments(stage.root)) >= 4
    count = len(undisturbed.points)
    assert count >= 60
    answered = 0
    for point in range(1, count + 1, EVERY):
        stage.restore()
        ended = stage.run(clients, kill_at=point)
        where = f"point {point} of {count}: {ended.points[-1] if ended.points else '?'}"
        assert ended.was_killed, (where, ended.err)
        acknowledged = set(json.loads(ended.out))
        assert_whole_requests(stage, acknowledged, where)
        answered += len(acknowledged)
    assert 0 < answered < count // EVERY * len(THEN)  # neither were all killed too early, nor too late


def assert_whole_requests(stage: Stage, acknowledged: set[int], where: str) -> None:
    position, found = stage.read(stage.position)
    there = [number for number in THEN if found[names_of(number)[0]]]
    assert found == Counter(events_of(there)), where  # none twice, and nothing of a request without the rest of it
    assert acknowledged <= set(there), where
    with receiving(stage.root) as (_, address):
        again = [number for number in THEN if number not in acknowledged]
        assert send(address.port, [*FIRST, *again]) == [*FIRST, *again], where
    _, more = stage.read(position)
    assert found + more == Counter(events_of(THEN)), where
    assert stage.read({})[1] == Counter(events_of(range(len(SAVES)))), where
