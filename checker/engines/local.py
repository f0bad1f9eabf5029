"""This machine as the engine: a function over items on all cores, in threads (DuckDB lets go of the interpreter)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Progress = Callable[[int, int], None]


def local_mapper(workers: int | None = None, progress: Progress | None = None) -> Callable[..., Iterator[Any]]:
    """A mapper over `workers` threads (all cores by default); `progress` hears (done, all) after each item."""
    count = workers or os.cpu_count() or 1

    def run(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        if count == 1 or len(items) < 2:
            for done, item in enumerate(items, 1):
                yield function(item)
                if progress:
                    progress(done, len(items))
            return
        with ThreadPoolExecutor(count) as pool:
            for done, result in enumerate(pool.map(function, items), 1):
                yield result
                if progress:
                    progress(done, len(items))

    return run
