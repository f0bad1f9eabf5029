"""What a review costs beside one cold replay of the base alone: 7 days, 672 windows, a million events, in the same run.

python bench/review.py [EVENTS]    prints both times and their ratio; exit 1 where it is 3 or more
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.policy_repository import POLICY_FILE, Edit, make_repository

WINDOWS = 672
MOST = 3.0  # times the base's replay
RUNS = 2
SINCE, UNTIL, AS_OF = "2026-01-01T00:00:00Z", "2026-01-08T00:00:00Z", "2026-01-08T00:10:00Z"
P95 = "queries/slo/save_latency_p95.sql"
# A limit, a query that must be measured anew, and a gate.
CHANGE = (
    Edit(POLICY_FILE, "B: 2.0, C: 1.8}", "B: 1.9, C: 1.8}"),
    Edit(POLICY_FILE, "{hours: 24,", "{hours: 12,"),
    Edit(P95, "duration_ms, 0.95)", "duration_ms, 0.99)"),
)


def timed(folder: Path, arguments: list[str], codes: tuple[int, ...]) -> float:
    """Seconds of one command with an empty cache. Raises where its exit code is none of `codes`."""
    with tempfile.TemporaryDirectory(prefix="phasegate-bench-cache-") as cache:
        environment = {**os.environ, "PHASEGATE_CACHE": cache}
        begun = time.monotonic()
        command = [sys.executable, "-m", "checker", *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
        taken = time.monotonic() - begun
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(arguments[:2])}: exit {done.returncode}\n{done.stderr.decode()[-2000:]}")
    return taken


def main() -> int:
    """Measure, print, and give 1 where the review takes MOST times the replay, or more."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="phasegate-bench-") as scratch:
        root = Path(scratch)
        repository = make_repository(root / "project")
        logs = root / "logs"
        made = ["simulate", "--scenario", "healthy", "--out", str(logs), "--start", SINCE, "--phase", "B"]
        made += ["--windows", str(WINDOWS), "--events-per-window", str(events // WINDOWS)]
        timed(repository.root, made, (0,))
        lines = sum(place.read_bytes().count(b"\n") for place in logs.glob("*.jsonl"))
        head = repository.change(CHANGE)
        repository.git("checkout", "--quiet", "base")
        where = ["--logs", str(logs), "--as-of", AS_OF, "--since", SINCE, "--until", UNTIL]
        replay = ["replay", "--phase", "B", "--no-ledger", "--format", "jsonl", *where]
        review = ["review", "--base", "base", "--head", head, "--format", "json", *where]
        bases, reviews = [], []
        for _ in range(RUNS):
            bases.append(timed(repository.root, replay, (0, 1, 3)))
            reviews.append(timed(repository.root, review, (1,)))
    ratio = min(reviews) / min(bases)
    print(f"{WINDOWS} windows, {lines:,} lines")
    print(f"base alone, replayed cold   {min(bases):7.2f} s")
    print(f"review, cold                {min(reviews):7.2f} s   {ratio:.2f} ×, must be under {MOST:g} ×")
    return int(ratio >= MOST)


if __name__ == "__main__":
    sys.exit(main())
