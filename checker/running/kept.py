"""A part of the loop that runs for good: started again when it dies, after a pause that grows."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from checker.running.process import Forked, Message

PAUSES_S = (0.0, 1.0, 5.0, 30.0)  # before each start after a death; the last one from then on
HEALTHY_S = 300.0  # one that lived so long is not counted among those that keep dying


@dataclass(slots=True)
class Kept:
    """Keeps what `start` starts alive. `starts` is how often that was."""

    name: str
    start: Callable[[], Forked]
    starts: int = 0
    _forked: Forked | None = None
    _deaths: int = 0
    _started_s: float = 0.0
    _not_before_s: float = 0.0
    _faults: list[str] = field(default_factory=list)

    @property
    def pipe(self) -> int | None:
        """What to wait on for its next message."""
        return self._forked.pipe if self._forked else None

    def tend(self) -> list[Message]:
        """Start it where it does not run, and give what it said; a death is among that."""
        now_s = time.monotonic()
        if self._forked is None:
            if now_s < self._not_before_s:
                return []
            self._forked, self._started_s = self.start(), now_s
            self.starts += 1
        is_alive = self._forked.is_alive()  # first: what it says before it dies is read below
        said = self._forked.messages()
        if is_alive:
            return said
        self._deaths = self._deaths + 1 if now_s - self._started_s < HEALTHY_S else 1
        self._not_before_s = now_s + PAUSES_S[min(self._deaths, len(PAUSES_S)) - 1]
        code = self._forked.code
        self._forked.close()
        self._forked = None
        return [*said, {"kind": "fault", "told": f"ended by itself ({_told(code)}), and is started again"}]

    def renew(self) -> list[Message]:
        """End it, so that the next `tend` starts it anew; gives what it still said."""
        said = self.stop(60.0)
        self._deaths, self._not_before_s = 0, 0.0
        return said

    def ask_to_stop(self) -> None:
        """Have it finish the step at hand and end."""
        if self._forked is not None:
            self._forked.signal(signal.SIGTERM)

    def stop(self, deadline_s: float) -> list[Message]:
        """Have it finish the step at hand, and wait for that; past the deadline it is killed."""
        if self._forked is None:
            return []
        self.ask_to_stop()
        end_s = time.monotonic() + deadline_s
        said: list[Message] = []
        while self._forked.is_alive() and time.monotonic() < end_s:
            said += self._forked.messages()
            time.sleep(0.01)
        self._forked.kill()
        said += self._forked.messages()
        self._forked.close()
        self._forked = None
        return said


def _told(code: int | None) -> str:
    return f"exit code {code}" if code is None or code >= 0 else f"signal {-code}"
