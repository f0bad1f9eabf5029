"""An application that writes lines and rotates its files in every way, step by step as Hypothesis likes."""

from __future__ import annotations

import os
import shutil
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

GLOB = "telemetry/app*.jsonl"


def few(examples: int, steps: int) -> settings:
    """So many stories of so many steps, the same in every run."""
    return settings(
        max_examples=examples, stateful_step_count=steps, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


class Application(RuleBasedStateMachine):
    """Writes to `telemetry/app.jsonl` below a folder of its own.

    What no collector could know it does not do: a line is not torn by a rotation, and a file gets a name outside of
    the glob only once the collector has read something of it. What is deleted unread is in `gone`.
    """

    root: Path  # of all stories

    def __init__(self) -> None:
        super().__init__()
        self.project = self.root / f"{len(list(self.root.iterdir()))}"
        self.folder = self.project / "telemetry"
        self.folder.mkdir(parents=True)
        self.app = self.folder / "app.jsonl"
        self.written: list[str] = []
        self.gone: set[str] = set()
        self.rest = b""
        self.copy: Path | None = None
        self.rotations = 0
        self.was_cut = False  # since the last look
        self.renamed: list[Path] = []

    @abstractmethod
    def line(self, name: str) -> bytes:
        """The line of this name, with its newline."""
        ...

    @abstractmethod
    def marks(self) -> Iterable[Mapping[str, Any]]:
        """What the collector knows of files."""
        ...

    @abstractmethod
    def names(self) -> list[str]:
        """What the collector has read so far."""
        ...

    @abstractmethod
    def names_in(self, path: Path) -> set[str]:
        """The names of the lines in a file."""
        ...

    def _next(self) -> bytes:
        self.written.append(f"n{len(self.written)}")
        return self.line(self.written[-1])

    def _append(self, path: Path, content: bytes) -> None:
        with path.open("ab") as file:
            file.write(content)

    @rule(count=st.integers(1, 4))
    def writes(self, count: int) -> None:
        self.ends_its_line()
        self._append(self.app, b"".join(self._next() for _ in range(count)))

    @precondition(lambda self: not self.rest)
    @rule(length=st.sampled_from([1, 9, -2, -1]))
    def begins_a_line(self, length: int) -> None:
        line = self._next()
        self._append(self.app, line[:length])
        self.rest = line[length:]

    @rule()
    def ends_its_line(self) -> None:
        if self.rest:
            self._append(self.app, self.rest)
            self.rest = b""

    def _may_rotate(self) -> bool:
        return self.app.exists() and not self.rest and self.copy is None

    def _new_name(self, is_inside: bool) -> Path:
        self.rotations += 1
        inode = self.app.stat().st_ino
        mine = [mark for mark in self.marks() if mark["inode"] == inode and not mark["is_gone"]]
        is_known = not self.was_cut and any(mark["offset"] for mark in mine)
        name = f"app-{self.rotations:03d}.jsonl" if is_inside or not is_known else f"app.jsonl.{self.rotations:03d}"
        return self.folder / name

    @precondition(_may_rotate)
    @rule(is_inside=st.booleans())
    def renames(self, is_inside: bool) -> None:
        self.renamed.append(self.app.rename(self._new_name(is_inside)))

    @precondition(_may_rotate)
    @rule()
    def shifts_numbers(self) -> None:
        numbered = [self.folder / f"app.{number}.jsonl" for number in range(1, 9)]
        for old, new in reversed([*pairwise(numbered)]):
            if old.exists() and not new.exists():
                old.rename(new)
        if not numbered[0].exists():
            self.app.rename(numbered[0])

    @precondition(_may_rotate)
    @rule(is_inside=st.booleans())
    def copies_and_truncates(self, is_inside: bool) -> None:
        shutil.copy(self.app, self._new_name(is_inside))
        self._cut()

    def _cut(self) -> None:
        os.truncate(self.app, 0)
        self.copy, self.was_cut = None, True

    @precondition(_may_rotate)
    @rule()
    def copies(self) -> None:
        self.copy = self._new_name(is_inside=True)
        shutil.copy(self.app, self.copy)

    @precondition(lambda self: self.copy is not None and not self.rest)
    @rule()
    def truncates(self) -> None:
        if self.copy is not None and self.copy.stat().st_size == self.app.stat().st_size:
            self._cut()

    @precondition(lambda self: self.renamed)
    @rule()
    def writes_to_a_file_that_was_renamed(self) -> None:
        if self.renamed[-1].exists():
            self._append(self.renamed[-1], self._next())

    @rule()
    def deletes_the_oldest(self) -> None:
        old = sorted(path for path in self.folder.iterdir() if path not in (self.app, self.copy))
        if old:
            self.gone |= self.names_in(old[0]) - set(self.names())
            trash = self.project / "trash"  # its inode is nobody else's then: what is, is a test of its own
            trash.mkdir(exist_ok=True)
            old[0].rename(trash / f"{len(list(trash.iterdir()))}")

    def check(self) -> None:
        """Every line once, but for what was deleted unread."""
        names = self.names()
        assert len(set(names)) == len(names)
        assert set(self.written) - self.gone <= set(names) <= set(self.written)
