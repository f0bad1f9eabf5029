"""Forks a child for each job that it reads, so that what is imported is imported once. JSON lines in, and out."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.crashing import run

IMPORTED = (
    "checker.recording", "checker.reporting", "checker.cli.check", "checker.cli.report", "checker.cli.formats.table",
    "checker.reporter.transports.slack", "slack_sdk", "httpx", "filelock", "jsonschema_rs", "orjson", "jinja2.sandbox",
    "matplotlib.figure", "matplotlib.backends.backend_svg", "matplotlib.dates", "duckdb", "rich.console",
)  # fmt: skip


def main() -> None:
    """Serve until stdin is closed."""
    for name in IMPORTED:
        importlib.import_module(name)
    print(json.dumps({"ready": True}), flush=True)  # noqa: T201  whoever started it waits for this
    for line in sys.stdin:
        job = json.loads(line)
        ended = run(job["arguments"], Path(job["folder"]), job["environment"], Path(job["scratch"]), job["kill_at"])
        print(json.dumps(asdict(ended)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
