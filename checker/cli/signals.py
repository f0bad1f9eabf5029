"""What ends the command from outside, so that it still takes its temporary folders with it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

UNWOUND = (signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Stopped:
    """Which signal has come, 0 for none; `code` is the exit code that shells have for it."""

    number: int = 0

    @property
    def code(self) -> int:
        """128 and the signal's number, or 0."""
        return 128 + self.number if self.number else 0


@contextmanager
def unwinding() -> Iterator[Stopped]:
    """Within, a signal to end raises SystemExit, and a second one does not disturb what that sets in motion.

    A signal that is ignored, as nohup has it, stays so. A library may swallow the exception: then ask `Stopped`.
    """
    stopped = Stopped()

    def stop(number: int, _: FrameType | None) -> None:
        stopped.number = number
        for each in changed:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(stopped.code)

    in_charge = threading.current_thread() is threading.main_thread()  # no other may set a handler
    changed = [number for number in UNWOUND if in_charge and signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
