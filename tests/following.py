"""A source of files, read again and again as an application writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checker.collector.sources.base import Ask
from checker.collector.sources.files import FilesSource
from checker.model import Window
from checker.policy.collecting import FilesRule
from tests.batches import FIRST, WINDOW

RULE = FilesRule("app", paths=("telemetry/*.jsonl",))


class Taken:
    """A sink that keeps everything; `until` is where reading may stop."""

    def __init__(self, past: bytes = b"\0") -> None:
        self.lines: list[bytes] = []
        self.places: list[tuple[str, int]] = []
        self.told: list[str] = []
        self._past = past

    def add(self, lines: bytes, origin: str, offset: int = 0, *, is_verbatim: bool = False) -> None:
        assert lines.endswith(b"\n")
        assert is_verbatim
        self.lines += lines.splitlines()
        self.places.append((origin, offset))

    def is_past(self, lines: bytes) -> bool:
        return self._past in lines

    def tell(self, told: str) -> None:
        self.told.append(told)


class Follow:
    """A source over `root/telemetry`, read again and again."""

    def __init__(self, root: Path, rule: FilesRule = RULE) -> None:
        self.folder = root / "telemetry"
        self.folder.mkdir(exist_ok=True)
        self.app = self.folder / "app.jsonl"
        self.copy = self.folder / "app-1.jsonl"  # where a rotation puts it
        self.source = FilesSource(rule, root)
        self.position: Any = {}
        self.told: list[str] = []

    def write(self, *lines: str, path: Path | None = None) -> None:
        with (path or self.app).open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def read(self) -> list[str]:
        sink = Taken()
        ask = Ask(Window(FIRST, FIRST + WINDOW), FIRST + WINDOW, "B", True)
        self.position = json.loads(json.dumps(self.source.read(self.position, ask, sink)))
        self.told = sink.told
        return [line.decode() for line in sink.lines]
