"""Whatever an application does to its files, and whenever the collector comes by: every line once."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.following import RULE, Follow


class Application(RuleBasedStateMachine):
    """An application that logs and rotates in every way, and a collector that comes by."""

    root: Path

    def __init__(self) -> None:
        super().__init__()
        self.number = len(list(self.root.iterdir()))
        self.follow = Follow(self._folder(), replace(RULE, paths=("telemetry/app*.jsonl",)))
        self.written: list[str] = []
        self.read: list[str] = []
        self.rotations = 0
        self.rest = ""

    def _folder(self) -> Path:
        folder = self.root / f"{self.number}"
        folder.mkdir()
        return folder

    @rule(count=st.integers(1, 3))
    def writes(self, count: int) -> None:
        for _ in range(count):
            name = f'{{"n":{len(self.written)},"by":"{"x" * (len(self.written) % 7)}"}}'
            with self.follow.app.open("a") as file:
                file.write(f"{self.rest}{'' if self.rest else name}\n")
            self.written.append(name)
            if self.rest:
                self.written.pop()
            self.rest = ""

    @rule()
    def writes_half_a_line(self) -> None:
        if not self.rest:
            name = f'{{"n":{len(self.written)},"half":true}}'
            with self.follow.app.open("a") as file:
                file.write(name[:5])
            self.written.append(name)
            self.rest = name[5:]

    @rule()
    def renames(self) -> None:
        if self.follow.app.exists() and not self.rest:
            self.rotations += 1
            self.follow.app.rename(self.follow.folder / f"app-{self.rotations:03d}.jsonl")

    @rule()
    def copies_and_truncates(self) -> None:
        if self.follow.app.exists() and not self.rest:
            self.rotations += 1
            shutil.copy(self.follow.app, self.follow.folder / f"app-{self.rotations:03d}.jsonl")
            os.truncate(self.follow.app, 0)

    @rule()
    def is_collected(self) -> None:
        if self.follow.app.exists() or self.rotations:
            self.read += self.follow.read()

    @invariant()
    def nothing_is_read_twice(self) -> None:
        assert len(set(self.read)) == len(self.read)

    def teardown(self) -> None:
        if self.rest:
            self.writes(1)
        self.is_collected()
        assert sorted(self.read) == sorted(self.written)


def test_whatever_an_application_does_to_its_files(tmp_path: Path) -> None:
    machine = type("InFolder", (Application,), {"root": tmp_path})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=25, derandomize=True, deadline=None,
            suppress_health_check=list(HealthCheck), database=None,
        ),
    )  # fmt: skip
