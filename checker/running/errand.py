"""A part of the loop that runs once and ends: at most one of a kind at a time, killed when it takes too long."""

from __future__ import annotations

import time
from dataclasses import dataclass

from checker.running.process import Forked, Message, Part, fork


@dataclass(slots=True)
class Errand:
    """Runs parts, each for at most `deadline_s` seconds."""

    deadline_s: float
    _forked: Forked | None = None
    _started_s: float = 0.0

    @property
    def is_free(self) -> bool:
        """Whether none is running."""
        return self._forked is None

    @property
    def pipe(self) -> int | None:
        """What to wait on for its next message."""
        return self._forked.pipe if self._forked else None

    def start(self, part: Part) -> None:
        """Start one. Raises OSError."""
        self._forked, self._started_s = fork(part), time.monotonic()

    def tend(self) -> list[Message]:
        """What it said since the last look; that it died, or was killed because it took too long, is among that."""
        forked = self._forked
        if forked is None:
            return []
        is_alive = forked.is_alive()
        said = forked.messages()
        if is_alive and time.monotonic() - self._started_s < self.deadline_s:
            return said
        if is_alive:
            forked.kill()
            said += [*forked.messages(), {"kind": "fault", "told": f"was killed after {self.deadline_s:g} s"}]
        elif forked.code:
            said.append({"kind": "fault", "told": f"died ({forked.code}); the next one does what it left"})
        forked.close()
        self._forked = None
        return [*said, {"kind": "ended"}]

    def wait(self) -> list[Message]:
        """Wait for the one that runs, at most until its deadline; gives what it said."""
        said: list[Message] = []
        while not self.is_free:
            said += self.tend()
            time.sleep(0.01)
        return said
