"""How much the children of a command may take."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

LOADING_DEADLINE_S = 120.0  # for what a child does before it is locked: statements of phasegate's own
MORE_MEMORY_BYTES = 512 << 20  # of address space, beside what DuckDB is told that it may use
CPU_GRACE_S = 2  # a query's CPU time beyond its deadline: it counts when nobody is left to watch the clock


class Budget:
    """Seconds that all queries of a command may take together, counted while they run."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._spent_s = 0.0
        self._lock = threading.Lock()

    @property
    def left_s(self) -> float:
        """What is left, at least 0."""
        return max(0.0, self.seconds - self._spent_s)

    def __reduce__(self) -> tuple[type[Budget], tuple[float]]:
        """What travels to another process is what is left; what is spent there is told with `spend`."""
        return Budget, (self.left_s,)

    def spend(self, seconds: float) -> None:
        """Count time that was taken elsewhere."""
        with self._lock:
            self._spent_s += seconds

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time that the block takes."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.spend(time.monotonic() - begun)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one query may take: seconds until it has answered, MiB in DuckDB; `budget` is for all of a command."""

    query_deadline_s: float
    query_memory_mb: int
    budget: Budget = field(compare=False)
