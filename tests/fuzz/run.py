"""`python -m tests.fuzz.run TARGET SECONDS`: lets libFuzzer look for bytes that break what TARGET says must hold.

What it finds is written to `.phasegate/fuzz/TARGET/`; put the file into `tests/fuzz/findings/TARGET/`, and every run of
the tests tries it. Exit codes: 0 nothing was found, 2 atheris is not there or the call is wrong, else a finding.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / ".phasegate/fuzz"
LONGEST_INPUT_S, MOST_MEMORY_MB = 10, 2_048
# Parts of the program whose branches steer the search; the rest runs as it is.
STEERING = ["checker.policy", "checker.schemas", "checker.analyzer.lines", "checker.analyzer.event_schema"]


def main(arguments: list[str]) -> int:
    """Fuzz one target for so many seconds; libFuzzer ends the process itself."""
    try:
        import atheris
    except ImportError as fault:
        sys.stderr.write(f"atheris cannot be imported ({fault}): nothing was fuzzed; install '.[dev]' on Linux\n")
        return 2
    with atheris.instrument_imports(include=STEERING, enable_loader_override=False):
        from tests.fuzz.targets import TARGETS, seeds
    if len(arguments) != 2 or arguments[0] not in TARGETS or not arguments[1].isdecimal():
        sys.stderr.write(f"usage: python -m tests.fuzz.run {{{','.join(TARGETS)}}} SECONDS\n")
        return 2
    target, seconds = arguments
    found, corpus = KEPT / target, KEPT / target / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    longest = 1
    for seed in seeds(target):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
        longest = max(longest, len(seed))
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={2 * longest}",
        f"-timeout={LONGEST_INPUT_S}",
        f"-rss_limit_mb={MOST_MEMORY_MB}",
        f"-dict={HERE / f'{target}.dict'}",
        f"-artifact_prefix={found}/",
        "-verbosity=0",
        "-print_final_stats=1",
        "-seed=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[target])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
