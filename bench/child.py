"""What the locked children add to a check: the shipped sample, checked by turns with them and without.

Without them the same services run in the command's own process, unlocked but for DuckDB's settings: the floor. Both are
whole commands, timed from outside, with and without a cache.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "tests/samples/autosave"
TURNS = 11
ALLOWED_MS = 60


class InThisProcess:
    """Stands for `Child` and answers from this process."""

    def __init__(self, service: Any, _: Any) -> None:
        self._stack = ExitStack()
        self.told, self._answer = self._stack.enter_context(service())

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ask(self, request: Any) -> Any:
        """The service's answer, as plain as from a child."""
        from checker.child import wire

        return wire.from_json(wire.to_json(self._answer(request)))


def check(arguments: list[str], *, with_children: bool) -> None:
    """Run one check in this process."""
    if not with_children:
        from checker.analyzer import gate, governed, parser, spans

        governed.expect_children = lambda: None  # type: ignore[assignment]
        for module in (gate, parser, spans):
            module.locked_child = InThisProcess  # type: ignore[assignment]
    from checker.cli import main

    sys.argv = ["phasegate", *arguments]
    main()


def timed_ms(kind: str, arguments: list[str]) -> float:
    """Milliseconds that a whole command takes."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, __file__, kind, *arguments], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000


def measure(title: str, arguments: list[str]) -> bool:
    """Time both by turns, print the medians, and tell whether the children cost no more than they may."""
    for kind in ("with", "without"):
        timed_ms(kind, arguments)
    pairs = [(timed_ms("with", arguments), timed_ms("without", arguments)) for _ in range(TURNS)]
    with_ms, without_ms = (statistics.median(column) for column in zip(*pairs, strict=True))
    added_ms = statistics.median(one - other for one, other in pairs)
    print(
        f"{title:<28} {with_ms:6.0f} ms with children, {without_ms:6.0f} ms without:"
        f" {added_ms:+5.0f} ms (allowed {ALLOWED_MS})"
    )
    return added_ms <= ALLOWED_MS


def run() -> bool:
    """Measure a check from a warm cache, and one that reads and measures everything."""
    as_of = (SAMPLE / "as-of").read_text().strip()
    common = ["check", "--phase", "B", "--policy", str(ROOT / "policy/policy.yaml"), "--as-of", as_of]
    common += ["--logs", str(SAMPLE / "logs")]
    return all([measure("check, warm cache", common), measure("check, without a cache", [*common, "--no-cache"])])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        check(sys.argv[2:], with_children=sys.argv[1] == "with")
    with tempfile.TemporaryDirectory() as cache:
        import os

        os.environ["PHASEGATE_CACHE"] = cache
        sys.exit(0 if run() else 1)
