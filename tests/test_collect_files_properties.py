"""Whatever an application does to its files, and whenever the collector comes by: every line in one batch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from checker.collector.places import Places
from checker.collector.sources.base import Ask
from checker.collector.sources.files import FilesSource
from checker.collector.sources.tail import READ_BYTES
from checker.collector.state import newest_state
from checker.model import Window
from tests.batches import FIRST, WINDOW, start_of
from tests.collectors import Bench, save
from tests.following import RULE, Taken
from tests.rotating import GLOB, Application, few

ANY = replace(RULE, paths=(GLOB,), optional=True)


class CatchingUp(Taken):
    """A sink that has reading stop ahead of the lines from number `first` on."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first = first

    def is_past(self, lines: bytes) -> bool:
        return all(number_of(line) >= self._first for line in lines.splitlines())


def number_of(line: bytes) -> int:
    """Which line it is."""
    return int(line[1:9]) if line[1:9].isdigit() else -1


class Followed(Application):
    """Read by the source alone, which may stop before any line: each is longer than half of what it reads at once."""

    def __init__(self) -> None:
        super().__init__()
        self.source = FilesSource(ANY, self.project)
        self.position: Any = {}
        self.read: list[str] = []

    def line(self, name: str) -> bytes:
        return b"n%08d%s\n" % (int(name[1:]), b"x" * (READ_BYTES // 2))

    def marks(self) -> Iterable[Mapping[str, Any]]:
        return self.position.get("files", ())

    def names(self) -> list[str]:
        return self.read

    def names_in(self, path: Path) -> set[str]:
        return {f"n{number_of(line)}" for line in path.read_bytes().splitlines()}

    @rule(stops_before=st.integers(-4, 0))
    def is_read(self, stops_before: int) -> None:
        sink = CatchingUp(len(self.written) + stops_before if stops_before else len(self.written) + 1)
        ask = Ask(Window(FIRST, FIRST + WINDOW), FIRST + WINDOW, "B", False)
        self.position = json.loads(json.dumps(self.source.read(self.position, ask, sink)))
        self.read += dict.fromkeys(f"n{number_of(line)}" for line in sink.lines)  # a batch drops its copies
        self.was_cut = False

    @invariant()
    def nothing_is_read_twice(self) -> None:
        assert len(set(self.read)) == len(self.read)

    def teardown(self) -> None:
        self.ends_its_line()
        self.is_read(0)
        self.check()


def test_every_line_is_read_once(tmp_path: Path) -> None:
    run_state_machine_as_test(type("Story", (Followed,), {"root": tmp_path}), settings=few(60, 35))
    assert len(list(tmp_path.iterdir())) >= 30  # so many stories were told


class Collected(Application):
    """Collected window by window, sometimes late, with lines of windows before, of this one and of the next."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(self.project, (ANY,))
        self.number = 0

    def line(self, name: str) -> bytes:
        at = start_of(self.number + int(name[1:]) % 3 - 1) + timedelta(minutes=2)
        return json.dumps(save(at, name)).encode() + b"\n"

    def marks(self) -> Iterable[Mapping[str, Any]]:
        state = newest_state(Places(self.bench.logs))
        marks: Iterable[Mapping[str, Any]] = state.sources["app"]["files"] if state else ()
        return marks

    def names(self) -> list[str]:
        """In batches, and carried into the next one."""
        carried = sorted((self.bench.logs / "collector" / "carried").glob("*.jsonl"))
        state = newest_state(Places(self.bench.logs))
        waiting = carried[-1].read_bytes().splitlines() if state and state.carried else ()
        return [*self.bench.ids().elements(), *(json.loads(line)["request_id"] for line in waiting)]

    def names_in(self, path: Path) -> set[str]:
        return {json.loads(line)["request_id"] for line in path.read_bytes().splitlines()}

    @rule(windows=st.sampled_from([1, 1, 1, 2]))
    def is_collected(self, windows: int) -> None:
        sealed = self.bench.cycle(self.number + windows - 1)
        self.number += windows
        self.was_cut = False
        assert all(batch.seal.quarantined == 0 for batch in sealed)

    def teardown(self) -> None:
        self.ends_its_line()
        self.is_collected(1)
        self.is_collected(1)
        self.check()
        assert len(list(self.bench.logs.glob("*.jsonl"))) >= 2


def test_every_line_is_in_one_batch(tmp_path: Path) -> None:
    run_state_machine_as_test(type("Story", (Collected,), {"root": tmp_path}), settings=few(9, 20))
    assert len(list(tmp_path.iterdir())) >= 5
