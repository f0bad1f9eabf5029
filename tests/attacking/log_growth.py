"""Lines that take longer to read than they are long: one is timed against another that is four times as long."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from checker.analyzer import lines
from tests.attacking.log_commands import ATTACKED, command, logs, proved, seen
from tests.attacking.log_parts import bytes_of
from tests.attacking.model import Attack

TIMES = 4
BETWEEN = 8  # a time that grows with the length grows by 4, one that grows with its square by 16
BRIEF_S, TURNS = 0.01, 5


def carry_growing_line(attack: Attack, folder: Path) -> str:
    """`does` are the parts of a line; a batch has it, and again with what is repeated in it TIMES as often."""
    short, long = bytes_of(attack.does), bytes_of([_longer(part) for part in attack.does])
    log_folder = logs(folder)
    with (log_folder / ATTACKED).open("ab") as batch:
        batch.writelines(line + b"\n" for line in (short, long))
    cached = Path(shutil.copytree(proved(), folder / "cache"))
    with _clocked() as spent_s:
        told = command("explain", log_folder, cached, "--phase", "B", "--quarantined", "--format", "json")
    growth = spent_s[len(long)] / spent_s[len(short)]
    return f"{seen(told)}\n{'in step' if growth < BETWEEN else 'out of step'} with its length: {growth:.1f} times"


def _longer(part: Any) -> Any:
    return part if isinstance(part, str) else {**part, "times": part["times"] * TIMES}


@contextmanager
def _clocked() -> Iterator[dict[int, float]]:
    """CPU seconds that a line of so many bytes took to be read: the least of a few turns, of one where that is long."""
    spent_s: dict[int, float] = {}
    parse = lines._parse

    def clocked(line: bytes, whole: bool) -> Any:
        for _ in range(TURNS):
            begun = time.process_time()
            try:
                result = parse(line, whole)
            finally:
                took_s = time.process_time() - begun
                spent_s[len(line)] = min(took_s, spent_s.get(len(line), took_s))
            if took_s > BRIEF_S:
                break
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_parse", clocked)
        yield spent_s
